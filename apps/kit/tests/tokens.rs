//! Tokens, those that are refused first of all.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use sockeye_kit::name::Name;
use sockeye_kit::token::{
    Algorithm, Claims, KeyArgs, KeyError, KeyFault, Signer, TokenError, Verifier, demo,
};

const SECRET: &[u8] = b"an example secret of 40 bytes, no less..";
/// 2026-11-21T09:00:00Z.
const NOW: u64 = 1_795_251_600;

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keys")
        .join(name)
}

/// A file of this test's own, gone with it.
struct TempFile(PathBuf);

impl TempFile {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("sockeye-{}-{name}", std::process::id()));
        fs::write(&path, content).expect("a file");
        Self(path)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn args(path: &Path, algorithm: Option<Algorithm>) -> KeyArgs {
    KeyArgs {
        jwt_key: Some(path.into()),
        jwt_alg: algorithm,
        ..KeyArgs::default()
    }
}

fn verifier(args: &KeyArgs) -> Verifier {
    args.verifier().expect("a good key").expect("a key")
}

/// HS256 with [`SECRET`], without audience and issuer.
fn hs256(test: &str) -> Verifier {
    let file = TempFile::new(test, SECRET);
    verifier(&args(&file.0, None))
}

fn encode(header: &Header, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).expect("signed")
}

fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, SECRET)
}

/// A token whose claims are this text, well signed: what no serializer writes.
fn token_of_text(claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(claims));
    let signature = jsonwebtoken::crypto::sign(
        message.as_bytes(),
        &EncodingKey::from_secret(SECRET),
        jsonwebtoken::Algorithm::HS256,
    );
    format!("{message}.{}", signature.expect("signed"))
}

#[test]
fn a_good_token_says_who_and_until_when() {
    let verifier = hs256("good");
    let claims = verifier.verify(&token(&json!({"id": "ana", "exp": NOW + 60})), now());
    let claims = claims.expect("valid");
    assert_eq!(claims.id.as_str(), "ana");
    assert_eq!(claims.left(now()), Duration::from_secs(60));
    assert_eq!(claims.left(now() + Duration::from_secs(61)), Duration::ZERO);
    // Others' claims are of no interest.
    let rich = json!({
        "id": "ana", "exp": NOW + 60, "nbf": NOW, "iat": "never", "aud": "others",
        "iss": 5, "sub": "x", "admin": true,
    });
    assert!(verifier.verify(&token(&rich), now()).is_ok());
}

#[test]
fn exp_is_a_number_and_refused_from_its_second_on() {
    let verifier = hs256("exp");
    let verify = |exp: Value| verifier.verify(&token(&json!({"id": "ana", "exp": exp})), now());
    for exp in [
        json!(NOW),
        json!(NOW - 1),
        json!(0),
        json!(-5),
        json!(-1e300),
    ] {
        assert_eq!(verify(exp.clone()), Err(TokenError::Expired), "{exp}");
    }
    let fraction = NOW as f64 + 0.25;
    let claims = verify(json!(fraction)).expect("valid");
    assert_eq!(claims.left(now()), Duration::from_millis(250));
    let later = now() + Duration::from_millis(250);
    let expired = verifier.verify(&token(&json!({"id": "ana", "exp": fraction})), later);
    assert_eq!(expired, Err(TokenError::Expired));
    // Far away, beyond what can be counted.
    for exp in [json!(1e300), json!(u64::MAX)] {
        let claims = verify(exp).expect("valid");
        assert!(claims.left(now()) > Duration::from_secs(1 << 40));
    }
    for exp in [
        json!(format!("{}", NOW + 60)),
        json!(null),
        json!(true),
        json!([NOW + 60]),
        json!({"in": 60}),
    ] {
        assert_eq!(verify(exp.clone()), Err(TokenError::Invalid), "{exp}");
    }
    let without = verifier.verify(&token(&json!({"id": "ana"})), now());
    assert_eq!(without, Err(TokenError::Invalid));
    for text in [
        format!(r#"{{"id":"ana","exp":{},"exp":{}}}"#, NOW - 60, NOW + 60),
        format!(r#"{{"id":"ana","id":"bob","exp":{}}}"#, NOW + 60),
        String::from(r#"{"id":"ana","exp":1e999}"#),
        String::from(r#"{"id":"ana","exp":NaN}"#),
    ] {
        let repeated = verifier.verify(&token_of_text(&text), now());
        assert_eq!(repeated, Err(TokenError::Invalid), "{text}");
    }
}

#[test]
fn nbf_is_a_number_and_past_if_it_is_there() {
    let verifier = hs256("nbf");
    let verify = |nbf: Value| {
        let claims = json!({"id": "ana", "exp": NOW + 60, "nbf": nbf});
        verifier.verify(&token(&claims), now())
    };
    for nbf in [json!(NOW), json!(NOW - 1), json!(0.5), json!(-1)] {
        assert!(verify(nbf.clone()).is_ok(), "{nbf}");
    }
    for nbf in [
        json!(NOW + 1),
        json!(NOW as f64 + 0.5),
        json!("0"),
        json!(null),
    ] {
        assert_eq!(verify(nbf.clone()), Err(TokenError::Invalid), "{nbf}");
    }
}

#[test]
fn the_id_is_a_name() {
    let verifier = hs256("id");
    for id in [
        json!(""),
        json!("a b"),
        json!("e\u{301}"),
        json!(5),
        json!(null),
    ] {
        let refused = verifier.verify(&token(&json!({"id": id, "exp": NOW + 60})), now());
        assert_eq!(refused, Err(TokenError::Invalid), "{id}");
    }
    let without = verifier.verify(&token(&json!({"exp": NOW + 60})), now());
    assert_eq!(without, Err(TokenError::Invalid));
}

#[test]
fn audience_and_issuer_are_needed_where_they_are_given() {
    let file = TempFile::new("aud", SECRET);
    let verifier = verifier(&KeyArgs {
        jwt_aud: Some("chat".into()),
        jwt_iss: Some("login.example".into()),
        ..args(&file.0, None)
    });
    let verify = |aud: Value, iss: Value| {
        let mut claims = json!({"id": "ana", "exp": NOW + 60});
        for (name, value) in [("aud", aud), ("iss", iss)] {
            if !value.is_null() {
                claims[name] = value;
            }
        }
        verifier.verify(&token(&claims), now())
    };
    let issuer = || json!("login.example");
    assert!(verify(json!("chat"), issuer()).is_ok());
    assert!(verify(json!(["shop", "chat"]), issuer()).is_ok());
    for (aud, iss) in [
        (json!("shop"), issuer()),
        (json!("chat2"), issuer()),
        (json!([]), issuer()),
        (json!(["shop"]), issuer()),
        (json!(7), issuer()),
        (json!({"chat": true}), issuer()),
        (Value::Null, issuer()),
        (json!("chat"), Value::Null),
        (json!("chat"), json!("login.example.evil")),
        (json!("chat"), json!(["evil.example"])),
        (json!("chat"), json!(1)),
    ] {
        let refused = verify(aud.clone(), iss.clone());
        assert_eq!(refused, Err(TokenError::Invalid), "{aud} {iss}");
    }
}

#[test]
fn forgeries_are_refused() {
    let verifier = hs256("forgeries");
    let claims = json!({"id": "ana", "exp": NOW + 60});
    let good = token(&claims);
    assert!(verifier.verify(&good, now()).is_ok());
    let mut parts = good.split('.');
    let [header, payload, signature] = [(); 3].map(|()| parts.next().expect("three parts"));
    let b64 = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let admin = b64(&json!({"id": "root", "exp": NOW + 60}).to_string());
    let mut forgeries = vec![
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}.{admin}.{signature}"),
        format!("{header}.{payload}.{}", &signature[..signature.len() - 4]),
        format!("{good}."),
        format!("{good}.{signature}"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("Bearer {good}"),
        // Signed well, with another key or another algorithm.
        encode(
            &Header::default(),
            &claims,
            b"another secret that is long enough, too..",
        ),
        encode(
            &Header::new(jsonwebtoken::Algorithm::HS384),
            &claims,
            SECRET,
        ),
        encode(
            &Header::new(jsonwebtoken::Algorithm::HS512),
            &claims,
            SECRET,
        ),
    ];
    for none in ["none", "None", "nOnE", "NONE", "", "HS256 ", "hs256"] {
        for signature in ["", signature] {
            let header = b64(&format!(r#"{{"alg":"{none}","typ":"JWT"}}"#));
            forgeries.push(format!("{header}.{payload}.{signature}"));
        }
    }
    let critical = Header {
        crit: Some(vec!["exp".into()]),
        ..Header::default()
    };
    forgeries.push(encode(&critical, &claims, SECRET));
    let padding = json!({"id": "ana", "exp": NOW + 60, "x": "x".repeat(8192)});
    forgeries.push(token(&padding));
    for forgery in forgeries {
        let refused = verifier.verify(&forgery, now());
        assert_eq!(refused, Err(TokenError::Invalid), "{forgery}");
    }
}

#[test]
fn a_public_key_is_no_secret_to_sign_with() {
    let claims = json!({"id": "root", "exp": NOW + 60});
    for (name, algorithm) in [
        ("rsa.public.pem", Algorithm::RS256),
        ("p256.public.pem", Algorithm::ES256),
        ("ed25519.public.pem", Algorithm::EdDSA),
    ] {
        let verifier = verifier(&args(&key(name), Some(algorithm)));
        let pem = fs::read(key(name)).expect("a key");
        for secret in [&pem[..], pem.trim_ascii_end()] {
            let forgery = encode(&Header::default(), &claims, secret);
            let refused = verifier.verify(&forgery, now());
            assert_eq!(refused, Err(TokenError::Invalid), "{name}");
        }
    }
}

#[test]
fn every_algorithm_verifies_what_it_has_signed_and_nothing_else() {
    let file = TempFile::new("every", SECRET);
    let pairs = [
        (Algorithm::HS256, file.0.clone(), file.0.clone()),
        (Algorithm::HS384, file.0.clone(), file.0.clone()),
        (Algorithm::HS512, file.0.clone(), file.0.clone()),
        (
            Algorithm::RS256,
            key("rsa.private.pem"),
            key("rsa.public.pem"),
        ),
        (
            Algorithm::RS384,
            key("rsa.private.pem"),
            key("rsa.public.pkcs1.pem"),
        ),
        (
            Algorithm::RS512,
            key("rsa.private.pem"),
            key("rsa.public.pem"),
        ),
        (
            Algorithm::PS256,
            key("rsa.private.pem"),
            key("rsa.public.pem"),
        ),
        (
            Algorithm::PS384,
            key("rsa.private.pem"),
            key("rsa.public.pem"),
        ),
        (
            Algorithm::PS512,
            key("rsa.private.pem"),
            key("rsa.public.pem"),
        ),
        (
            Algorithm::ES256,
            key("p256.private.pem"),
            key("p256.public.pem"),
        ),
        (
            Algorithm::ES384,
            key("p384.private.pem"),
            key("p384.public.pem"),
        ),
        (
            Algorithm::EdDSA,
            key("ed25519.private.pem"),
            key("ed25519.public.pem"),
        ),
    ];
    let id = Name::parse("ana").expect("a name");
    let signed: Vec<_> = pairs
        .iter()
        .map(|(algorithm, private, _)| {
            let signer = args(private, Some(*algorithm)).signer();
            let signer: Signer = signer.expect("a good key").expect("a key");
            signer.sign(&id, Duration::from_secs(60), now())
        })
        .collect();
    for (at, (algorithm, _, public)) in pairs.iter().enumerate() {
        let verifier = verifier(&args(public, Some(*algorithm)));
        for (other, token) in signed.iter().enumerate() {
            let expected = if at == other {
                Ok(Claims {
                    id: id.clone(),
                    exp: (NOW + 60) as f64,
                })
            } else {
                Err(TokenError::Invalid)
            };
            assert_eq!(
                verifier.verify(token, now()),
                expected,
                "{algorithm} {other}"
            );
        }
    }
}

#[test]
fn a_signer_fits_its_verifier_in_audience_issuer_and_fractions() {
    let file = TempFile::new("signer", SECRET);
    let args = KeyArgs {
        jwt_aud: Some("chat".into()),
        jwt_iss: Some("me".into()),
        ..args(&file.0, None)
    };
    let signer = args.signer().expect("a good key").expect("a key");
    let id = Name::parse("ana").expect("a name");
    let now = now() + Duration::from_millis(400);
    for (ttl, left) in [(1500, 1500), (1000, 1600), (60_000, 60_600)] {
        let token = signer.sign(&id, Duration::from_millis(ttl), now);
        let claims = verifier(&args).verify(&token, now).expect("valid");
        // Seconds since 1970 with a fraction are good for a quarter of a microsecond.
        assert!(claims.left(now).as_millis().abs_diff(left) <= 1, "{ttl}");
    }
}

#[test]
fn a_key_that_does_not_fit_is_refused_at_once_with_a_sentence() {
    let short = TempFile::new("short", &[b'x'; 31]);
    let short_with_newline = TempFile::new("short-newline", b"0123456789012345678901234567890\n");
    let garbage = TempFile::new(
        "garbage",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    );
    let cut = fs::read(key("ed25519.public.pem")).expect("a key");
    let cut = TempFile::new("cut", &cut[..cut.len() / 2]);
    let secret = TempFile::new("secret", SECRET);
    let unfit = [
        (&short.0, Algorithm::HS256, KeyFault::TooShort { bytes: 31 }),
        (&short.0, Algorithm::HS512, KeyFault::TooShort { bytes: 31 }),
        (
            &short_with_newline.0,
            Algorithm::HS256,
            KeyFault::TooShort { bytes: 31 },
        ),
        (&key("rsa.public.pem"), Algorithm::HS256, KeyFault::Pem),
        (&secret.0, Algorithm::RS256, KeyFault::NotPem),
        (&garbage.0, Algorithm::RS256, KeyFault::NotOfItsKind),
        (&garbage.0, Algorithm::EdDSA, KeyFault::NotOfItsKind),
        (&cut.0, Algorithm::EdDSA, KeyFault::NotOfItsKind),
        (&key("rsa.private.pem"), Algorithm::RS256, KeyFault::Private),
        (
            &key("p256.private.pem"),
            Algorithm::ES256,
            KeyFault::Private,
        ),
        (
            &key("rsa.certificate.pem"),
            Algorithm::RS256,
            KeyFault::NotPem,
        ),
        (
            &key("rsa.public.pem"),
            Algorithm::ES256,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("rsa.public.pem"),
            Algorithm::EdDSA,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("rsa.public.pkcs1.pem"),
            Algorithm::EdDSA,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p256.public.pem"),
            Algorithm::RS256,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p256.public.pem"),
            Algorithm::PS512,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p256.public.pem"),
            Algorithm::ES384,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p384.public.pem"),
            Algorithm::ES256,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("ed25519.public.pem"),
            Algorithm::ES256,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p256.public.pem"),
            Algorithm::EdDSA,
            KeyFault::NotOfItsKind,
        ),
    ];
    for (path, algorithm, expected) in unfit {
        let error = args(path, Some(algorithm)).verifier().expect_err("unfit");
        assert!(
            matches!(error, KeyError::Unfit { fault, .. } if fault == expected),
            "{path:?} {algorithm}: {error:?}"
        );
        let sentence = error.to_string();
        assert!(sentence.contains(&path.display().to_string()), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
    for (path, algorithm, expected) in [
        (&key("rsa.public.pem"), Algorithm::RS256, KeyFault::Public),
        (
            &key("p384.private.pem"),
            Algorithm::ES256,
            KeyFault::NotOfItsKind,
        ),
        (
            &key("p256.private.pem"),
            Algorithm::RS256,
            KeyFault::NotOfItsKind,
        ),
    ] {
        let error = args(path, Some(algorithm)).signer().expect_err("unfit");
        assert!(
            matches!(error, KeyError::Unfit { fault, .. } if fault == expected),
            "{error:?}"
        );
    }
    let missing = args(Path::new("/nowhere/at/all"), None).verifier();
    let sentence = missing.expect_err("no such file").to_string();
    assert!(
        sentence.starts_with("cannot read the key /nowhere/at/all: "),
        "{sentence}"
    );
}

#[test]
fn a_line_feed_at_the_end_of_a_secret_does_not_count() {
    let with = TempFile::new("newline", &[SECRET, b"\n"].concat());
    let verifier = verifier(&args(&with.0, None));
    assert!(
        verifier
            .verify(&token(&json!({"id": "ana", "exp": NOW + 60})), now())
            .is_ok()
    );
}

#[test]
fn each_demonstration_has_a_key_of_its_own() {
    let (verifier, signer) = demo().expect("randomness");
    let (other, _) = demo().expect("randomness");
    let token = signer.sign(
        &Name::parse("ana").expect("a name"),
        Duration::from_secs(60),
        now(),
    );
    assert!(verifier.verify(&token, now()).is_ok());
    assert_eq!(other.verify(&token, now()), Err(TokenError::Invalid));
}

#[test]
fn neither_keys_nor_tokens_are_shown() {
    let file = TempFile::new("shown", SECRET);
    let args = args(&file.0, None);
    let verifier = verifier(&args);
    let signer = args.signer().expect("a good key");
    let token = token(&json!({"id": "ana", "exp": 1}));
    let error = verifier.verify(&token, now()).expect_err("expired");
    let shown = format!("{verifier:?} {signer:?} {error:?} {error}");
    let secret = core::str::from_utf8(SECRET).expect("text");
    let as_numbers = format!("{:?}", &SECRET[..4]);
    for hidden in [secret, as_numbers.trim_matches(['[', ']']), &token] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

//! Who has signed it.

use core::time::Duration;
use std::fs;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Header;
use serde_json::json;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Algorithm, Claims, KeyArgs, Signer, TokenError};

use crate::bench::{NOW, SECRET, TempFile, args, encode, hs256, key, now, token, verifier};

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

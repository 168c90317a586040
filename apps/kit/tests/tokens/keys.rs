//! Which keys are taken, and that they are not shown.

use core::time::Duration;
use std::fs;
use std::path::Path;

use serde_json::json;
use sockeye_kit::name::Name;
use sockeye_kit::token::{Algorithm, KeyError, KeyFault, TokenError, demo};

use crate::bench::{NOW, SECRET, TempFile, args, key, now, token, verifier};

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

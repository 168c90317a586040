//! Keys, and tokens that are signed with them.

use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::Value;
use sockeye_kit::token::{Algorithm, KeyArgs, Verifier};

pub(crate) const SECRET: &[u8] = b"an example secret of 40 bytes, no less..";

/// 2026-11-21T09:00:00Z.
pub(crate) const NOW: u64 = 1_795_251_600;

pub(crate) fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn key(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/keys")
        .join(name)
}

/// A file of this test's own, gone with it.
pub(crate) struct TempFile(pub(crate) PathBuf);

impl TempFile {
    pub(crate) fn new(name: &str, content: &[u8]) -> Self {
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

pub(crate) fn args(path: &Path, algorithm: Option<Algorithm>) -> KeyArgs {
    KeyArgs {
        jwt_key: Some(path.into()),
        jwt_alg: algorithm,
        ..KeyArgs::default()
    }
}

pub(crate) fn verifier(args: &KeyArgs) -> Verifier {
    args.verifier().expect("a good key").expect("a key")
}

/// HS256 with [`SECRET`], without audience and issuer.
pub(crate) fn hs256(test: &str) -> Verifier {
    let file = TempFile::new(test, SECRET);
    verifier(&args(&file.0, None))
}

pub(crate) fn encode(header: &Header, claims: &Value, secret: &[u8]) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).expect("signed")
}

pub(crate) fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, SECRET)
}

/// A token whose claims are this text, well signed: what no serializer writes.
pub(crate) fn token_of_text(claims: &str) -> String {
    let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", encode(r#"{"alg":"HS256"}"#), encode(claims));
    let signature = jsonwebtoken::crypto::sign(
        message.as_bytes(),
        &EncodingKey::from_secret(SECRET),
        jsonwebtoken::Algorithm::HS256,
    );
    format!("{message}.{}", signature.expect("signed"))
}

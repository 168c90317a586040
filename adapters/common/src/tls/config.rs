//! What a side of TLS needs to begin.

use alloc::sync::Arc;
use core::fmt;
use std::path::Path;
use std::sync::OnceLock;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::error::TlsConfigError;

/// What the upgrade is made over; a peer that can also HTTP/2 must not choose it.
const PROTOCOL: &[u8] = b"http/1.1";

/// The certificate and the key of a server. Cheap to clone.
#[derive(Clone)]
pub struct TlsServer(Arc<ServerConfig>);

impl TlsServer {
    /// From files in PEM: a certificate with those of its issuers below it, and its
    /// private key.
    ///
    /// # Errors
    ///
    /// In one sentence that names the file.
    pub fn from_pem_files(
        certificate: impl AsRef<Path>,
        key: impl AsRef<Path>,
    ) -> Result<Self, TlsConfigError> {
        let (certificate, key) = (certificate.as_ref(), key.as_ref());
        let chain = certificates(certificate)?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsConfigError::NoKey { file: key.into() },
            error => TlsConfigError::pem(key, error),
        })?;
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Unusable)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| TlsConfigError::pair(certificate, key, error))?;
        Ok(with_protocol(config).into())
    }

    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

fn with_protocol(mut config: ServerConfig) -> Arc<ServerConfig> {
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.into()
}

/// A configuration of rustls, as it is.
impl From<Arc<ServerConfig>> for TlsServer {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self(config)
    }
}

/// Whom a client trusts. Cheap to clone.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Trusts whom the platform trusts. Its certificates are loaded once in a process.
    ///
    /// # Errors
    ///
    /// If there are none.
    pub fn platform() -> Result<Self, TlsConfigError> {
        static PLATFORM: OnceLock<TlsClient> = OnceLock::new();
        if let Some(known) = PLATFORM.get() {
            return Ok(known.clone());
        }
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(loaded.certs);
        if usable == 0 {
            return Err(TlsConfigError::NoPlatformRoots);
        }
        let client = Self::new(roots)?;
        Ok(PLATFORM.get_or_init(|| client).clone())
    }

    /// Trusts the certificates of a file in PEM, and nobody else.
    ///
    /// # Errors
    ///
    /// In one sentence that names the file.
    pub fn from_pem_file(roots: impl AsRef<Path>) -> Result<Self, TlsConfigError> {
        let file = roots.as_ref();
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file)? {
            roots
                .add(certificate)
                .map_err(|error| TlsConfigError::Certificate {
                    file: file.into(),
                    error,
                })?;
        }
        Self::new(roots)
    }

    fn new(roots: RootCertStore) -> Result<Self, TlsConfigError> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(TlsConfigError::Unusable)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        Ok(Arc::new(config).into())
    }

    pub(super) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }
}

/// A configuration of rustls, as it is.
impl From<Arc<ClientConfig>> for TlsClient {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self(config)
    }
}

/// Chosen here rather than by whoever installs one for the process.
fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    Arc::clone(PROVIDER.get_or_init(|| Arc::new(ring::default_provider())))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsConfigError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| TlsConfigError::pem(file, error))?;
    if certificates.is_empty() {
        return Err(TlsConfigError::NoCertificate { file: file.into() });
    }
    Ok(certificates)
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

impl fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsClient").finish_non_exhaustive()
    }
}

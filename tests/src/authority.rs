//! Certificates that are made for a test.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sockeye_tokio::{TlsClient, TlsServer};

/// An authority of our own, whose files are gone after the test.
pub struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// Makes one.
    #[must_use]
    pub fn make() -> Self {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let made = MADE.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("sockeye-tls-{}-{made}", process::id()));
        fs::create_dir(&directory).expect("a directory");
        let mut params = CertificateParams::new([]).expect("no names");
        let name = format!("sockeye test {made}");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let root = params.self_signed(&key).expect("a certificate");
        fs::write(directory.join("roots.pem"), root.pem()).expect("a file");
        let issuer = Issuer::new(params, key);
        Self { directory, issuer }
    }

    /// One of its files: `roots.pem`, `server.pem`, `server.key`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A server's certificate for `name`, changed by `change`.
    pub fn server_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsServer {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.file("server.pem"), certificate.pem()).expect("a file");
        fs::write(self.file("server.key"), key.serialize_pem()).expect("a file");
        TlsServer::from_pem_files(self.file("server.pem"), self.file("server.key"))
            .expect("a certificate and its key")
    }

    /// A server's certificate for `name`.
    pub fn server(&self, name: &str) -> TlsServer {
        self.server_with(name, |_| {})
    }

    /// Trusts its certificates alone.
    pub fn client(&self) -> TlsClient {
        TlsClient::from_pem_file(self.file("roots.pem")).expect("roots")
    }

    /// A client of rustls's own, of `localhost`.
    pub fn by_hand<S: Read + Write>(&self, stream: S) -> StreamOwned<ClientConnection, S> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_file(self.file("roots.pem")).expect("PEM");
        roots.add(root).expect("a certificate");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        StreamOwned::new(connection, stream)
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // The directory of temporary files is cleared anyway.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

//! Certificates that are made for a run.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::process;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// The files of an authority and of a server of 127.0.0.1, in PEM; they are gone with this.
pub struct Authority {
    directory: PathBuf,
}

impl Authority {
    pub fn make() -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("sockeye-benches-{}", process::id()));
        fs::create_dir_all(&directory)?;
        let this = Self { directory };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let root = params.self_signed(&key).map_err(io::Error::other)?;
        fs::write(this.roots(), root.pem())?;
        let issuer = Issuer::new(params, key);
        let names = vec!["127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).map_err(io::Error::other)?;
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let server = params.signed_by(&key, &issuer).map_err(io::Error::other)?;
        fs::write(this.certificate(), server.pem())?;
        fs::write(this.key(), key.serialize_pem())?;
        Ok(this)
    }

    pub fn roots(&self) -> PathBuf {
        self.directory.join("roots.pem")
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.join("server.pem")
    }

    pub fn key(&self) -> PathBuf {
        self.directory.join("server.key")
    }
}

impl Drop for Authority {
    fn drop(&mut self) {
        // The directory of temporary files is cleared anyway.
        let _ = fs::remove_dir_all(&self.directory);
    }
}

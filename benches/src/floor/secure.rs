//! TLS below a floor: what rustls costs by itself.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

pub type Config = Arc<ServerConfig>;

pub fn config(certificate: &Path, key: &Path) -> Config {
    let chain = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let key = PrivateKeyDer::from_pem_file(key).expect("a key");
    let config = ServerConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain.expect("a certificate"), key);
    config.expect("a certificate and its key").into()
}

/// One connection's side of it; nothing without TLS.
pub struct Layer(Option<Box<ServerConnection>>);

impl Layer {
    pub fn new(config: Option<&Config>) -> Self {
        Self(config.map(|config| {
            let connection = ServerConnection::new(Arc::clone(config)).expect("a good config");
            Box::new(connection)
        }))
    }

    /// Reads plain bytes; an error of the kind `WouldBlock` where the socket has it.
    pub fn read<S: Read + Write>(
        &mut self,
        socket: &mut S,
        buffer: &mut [u8],
    ) -> io::Result<usize> {
        let Some(tls) = &mut self.0 else {
            return socket.read(buffer);
        };
        loop {
            match tls.reader().read(buffer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                read => return read,
            }
            if tls.read_tls(socket)? == 0 {
                return Ok(0);
            }
            tls.process_new_packets().map_err(io::Error::other)?;
            write_records(tls, socket)?;
        }
    }

    /// Writes plain bytes.
    pub fn write<S: Write>(&mut self, socket: &mut S, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.0 else {
            return socket.write(bytes);
        };
        write_records(tls, socket)?;
        let taken = tls.writer().write(bytes)?;
        match write_records(tls, socket) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
            _ => Ok(taken),
        }
    }
}

fn write_records(tls: &mut ServerConnection, socket: &mut impl Write) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(socket)?;
    }
    Ok(())
}

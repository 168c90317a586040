//! Many clients in a process of their own: a process has only so many descriptors.

use std::io::{self, BufRead, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use socket2::{Domain, Socket, Type};

use crate::wire::{self, Kind};

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    /// permessage-deflate, with contexts that are kept, as browsers do.
    Compression,
}

impl Wish {
    /// The extension, as it is asked for and granted.
    fn field(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::Compression => "Sec-WebSocket-Extensions: permessage-deflate",
        }
    }

    /// Long enough to be compressed, if it is.
    fn message(self) -> Vec<u8> {
        match self {
            Self::Nothing => b"sixteen bytes...".to_vec(),
            Self::Compression => b"sixteen bytes...".repeat(64),
        }
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// Does what standard input says, a line at a time: `open COUNT`, `echo`, `close`.
pub fn run(port: u16, roots: Option<PathBuf>, wish: Wish) -> io::Result<()> {
    let tls = roots.map(config);
    let mut clients: Vec<Box<dyn Stream>> = Vec::new();
    for line in io::stdin().lock().lines() {
        let line = line?;
        match line.split_once(' ').unwrap_or((&line, "")) {
            ("open", count) => {
                for number in 0..count.parse().map_err(io::Error::other)? {
                    let stream = connect(port, number, None)?;
                    clients.push(match &tls {
                        None => Box::new(open(stream, wish)?),
                        Some(config) => Box::new(open(secure(config, stream)?, wish)?),
                    });
                }
            }
            ("echo", _) => clients
                .iter_mut()
                .try_for_each(|client| echo(client, wish))?,
            ("close", _) => clients.clear(),
            _ => return Err(io::Error::other(line)),
        }
        println!("done");
    }
    Ok(())
}

/// From one of several addresses, each of which has its own ports.
///
/// With `received` the system keeps so many bytes, about, that this has not read.
pub fn connect(port: u16, number: usize, received: Option<usize>) -> io::Result<TcpStream> {
    let source = Ipv4Addr::new(127, 0, 1, (number % 16 + 1) as u8);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if let Some(received) = received {
        // Before there is a connection: what was allowed the other side cannot be taken back.
        socket.set_recv_buffer_size(received)?;
    }
    socket.bind(&SocketAddr::new(IpAddr::V4(source), 0).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.set_tcp_nodelay(true)?;
    Ok(socket.into())
}

fn config(roots: PathBuf) -> Arc<ClientConfig> {
    let mut store = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(roots).expect("a certificate");
    store.add(root).expect("a certificate");
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_root_certificates(store)
        .with_no_client_auth();
    config.into()
}

fn secure(
    config: &Arc<ClientConfig>,
    stream: TcpStream,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from("127.0.0.1").expect("an address");
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(connection, stream))
}

/// Makes the upgrade.
pub fn open<S: Read + Write>(mut stream: S, wish: Wish) -> io::Result<S> {
    let mut request = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        .to_owned();
    if wish != Wish::Nothing {
        request += &format!("{}\r\n", wish.field());
    }
    stream.write_all(format!("{request}\r\n").as_bytes())?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut buffer = [0; 1024];
        let n = stream.read(&mut buffer)?;
        if n == 0 || head.len() > 4096 {
            return Err(io::Error::other("the server did not upgrade"));
        }
        head.extend_from_slice(&buffer[..n]);
    }
    let head = String::from_utf8_lossy(&head);
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(wish.field()) {
        return Err(io::Error::other(format!("the server answered {head}")));
    }
    Ok(stream)
}

fn echo(client: &mut Box<dyn Stream>, wish: Wish) -> io::Result<()> {
    let (mut frame, message) = (Vec::new(), wish.message());
    wire::encode(Kind::Binary, Some([1, 2, 3, 4]), &message, &mut frame);
    client.write_all(&frame)?;
    let mut head = [0; 2];
    client.read_exact(&mut head)?;
    let [first, mut len] = head.map(usize::from);
    if len == 126 {
        client.read_exact(&mut head)?;
        len = usize::from(u16::from_be_bytes(head));
    }
    let mut payload = vec![0; len];
    client.read_exact(&mut payload)?;
    let is_echo = match wish {
        Wish::Nothing => first == 0x82 && payload == message,
        // Compressed: RFC 7692 §6.
        Wish::Compression => first == 0xC2 && len < message.len(),
    };
    is_echo
        .then_some(())
        .ok_or_else(|| io::Error::other("that was no echo"))
}

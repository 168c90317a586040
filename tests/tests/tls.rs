//! `wss`, from both ends of the wire and with peers that do not keep to it.

extern crate alloc;

use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use sockeye_core::{Cause, CloseCode};
use sockeye_tests::server::TestServer;
use sockeye_tests::wire::{BINARY, CLOSE, FIN, PATIENCE, Raw, TEXT, UPGRADE, frame};
use sockeye_tokio::{
    ConnectError, ConnectOptions, Shutdown, TlsClient, TlsConfigError, TlsError, TlsServer,
    WebSocket, connect,
};
use tokio::runtime::Runtime;

/// An authority of our own, whose files are gone after the test.
struct Authority {
    directory: PathBuf,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
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

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A server's certificate for `name`, changed by `change`.
    fn server_with(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsServer {
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        change(&mut params);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        fs::write(self.file("server.pem"), certificate.pem()).expect("a file");
        fs::write(self.file("server.key"), key.serialize_pem()).expect("a file");
        TlsServer::from_pem_files(self.file("server.pem"), self.file("server.key"))
            .expect("a certificate and its key")
    }

    fn server(&self, name: &str) -> TlsServer {
        self.server_with(name, |_| {})
    }

    fn client(&self) -> TlsClient {
        TlsClient::from_pem_file(self.file("roots.pem")).expect("roots")
    }

    /// A client of rustls's own.
    fn by_hand<S: Read + Write>(&self, stream: S) -> StreamOwned<ClientConnection, S> {
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

fn start(tls: TlsServer) -> TestServer {
    TestServer::start(|_, options| options.tls = Some(tls))
}

fn url(server: &TestServer) -> String {
    format!("wss://localhost:{}/", server.address.port())
}

fn trusting(client: TlsClient) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.tls = Some(client);
    options
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().expect("a runtime").block_on(async {
        let ended = tokio::time::timeout(PATIENCE, future).await;
        ended.expect("an end")
    })
}

async fn open(url: &str, authority: &Authority) -> WebSocket {
    let opened = connect(url, &trusting(authority.client())).await;
    opened.expect("a connection")
}

fn refusal(url: &str, client: TlsClient) -> ConnectError {
    let refused = wait(async { connect(url, &trusting(client)).await.err() });
    refused.expect("no connection")
}

fn tls_error(error: ConnectError) -> TlsError {
    match error {
        ConnectError::TlsFailed { error, .. } => error,
        other => panic!("{other:?}"),
    }
}

/// A client of the server that speaks TLS and nothing of WebSocket by itself.
fn upgraded<S: Read + Write>(tls: &mut StreamOwned<ClientConnection, S>) {
    tls.write_all(UPGRADE.as_bytes()).expect("the server reads");
    tls.flush().expect("the server reads");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        tls.read_exact(&mut byte).expect("a whole head");
        head.extend(byte);
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
}

fn tcp(address: SocketAddr) -> TcpStream {
    Raw::silent(address).0
}

#[test]
fn messages_around_the_borders_of_frames_records_and_buffers_come_back() {
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    wait(async {
        let mut ws = open(&url(&server), &authority).await;
        let borders = [
            0,
            1,
            125,
            126,
            16_383,
            16_384,
            16_385,
            65_535,
            65_536,
            1 << 20,
        ];
        for len in borders {
            let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
            ws.send(&message[..]).await.expect("open");
            let echo = ws.recv().await.expect("an echo");
            assert!(echo.as_bytes() == message, "{len}");
        }
        ws.close(CloseCode::NORMAL, "done").await.expect("open");
        assert!(ws.closed().expect("closed").is_clean());
    });
    assert!(server.next_end().is_clean());
}

#[test]
fn output_that_the_peer_does_not_take_waits_and_nothing_of_it_is_lost() {
    const MESSAGES: usize = 300;
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    wait(async {
        let (mut sender, mut receiver) = open(&url(&server), &authority).await.split();
        let sending = async {
            for n in 0..MESSAGES {
                sender.send(&[n as u8; 50_000][..]).await.expect("open");
            }
        };
        let receiving = async {
            for n in 0..MESSAGES {
                let echo = receiver.recv().await.expect("an echo");
                assert!(echo.as_bytes() == [n as u8; 50_000], "{n}");
            }
        };
        tokio::join!(sending, receiving);
    });
}

#[test]
fn a_server_that_cannot_be_trusted_is_told_apart() {
    let authority = Authority::new();
    let other = Authority::new();
    let server = start(authority.server("example.com"));
    let error = refusal(&url(&server), authority.client());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to localhost:{}: its certificate is for another name",
            server.address.port()
        )
    );
    assert_eq!(tls_error(error), TlsError::WrongName);
    let error = refusal(&url(&server), other.client());
    assert_eq!(tls_error(error), TlsError::UnknownIssuer);
    for (from, to, expected) in [
        (1990, 1991, TlsError::Expired),
        (4000, 4001, TlsError::NotYetValid),
    ] {
        let server = start(authority.server_with("localhost", |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        }));
        let error = refusal(&url(&server), authority.client());
        assert_eq!(tls_error(error), expected);
    }
}

#[test]
fn a_server_without_tls_is_told_as_such() {
    let authority = Authority::new();
    let server = TestServer::start(|_, _| {});
    let error = refusal(&url(&server), authority.client());
    assert_eq!(tls_error(error), TlsError::NotTls);
}

#[test]
fn a_server_that_says_nothing_is_given_up_at_the_deadline() {
    let authority = Authority::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut config = sockeye_core::Config::default();
    config.handshake_timeout = Duration::from_millis(100);
    let mut options = trusting(authority.client());
    options.config = config.share().expect("limits");
    let url = format!("wss://127.0.0.1:{port}/");
    let error = wait(async { connect(&url, &options).await.err() });
    assert!(matches!(error, Some(ConnectError::TimedOut { .. })));
}

#[test]
fn a_client_without_tls_gets_an_alert_and_costs_the_others_nothing() {
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    let mut served = authority.by_hand(tcp(server.address));
    upgraded(&mut served);
    let mut plain = Raw::silent(server.address);
    plain.write(UPGRADE.as_bytes());
    let mut alert = Vec::new();
    // The rest of the request is unread, so that the end may be a reset.
    let _ = plain.0.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
    served.write_all(&frame(FIN | TEXT, b"hi")).expect("open");
    let mut echo = [0; 4];
    served.read_exact(&mut echo).expect("an echo");
    assert_eq!(echo, [FIN | TEXT, 2, b'h', b'i']);
}

#[test]
fn clients_that_do_not_finish_tls_are_gone_by_the_handshake_deadline() {
    let authority = Authority::new();
    let tls = authority.server("localhost");
    let server = TestServer::start(|config, options| {
        config.handshake_timeout = Duration::from_millis(300);
        config.linger = Duration::from_millis(100);
        options.tls = Some(tls);
    });
    let mut silent = Raw::silent(server.address);
    let mut halfway = Raw::silent(server.address);
    // The head of a record that is said to be 500 bytes long, and begins a hello.
    halfway.write(&[0x16, 3, 1, 1, 0xf4, 1, 0, 1, 0xf0]);
    // One that has finished TLS and says no more.
    let mut idle = authority.by_hand(tcp(server.address));
    while idle.conn.is_handshaking() {
        idle.conn.complete_io(&mut idle.sock).expect("a handshake");
    }
    for client in [&mut silent.0, &mut halfway.0, &mut idle.sock] {
        let mut rest = Vec::new();
        match client.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
        }
    }
    while server.connections() > 0 {
        std::thread::yield_now();
    }
}

/// Writes a byte at a time.
struct Dripping(TcpStream);

impl Read for Dripping {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Dripping {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes.get(..1).unwrap_or_default())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[test]
fn records_that_come_byte_by_byte_are_understood() {
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    let mut peer = authority.by_hand(Dripping(tcp(server.address)));
    upgraded(&mut peer);
    peer.write_all(&frame(FIN | BINARY, &[7; 1000]))
        .expect("open");
    let mut echo = [0; 1004];
    peer.read_exact(&mut echo).expect("an echo");
    assert_eq!(echo[..4], [FIN | BINARY, 126, 3, 0xe8]);
    assert_eq!(echo[4..], [7; 1000]);
}

#[test]
fn the_server_ends_with_a_close_notify_behind_its_close() {
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    let mut peer = authority.by_hand(tcp(server.address));
    upgraded(&mut peer);
    let close = frame(FIN | CLOSE, &1000_u16.to_be_bytes());
    peer.write_all(&close).expect("open");
    let mut rest = Vec::new();
    // An end of the socket alone would be an error here.
    peer.read_to_end(&mut rest).expect("a close_notify");
    assert_eq!(rest, [FIN | CLOSE, 2, 3, 0xe8]);
    assert!(server.next_end().is_clean());
}

#[test]
fn a_client_that_leaves_without_a_word_is_an_end_and_no_fault() {
    let authority = Authority::new();
    let server = start(authority.server("localhost"));
    for says_close_notify in [false, true] {
        let mut peer = authority.by_hand(tcp(server.address));
        upgraded(&mut peer);
        if says_close_notify {
            peer.conn.send_close_notify();
            peer.flush().expect("open");
        } else {
            peer.sock.shutdown(std::net::Shutdown::Write).expect("open");
        }
        let closed = server.next_end();
        assert_eq!(closed.cause, Cause::Eof, "{closed:?}");
    }
}

#[test]
fn a_server_that_is_shut_down_closes_its_connections_over_tls() {
    let authority = Authority::new();
    let mut server = start(authority.server("localhost"));
    let url = url(&server);
    let runtime = Runtime::new().expect("a runtime");
    let mut ws = runtime.block_on(open(&url, &authority));
    let (dropped, closed) = server.shut_down_while(Shutdown::default(), move || {
        runtime.block_on(async {
            assert!(ws.recv().await.is_none());
            ws.closed().expect("closed").clone()
        })
    });
    assert_eq!(dropped, 0);
    assert_eq!(closed.code, CloseCode::GOING_AWAY);
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::new();
    let other = Authority::new();
    authority.server("localhost");
    other.server("localhost");
    let (certificate, key) = (authority.file("server.pem"), authority.file("server.key"));
    let other_key = other.file("server.key");
    let nowhere = authority.file("nowhere");
    fs::write(authority.file("empty"), "").expect("a file");
    let empty = authority.file("empty");
    let refused =
        |certificate, key| TlsServer::from_pem_files(certificate, key).expect_err("cannot be used");
    let error = refused(&nowhere, &key);
    assert!(matches!(error, TlsConfigError::Read { .. }), "{error:?}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    let error = refused(&certificate, &nowhere);
    assert!(matches!(error, TlsConfigError::Read { .. }), "{error:?}");
    let error = refused(&empty, &key);
    assert!(
        matches!(error, TlsConfigError::NoCertificate { .. }),
        "{error:?}"
    );
    let error = refused(&certificate, &certificate);
    assert!(matches!(error, TlsConfigError::NoKey { .. }), "{error:?}");
    let error = refused(&certificate, &other_key);
    assert!(
        matches!(error, TlsConfigError::Mismatch { .. }),
        "{error:?}"
    );
    let error = TlsClient::from_pem_file(&empty).expect_err("nobody");
    assert!(
        matches!(error, TlsConfigError::NoCertificate { .. }),
        "{error:?}"
    );
}

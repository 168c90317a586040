//! `wss`, from both ends of the wire and with peers that do not keep to it.

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::Receiver;
use std::thread;

use rcgen::date_time_ymd;
use rustls::{ClientConnection, StreamOwned};
use sockeye_core::{Cause, CloseCode, Closed, Config, OwnedMessage};
use sockeye_tests::authority::Authority;
use sockeye_tests::server::obedient;
use sockeye_tests::wire::{BINARY, CLOSE, FIN, PATIENCE, Raw, TEXT, UPGRADE, frame};
use sockeye_tokio::{
    ConnectError, ConnectOptions, Shutdown, TlsClient, TlsConfigError, TlsError, TlsServer,
};
use tokio::runtime::Runtime;

/// What a test runs on.
#[derive(Clone, Copy)]
enum Adapter {
    Tokio,
    Mio,
}

/// Mounts each test on each adapter.
macro_rules! on_each_adapter {
    ($($name:ident,)*) => {
        mod on_tokio {
            $(#[test] fn $name() { super::$name(super::Adapter::Tokio); })*
        }
        mod on_mio {
            $(#[test] fn $name() { super::$name(super::Adapter::Mio); })*
        }
    };
}

on_each_adapter! {
    messages_around_the_borders_of_frames_records_and_buffers_come_back,
    output_that_the_peer_does_not_take_waits_and_nothing_of_it_is_lost,
    a_server_that_cannot_be_trusted_is_told_apart,
    a_server_without_tls_is_told_as_such,
    a_server_that_says_nothing_is_given_up_at_the_deadline,
    a_client_without_tls_gets_an_alert_and_costs_the_others_nothing,
    clients_that_do_not_finish_tls_are_gone_by_the_handshake_deadline,
    records_that_come_byte_by_byte_are_understood,
    the_server_ends_with_a_close_notify_behind_its_close,
    a_client_that_leaves_without_a_word_is_an_end_and_no_fault,
    a_server_that_is_shut_down_closes_its_connections_over_tls,
}

/// A server on a free port.
struct Server {
    running: Running,
    address: SocketAddr,
    ended: Receiver<Closed>,
}

enum Running {
    Tokio(Runtime, sockeye_tokio::Server),
    Mio(sockeye_mio::Server),
}

impl Server {
    fn start(adapter: Adapter, tls: Option<TlsServer>, config: Config) -> Self {
        let config = config.share().expect("limits");
        let (service, ended, _) = obedient();
        let running = match adapter {
            Adapter::Tokio => {
                let mut options = sockeye_tokio::ServeOptions::default();
                (options.config, options.tls) = (config, tls);
                let runtime = Runtime::new().expect("a runtime");
                let server = runtime.block_on(async {
                    let listener = sockeye_tokio::listen("127.0.0.1:0").await.expect("a port");
                    sockeye_tokio::serve(listener, service, &options).expect("a listener")
                });
                Running::Tokio(runtime, server)
            }
            Adapter::Mio => {
                let mut options = sockeye_mio::ServeOptions::default();
                (options.config, options.tls) = (config, tls);
                let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
                Running::Mio(sockeye_mio::serve(listener, service, &options).expect("threads"))
            }
        };
        let address = match &running {
            Running::Tokio(_, server) => server.local_addr(),
            Running::Mio(server) => server.local_addr(),
        };
        Self {
            running,
            address,
            ended,
        }
    }

    fn url(&self) -> String {
        format!("wss://localhost:{}/", self.address.port())
    }

    fn next_end(&self) -> Closed {
        self.ended.recv_timeout(PATIENCE).expect("an end")
    }

    fn connections(&self) -> usize {
        match &self.running {
            Running::Tokio(_, server) => server.connections(),
            Running::Mio(server) => server.connections(),
        }
    }

    fn shut_down(&mut self) -> usize {
        let shutdown = Shutdown::default();
        match &mut self.running {
            Running::Tokio(runtime, server) => runtime.block_on(server.shut_down(shutdown)),
            Running::Mio(server) => server.shut_down(shutdown),
        }
    }
}

/// A client of ours.
enum Client {
    Tokio(Runtime, sockeye_tokio::WebSocket),
    Mio(sockeye_mio::WebSocket),
}

impl Client {
    fn connect(
        adapter: Adapter,
        url: &str,
        options: &ConnectOptions,
    ) -> Result<Self, ConnectError> {
        match adapter {
            Adapter::Tokio => {
                let runtime = Runtime::new().expect("a runtime");
                let ws = runtime.block_on(sockeye_tokio::connect(url, options))?;
                Ok(Self::Tokio(runtime, ws))
            }
            Adapter::Mio => sockeye_mio::connect(url, options).map(Self::Mio),
        }
    }

    fn open(adapter: Adapter, server: &Server, authority: &Authority) -> Self {
        let options = trusting(authority.client());
        Self::connect(adapter, &server.url(), &options).expect("a connection")
    }

    fn send(&mut self, message: &[u8]) {
        match self {
            Self::Tokio(runtime, ws) => runtime.block_on(ws.send(message)),
            Self::Mio(ws) => ws.send(message),
        }
        .expect("open");
    }

    fn recv(&mut self) -> Option<OwnedMessage> {
        match self {
            Self::Tokio(runtime, ws) => runtime.block_on(async {
                let received = tokio::time::timeout(PATIENCE, ws.recv()).await;
                received.expect("something")
            }),
            Self::Mio(ws) => ws.recv_timeout(PATIENCE).expect("something"),
        }
    }

    fn close(&mut self) {
        match self {
            Self::Tokio(runtime, ws) => runtime.block_on(ws.close(CloseCode::NORMAL, "done")),
            Self::Mio(ws) => ws.close(CloseCode::NORMAL, "done"),
        }
        .expect("open");
    }

    fn closed(&self) -> &Closed {
        match self {
            Self::Tokio(_, ws) => ws.closed(),
            Self::Mio(ws) => ws.closed(),
        }
        .expect("closed")
    }

    /// Sends and receives at the same time.
    fn exchange(
        self,
        messages: impl Iterator<Item = Vec<u8>> + Send,
        receive: impl Fn(OwnedMessage) -> bool,
    ) {
        match self {
            Self::Tokio(runtime, ws) => runtime.block_on(async {
                let (mut sender, mut receiver) = ws.split();
                let sending = async {
                    for message in messages {
                        sender.send(&message[..]).await.expect("open");
                    }
                };
                let receiving = async { while receive(receiver.recv().await.expect("open")) {} };
                tokio::join!(sending, receiving);
            }),
            Self::Mio(ws) => {
                let (sender, mut receiver) = ws.split();
                thread::scope(|scope| {
                    scope.spawn(move || {
                        for message in messages {
                            sender.send(&message[..]).expect("open");
                        }
                    });
                    while receive(receiver.recv().expect("open")) {}
                });
            }
        }
    }
}

fn start(adapter: Adapter, tls: TlsServer) -> Server {
    Server::start(adapter, Some(tls), Config::default())
}

fn trusting(client: TlsClient) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.tls = Some(client);
    options
}

fn refusal(adapter: Adapter, url: &str, client: TlsClient) -> ConnectError {
    let refused = Client::connect(adapter, url, &trusting(client));
    refused.err().expect("no connection")
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

fn messages_around_the_borders_of_frames_records_and_buffers_come_back(adapter: Adapter) {
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
    let mut ws = Client::open(adapter, &server, &authority);
    for len in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        ws.send(&message);
        let echo = ws.recv().expect("an echo");
        assert!(echo.as_bytes() == message, "{len}");
    }
    ws.close();
    assert!(ws.closed().is_clean());
    assert!(server.next_end().is_clean());
}

fn output_that_the_peer_does_not_take_waits_and_nothing_of_it_is_lost(adapter: Adapter) {
    const MESSAGES: usize = 300;
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
    let ws = Client::open(adapter, &server, &authority);
    let received = Cell::new(0);
    ws.exchange((0..MESSAGES).map(|n| vec![n as u8; 50_000]), |echo| {
        let n = received.get();
        assert!(echo.as_bytes() == [n as u8; 50_000], "{n}");
        received.set(n + 1);
        n + 1 < MESSAGES
    });
}

fn a_server_that_cannot_be_trusted_is_told_apart(adapter: Adapter) {
    let authority = Authority::make();
    let other = Authority::make();
    let server = start(adapter, authority.server("example.com"));
    let error = refusal(adapter, &server.url(), authority.client());
    assert_eq!(
        error.to_string(),
        format!(
            "cannot connect to localhost:{}: its certificate is for another name",
            server.address.port()
        )
    );
    assert_eq!(tls_error(error), TlsError::WrongName);
    let error = refusal(adapter, &server.url(), other.client());
    assert_eq!(tls_error(error), TlsError::UnknownIssuer);
    for (from, to, expected) in [
        (1990, 1991, TlsError::Expired),
        (4000, 4001, TlsError::NotYetValid),
    ] {
        let server = start(
            adapter,
            authority.server_with("localhost", |params| {
                params.not_before = date_time_ymd(from, 1, 1);
                params.not_after = date_time_ymd(to, 1, 1);
            }),
        );
        let error = refusal(adapter, &server.url(), authority.client());
        assert_eq!(tls_error(error), expected);
    }
}

fn a_server_without_tls_is_told_as_such(adapter: Adapter) {
    let authority = Authority::make();
    let server = Server::start(adapter, None, Config::default());
    let error = refusal(adapter, &server.url(), authority.client());
    assert_eq!(tls_error(error), TlsError::NotTls);
}

fn a_server_that_says_nothing_is_given_up_at_the_deadline(adapter: Adapter) {
    let authority = Authority::make();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(100);
    let mut options = trusting(authority.client());
    options.config = config.share().expect("limits");
    let url = format!("wss://127.0.0.1:{port}/");
    let error = Client::connect(adapter, &url, &options).err();
    assert!(matches!(error, Some(ConnectError::TimedOut { .. })));
}

fn a_client_without_tls_gets_an_alert_and_costs_the_others_nothing(adapter: Adapter) {
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
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

fn clients_that_do_not_finish_tls_are_gone_by_the_handshake_deadline(adapter: Adapter) {
    let authority = Authority::make();
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(300);
    config.linger = Duration::from_millis(100);
    let server = Server::start(adapter, Some(authority.server("localhost")), config);
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
        thread::yield_now();
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

fn records_that_come_byte_by_byte_are_understood(adapter: Adapter) {
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
    let mut peer = authority.by_hand(Dripping(tcp(server.address)));
    upgraded(&mut peer);
    peer.write_all(&frame(FIN | BINARY, &[7; 1000]))
        .expect("open");
    let mut echo = [0; 1004];
    peer.read_exact(&mut echo).expect("an echo");
    assert_eq!(echo[..4], [FIN | BINARY, 126, 3, 0xe8]);
    assert_eq!(echo[4..], [7; 1000]);
}

fn the_server_ends_with_a_close_notify_behind_its_close(adapter: Adapter) {
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
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

fn a_client_that_leaves_without_a_word_is_an_end_and_no_fault(adapter: Adapter) {
    let authority = Authority::make();
    let server = start(adapter, authority.server("localhost"));
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

fn a_server_that_is_shut_down_closes_its_connections_over_tls(adapter: Adapter) {
    let authority = Authority::make();
    let mut server = start(adapter, authority.server("localhost"));
    let mut ws = Client::open(adapter, &server, &authority);
    thread::scope(|scope| {
        let client = scope.spawn(move || {
            assert!(ws.recv().is_none());
            ws.closed().code
        });
        assert_eq!(server.shut_down(), 0);
        assert_eq!(client.join().expect("a client"), CloseCode::GOING_AWAY);
    });
}

#[test]
fn files_that_cannot_be_used_are_named() {
    let authority = Authority::make();
    let other = Authority::make();
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

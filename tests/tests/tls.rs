//! `wss`, from both ends of the wire and with peers that do not keep to it.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;

use rcgen::date_time_ymd;
use rustls::{ClientConnection, StreamOwned};
use sockeye_async::{ConnectOptions, Shutdown};
use sockeye_core::handshake::Accept;
use sockeye_core::{Cause, CloseCode, Config, Timeout};
use sockeye_tests::adapter::async_std::AsyncStd;
use sockeye_tests::adapter::mio::Mio;
use sockeye_tests::adapter::smol::Smol;
use sockeye_tests::adapter::tokio::Tokio;
use sockeye_tests::adapter::{Adapter, Socket};
use sockeye_tests::authority::Authority;
use sockeye_tests::server::TestServer;
use sockeye_tests::wire::{BINARY, CLOSE, FIN, PATIENCE, Raw, TEXT, UPGRADE, frame};
use sockeye_tokio::{TlsClient, TlsConfigError, TlsError, TlsServer};
use tokio::runtime::Runtime;

/// Mounts each test on each adapter.
macro_rules! on_each_adapter {
    ($($name:ident,)*) => {
        on_each_adapter! { on_tokio Tokio $($name)* }
        on_each_adapter! { on_async_std AsyncStd $($name)* }
        on_each_adapter! { on_smol Smol $($name)* }
        on_each_adapter! { on_mio Mio $($name)* }
    };
    ($module:ident $adapter:ident $($name:ident)*) => {
        mod $module {
            $(#[test] fn $name() { super::$name::<super::$adapter>(); })*
        }
    };
}

on_each_adapter! {
    messages_around_the_borders_of_frames_records_and_buffers_come_back,
    output_that_the_peer_does_not_take_waits_and_nothing_of_it_is_lost,
    a_peer_that_never_reads_is_given_up_at_the_write_deadline,
    a_send_to_a_peer_that_never_reads_ends_at_the_write_deadline,
    a_close_to_a_peer_that_never_reads_ends_at_the_write_deadline,
    a_server_that_cannot_be_trusted_is_told_apart,
    a_server_without_tls_is_told_as_such,
    a_server_that_says_nothing_is_given_up_at_the_deadline,
    a_client_without_tls_gets_an_alert_and_costs_the_others_nothing,
    clients_that_do_not_finish_tls_are_gone_by_the_handshake_deadline,
    records_that_come_byte_by_byte_are_understood,
    the_server_ends_with_a_close_notify_behind_its_close,
    a_client_that_leaves_without_a_word_is_an_end_and_no_fault,
    a_server_that_is_shut_down_closes_its_connections_over_tls,
    a_connection_is_accepted_over_tls_without_a_server,
}

fn start<A: Adapter>(tls: TlsServer) -> TestServer<A> {
    TestServer::start(|_, options| options.tls = Some(tls))
}

fn url<A: Adapter>(server: &TestServer<A>) -> String {
    format!("wss://localhost:{}/", server.address.port())
}

fn trusting(client: TlsClient) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.tls = Some(client);
    options
}

fn open<A: Adapter>(server: &TestServer<A>, authority: &Authority) -> A::WebSocket {
    let options = trusting(authority.client());
    A::connect(&url(server), &options).expect("a connection")
}

/// The client says why there is no connection, and to whom.
fn assert_refused<A: Adapter>(server: &TestServer<A>, client: TlsClient, reason: &TlsError) {
    let refused = A::connect(&url(server), &trusting(client)).err();
    let sentence = refused.expect("no connection").sentence;
    let port = server.address.port();
    assert_eq!(
        sentence,
        format!("cannot connect to localhost:{port}: {reason}")
    );
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

fn messages_around_the_borders_of_frames_records_and_buffers_come_back<A: Adapter>() {
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
    let mut ws = open(&server, &authority);
    for len in [0, 1, 125, 126, 16_383, 16_384, 16_385, 65_536, 1 << 20] {
        let message: Vec<u8> = (0..len).map(|n| n as u8).collect();
        ws.send(message.clone()).expect("open");
        let echo = ws.recv().expect("an echo");
        assert!(echo.as_bytes() == message, "{len}");
    }
    ws.close(CloseCode::NORMAL, "done").expect("open");
    assert!(ws.closed().expect("closed").is_clean());
    assert!(server.next_end().is_clean());
}

fn output_that_the_peer_does_not_take_waits_and_nothing_of_it_is_lost<A: Adapter>() {
    const MESSAGES: usize = 300;
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
    let options = trusting(authority.client());
    let message = |n: usize| vec![n as u8; 50_000];
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let ws = sockeye_tokio::connect(&url(&server), &options).await;
        let (mut sender, mut receiver) = ws.expect("a connection").split();
        let sending = async {
            for n in 0..MESSAGES {
                sender.send(message(n)).await.expect("open");
            }
        };
        let receiving = async {
            for n in 0..MESSAGES {
                let echo = receiver.recv().await.expect("an echo");
                assert!(echo.as_bytes() == message(n), "{n}");
            }
        };
        tokio::join!(sending, receiving);
    });
    let ws = sockeye_mio::connect(&url(&server), &options).expect("a connection");
    let (sender, mut receiver) = ws.split();
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..MESSAGES {
                sender.send(message(n)).expect("open");
            }
        });
        for n in 0..MESSAGES {
            let echo = receiver.recv().expect("an echo");
            assert!(echo.as_bytes() == message(n), "{n}");
        }
    });
}

fn a_peer_that_never_reads_is_given_up_at_the_write_deadline<A: Adapter>() {
    let authority = Authority::make();
    let tls = authority.server("localhost");
    let server = TestServer::<A>::start(|config, options| {
        stall_early(config);
        options.tls = Some(tls);
    });
    let mut peer = authority.by_hand(tcp(server.address));
    upgraded(&mut peer);
    // The answers of one turn are less than TLS takes from a socket that is full.
    let batch = frame(FIN | BINARY, &[7; 1000]).repeat(16);
    let writing = thread::spawn(move || while peer.write_all(&batch).is_ok() {});
    assert_eq!(server.next_end().cause, Cause::Timeout(Timeout::Write));
    writing.join().expect("the reset");
}

fn a_send_to_a_peer_that_never_reads_ends_at_the_write_deadline<A: Adapter>() {
    let mut config = Config::default();
    stall_early(&mut config);
    let cause = end_of_stalled::<A>(config, |ws| while ws.send(vec![7; 1000]).is_ok() {});
    assert_eq!(cause, Cause::Timeout(Timeout::Write));
}

fn a_close_to_a_peer_that_never_reads_ends_at_the_write_deadline<A: Adapter>() {
    let mut config = Config::default();
    stall_early(&mut config);
    // No message waits for the socket, so that the Close is queued before the deadline.
    (config.soft_mark, config.hard_mark) = (64 << 20, 64 << 20);
    let cause = end_of_stalled::<A>(config, |ws| {
        // Kernels buffer some megabytes, but not this much.
        for _ in 0..1024 {
            // Refused only if the deadline has come already.
            let _ = ws.send(vec![7; 32 << 10]);
        }
        ws.close(CloseCode::NORMAL, "").expect("open");
    });
    assert_eq!(cause, Cause::Timeout(Timeout::Write));
}

/// A deadline for writing that comes soon, and none that comes before it.
fn stall_early(config: &mut Config) {
    config.write_timeout = Duration::from_millis(500);
    config.ping_interval = None;
}

/// How a connection ends on which `act` is done while the client never reads.
fn end_of_stalled<A: Adapter>(
    config: Config,
    act: impl FnOnce(&mut A::WebSocket) + Send + 'static,
) -> Cause {
    let authority = Authority::make();
    let tls = authority.server("localhost");
    let config = config.share().expect("limits");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (ended_sender, ended) = mpsc::channel();
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a client");
        let accepted = A::accept_tls(stream, &tls, &config, |_| Ok(Accept::new()));
        let mut ws = accepted.expect("an upgrade");
        act(&mut ws);
        while ws.recv().is_some() {}
        let _ = ended_sender.send(ws.closed().expect("closed").cause);
    });
    let mut peer = authority.by_hand(tcp(address));
    upgraded(&mut peer);
    ended.recv_timeout(PATIENCE).expect("an end")
}

fn a_server_that_cannot_be_trusted_is_told_apart<A: Adapter>() {
    let authority = Authority::make();
    let other = Authority::make();
    let server = start::<A>(authority.server("example.com"));
    assert_refused(&server, authority.client(), &TlsError::WrongName);
    assert_refused(&server, other.client(), &TlsError::UnknownIssuer);
    for (from, to, expected) in [
        (1990, 1991, TlsError::Expired),
        (4000, 4001, TlsError::NotYetValid),
    ] {
        let server = start::<A>(authority.server_with("localhost", |params| {
            params.not_before = date_time_ymd(from, 1, 1);
            params.not_after = date_time_ymd(to, 1, 1);
        }));
        assert_refused(&server, authority.client(), &expected);
    }
}

fn a_server_without_tls_is_told_as_such<A: Adapter>() {
    let authority = Authority::make();
    let server = TestServer::<A>::start(|_, _| {});
    assert_refused(&server, authority.client(), &TlsError::NotTls);
}

fn a_server_that_says_nothing_is_given_up_at_the_deadline<A: Adapter>() {
    let authority = Authority::make();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let mut config = Config::default();
    config.handshake_timeout = Duration::from_millis(100);
    let mut options = trusting(authority.client());
    options.config = config.share().expect("limits");
    let url = format!("wss://127.0.0.1:{port}/");
    let error = A::connect(&url, &options).err().expect("no answer");
    assert!(
        error.sentence.ends_with("did not answer in time"),
        "{}",
        error.sentence
    );
}

fn a_client_without_tls_gets_an_alert_and_costs_the_others_nothing<A: Adapter>() {
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
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

fn clients_that_do_not_finish_tls_are_gone_by_the_handshake_deadline<A: Adapter>() {
    let authority = Authority::make();
    let tls = authority.server("localhost");
    let server = TestServer::<A>::start(|config, options| {
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

fn records_that_come_byte_by_byte_are_understood<A: Adapter>() {
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
    let mut peer = authority.by_hand(Dripping(tcp(server.address)));
    upgraded(&mut peer);
    peer.write_all(&frame(FIN | BINARY, &[7; 1000]))
        .expect("open");
    let mut echo = [0; 1004];
    peer.read_exact(&mut echo).expect("an echo");
    assert_eq!(echo[..4], [FIN | BINARY, 126, 3, 0xe8]);
    assert_eq!(echo[4..], [7; 1000]);
}

fn the_server_ends_with_a_close_notify_behind_its_close<A: Adapter>() {
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
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

fn a_client_that_leaves_without_a_word_is_an_end_and_no_fault<A: Adapter>() {
    let authority = Authority::make();
    let server = start::<A>(authority.server("localhost"));
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

fn a_server_that_is_shut_down_closes_its_connections_over_tls<A: Adapter>() {
    let authority = Authority::make();
    let mut server = start::<A>(authority.server("localhost"));
    let mut ws = open(&server, &authority);
    let (dropped, code) = server.shut_down_while(Shutdown::default(), move || {
        assert!(ws.recv().is_none());
        ws.closed().expect("closed").code
    });
    assert_eq!((dropped, code), (0, CloseCode::GOING_AWAY));
}

fn a_connection_is_accepted_over_tls_without_a_server<A: Adapter>() {
    let authority = Authority::make();
    let tls = authority.server("localhost");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let accept = || {
        let (stream, _) = listener.accept().expect("a client");
        let config = Config::default().share().expect("limits");
        A::accept_tls(stream, &tls, &config, |_| Ok(Accept::new()))
    };
    let url = format!("wss://localhost:{}/", address.port());
    let options = trusting(authority.client());
    let client = thread::spawn(move || {
        let mut ws = A::connect(&url, &options).expect("a server");
        ws.send("hello").expect("open");
        assert_eq!(ws.recv(), Some("HELLO".into()));
        ws.close(CloseCode::NORMAL, "").expect("open");
        assert!(ws.closed().expect("closed").is_clean());
    });
    let mut ws = accept().expect("an upgrade");
    while let Some(message) = ws.recv() {
        ws.send(message.as_text().expect("text").to_uppercase())
            .expect("open");
    }
    assert!(ws.closed().expect("closed").is_clean());
    client.join().expect("no panic");

    // One who does not speak TLS is told so in TLS.
    let mut plain = Raw::silent(address);
    plain.write(UPGRADE.as_bytes());
    let refused = accept().err().expect("no TLS");
    assert_eq!(refused.sentence, TlsError::NotTls.to_string());
    let mut alert = Vec::new();
    // The rest of the request is unread, so that the end may be a reset.
    let _ = plain.0.read_to_end(&mut alert);
    assert_eq!(alert.first(), Some(&0x15), "{alert:?}");
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

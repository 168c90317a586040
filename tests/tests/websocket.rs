//! `accept`, `connect` and `WebSocket` on tokio.

extern crate alloc;

use alloc::sync::Arc;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use futures_util::{SinkExt, StreamExt};
use sockeye_core::handshake::{Accept, ClientRequest, Request, Response, Url};
use sockeye_core::{
    Cause, CloseCode, Config, Frame, Incoming, OwnedMessage, SendError, SharedConfig, Timeout,
};
use sockeye_tests::wire::{CLOSE, FIN, PING, Raw, TEXT, frame};
use sockeye_tokio::{
    AcceptError, ConnectError, ConnectOptions, WebSocket, accept, connect, connect_over,
};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream, DuplexStream, ReadBuf, duplex,
};
use tokio::net::{TcpListener, TcpStream};

/// Two ends of one connection: server, client.
async fn pair_over<S, C>(server: S, client: C, config: Config) -> (WebSocket<S>, WebSocket<C>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: AsyncRead + AsyncWrite + Unpin,
{
    let config = config.share().expect("valid limits");
    let request = ClientRequest::new(&Url::parse("ws://test/").expect("a URL"));
    let (server, client) = tokio::join!(
        accept(server, &config, |_| Ok(Accept::new())),
        connect_over(client, &request, &config, "test"),
    );
    (server.expect("an upgrade"), client.expect("an answer"))
}

async fn pair() -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (server, client) = duplex(16 << 10);
    pair_over(server, client, Config::default()).await
}

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/", listener.local_addr().expect("bound"));
    (listener, url)
}

/// Echoes until the end.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut ws: WebSocket<S>) -> WebSocket<S> {
    while let Some(message) = ws.recv().await {
        if ws.send(message).await.is_err() {
            // `recv` tells how it ends.
        }
    }
    ws
}

#[tokio::test]
async fn both_ends_of_a_close_handshake_hear_how_it_ended() {
    let (server, mut client) = pair().await;
    let server = tokio::spawn(echo(server));
    client.send("hello").await.expect("open");
    assert_eq!(client.recv().await, Some("hello".into()));
    client
        .close(CloseCode::new(4000), "bye")
        .await
        .expect("a code");
    let server = server.await.expect("no panic");
    // The answer repeats the code, not the reason.
    for (closed, reason) in [(client.closed(), ""), (server.closed(), "bye")] {
        let closed = closed.expect("ended");
        assert!(closed.is_clean());
        assert_eq!(closed.code, CloseCode::new(4000));
        assert_eq!(&*closed.reason, reason);
    }
    assert_eq!(client.recv().await, None);
    assert_eq!(client.send("late").await, Err(SendError::Closed));
    assert_eq!(client.close(CloseCode::NORMAL, "").await, Ok(()));
}

#[tokio::test]
async fn a_code_that_must_not_be_sent_is_refused_and_nothing_happens() {
    let (server, mut client) = pair().await;
    let server = tokio::spawn(echo(server));
    for code in [
        CloseCode::ABNORMAL,
        CloseCode::new(999),
        CloseCode::new(5000),
    ] {
        assert_eq!(client.close(code, "").await, Err(SendError::CloseCode));
    }
    let long = "x".repeat(124);
    assert_eq!(
        client.close(CloseCode::NORMAL, &long).await,
        Err(SendError::TooLong)
    );
    client.send("still here").await.expect("open");
    assert_eq!(client.recv().await, Some("still here".into()));
    drop(client);
    let server = server.await.expect("no panic");
    assert_eq!(server.closed().expect("ended").cause, Cause::Eof);
}

#[tokio::test]
async fn a_recv_that_is_dropped_at_any_point_loses_nothing() {
    let (stream, mut wire) = duplex(64);
    let config = SharedConfig::default();
    let upgrade = tokio::spawn(async move {
        wire.write_all(sockeye_tests::wire::UPGRADE.as_bytes())
            .await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(wire.read_u8().await?);
        }
        Ok::<_, io::Error>(wire)
    });
    let mut ws = accept(stream, &config, |_| Ok(Accept::new()))
        .await
        .expect("an upgrade");
    let mut wire = upgrade.await.expect("no panic").expect("a head");
    let texts: Vec<String> = (0..200_usize)
        .map(|n| format!("{n} {}", "é".repeat(n % 40)))
        .collect();
    let sent = texts.clone();
    let writer = tokio::spawn(async move {
        for text in sent {
            let (cut, rest) = text.as_bytes().split_at(text.len() / 2);
            let bytes = [frame(TEXT, cut), frame(FIN | PING, b"x"), frame(FIN, rest)].concat();
            for byte in bytes {
                wire.write_all(&[byte]).await?;
                tokio::task::yield_now().await;
            }
        }
        Ok::<_, io::Error>(wire)
    });
    let mut received = Vec::new();
    let mut dropped = 0;
    while received.len() < texts.len() {
        tokio::select! {
            biased;
            message = ws.recv() => received.push(message.expect("open")),
            () = tokio::task::yield_now() => dropped += 1,
        }
    }
    assert!(dropped > texts.len(), "{dropped}");
    let received: Vec<_> = received.iter().filter_map(OwnedMessage::as_text).collect();
    assert_eq!(received, texts);
    writer.await.expect("no panic").expect("written");
}

#[tokio::test]
async fn a_branch_of_select_that_is_disabled_sends_nothing() {
    let (server, mut client) = pair().await;
    let (mut send, _recv) = server.split();
    for ready in [false, false, true] {
        tokio::select! {
            biased;
            () = tokio::task::yield_now(), if !ready => {}
            // Made in any case, and only polled where it is enabled.
            sent = send.send("x"), if ready => sent.expect("open"),
        }
    }
    send.close(CloseCode::NORMAL, "").await.expect("open");
    assert_eq!(client.recv().await, Some("x".into()));
    assert_eq!(client.recv().await, None);
}

#[tokio::test]
async fn a_client_that_only_receives_answers_pings_and_closes() {
    let (mut server, mut client) = pair().await;
    let client = tokio::spawn(async move {
        assert_eq!(client.recv().await, None);
        client
    });
    server.ping(b"are you there").await.expect("open");
    let pong = Incoming::Pong(b"are you there".to_vec());
    assert_eq!(server.incoming().await, Some(pong));
    server
        .close(CloseCode::GOING_AWAY, "")
        .await
        .expect("a code");
    assert!(server.closed().expect("ended").is_clean());
    let client = client.await.expect("no panic");
    assert_eq!(client.closed().expect("ended").code, CloseCode::GOING_AWAY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn halves_on_two_tasks_carry_traffic_both_ways_at_once() {
    const MESSAGES: usize = 2000;
    let (listener, url) = listen().await;
    let accepted = tokio::spawn(async move {
        let (stream, _) = listener.accept().await?;
        let config = SharedConfig::default();
        accept(stream, &config, |_| Ok(Accept::new()))
            .await
            .map_err(io::Error::other)
    });
    let client = connect(&url, &ConnectOptions::default())
        .await
        .expect("a server");
    let server = accepted.await.expect("no panic").expect("a client");
    // Far more than the sockets hold, and nobody answers anybody.
    let run = |ws: WebSocket| async move {
        let (mut send, mut recv) = ws.split();
        let sender = tokio::spawn(async move {
            for n in 0..MESSAGES {
                send.send(vec![n as u8; 10_000]).await?;
            }
            send.flush().await?;
            Ok::<_, SendError>(send)
        });
        for n in 0..MESSAGES {
            let message = recv.recv().await.expect("a message");
            assert_eq!(message.as_bytes(), vec![n as u8; 10_000]);
        }
        (sender.await.expect("no panic").expect("open"), recv)
    };
    let (server, client) = tokio::join!(tokio::spawn(run(server)), tokio::spawn(run(client)));
    let (_server_send, mut server_recv) = server.expect("no panic");
    let (mut client_send, mut client_recv) = client.expect("no panic");
    client_send
        .close(CloseCode::NORMAL, "")
        .await
        .expect("a code");
    assert_eq!(
        tokio::join!(server_recv.recv(), client_recv.recv()),
        (None, None)
    );
    assert!(server_recv.closed().expect("ended").is_clean());
    assert!(client_recv.closed().expect("ended").is_clean());
    assert_eq!(client_send.send("late").await, Err(SendError::Closed));
}

#[tokio::test]
async fn a_sending_half_needs_no_receiving_half_to_be_polled() {
    let (server, mut client) = pair().await;
    let (mut send, _recv) = server.split();
    let sender = tokio::spawn(async move {
        for _ in 0..1000 {
            send.send(vec![0; 1000]).await?;
        }
        send.flush().await
    });
    for _ in 0..1000 {
        assert_eq!(client.recv().await.expect("open").as_bytes().len(), 1000);
    }
    assert_eq!(sender.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_receiving_half_that_waits_is_told_of_its_own_close() {
    let (server, client) = pair().await;
    let server = tokio::spawn(echo(server));
    let (mut send, mut recv) = client.split();
    let receiver = tokio::spawn(async move {
        assert_eq!(recv.recv().await, None);
        recv.closed().cloned()
    });
    tokio::task::yield_now().await;
    send.close(CloseCode::NORMAL, "").await.expect("a code");
    assert!(receiver.await.expect("no panic").expect("ended").is_clean());
    server.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn a_receiving_half_that_waits_is_told_when_its_own_close_is_not_answered() {
    let (server, client) = duplex(16 << 10);
    let mut config = Config::default();
    config.ping_interval = None;
    let (_silent, client) = pair_over(server, client, config).await;
    let (mut send, mut recv) = client.split();
    let receiver = tokio::spawn(async move {
        assert_eq!(recv.recv().await, None);
        recv.closed().map(|closed| closed.cause)
    });
    tokio::task::yield_now().await;
    send.close(CloseCode::NORMAL, "").await.expect("a code");
    let patience = Duration::from_secs(6);
    let ended = tokio::time::timeout(patience, receiver).await;
    let cause = ended.expect("the close deadline").expect("no panic");
    assert_eq!(cause, Some(Cause::Timeout(Timeout::Close)));
}

#[tokio::test]
async fn a_stream_is_forwarded_to_a_sink() {
    let (server, mut client) = pair().await;
    let server = tokio::spawn(async move {
        let (sink, stream) = server.split();
        stream.map(Ok).forward(sink).await
    });
    for n in 0..100 {
        SinkExt::send(&mut client, format!("{n}"))
            .await
            .expect("open");
        assert_eq!(client.next().await, Some(format!("{n}").into()));
    }
    SinkExt::<OwnedMessage>::close(&mut client)
        .await
        .expect("open");
    assert!(client.closed().expect("ended").is_clean());
    assert_eq!(server.await.expect("no panic"), Ok(()));
}

#[tokio::test]
async fn a_frame_is_encoded_once_for_either_role() {
    let (mut server, mut client) = pair().await;
    let shared = Frame::new("to everybody");
    server.send_frame(&shared).await.expect("open");
    client.send_frame(&shared).await.expect("open");
    assert_eq!(server.recv().await, Some("to everybody".into()));
    assert_eq!(client.recv().await, Some("to everybody".into()));
}

/// Counts what reaches the stream below.
struct Counting<S> {
    stream: S,
    writes: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counting<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counting<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn a_pipelining_client_is_answered_read_by_read_and_not_message_by_message() {
    let writes = Arc::new(AtomicUsize::new(0));
    let (stream, client) = duplex(64 << 10);
    let stream = Counting {
        stream,
        writes: Arc::clone(&writes),
    };
    let (server, mut client) = pair_over(stream, client, Config::default()).await;
    let before = writes.load(Ordering::Relaxed);
    let server = tokio::spawn(echo(server));
    for _ in 0..1000 {
        client.sender().send("sixteen bytes ok").expect("open");
    }
    client.flush().await.expect("open");
    for _ in 0..1000 {
        assert!(client.recv().await.is_some());
    }
    // 22,000 bytes on the wire are two reads of 17 KiB.
    let answers = writes.load(Ordering::Relaxed) - before;
    assert!(answers <= 3, "{answers} writes");
    client.close(CloseCode::NORMAL, "").await.expect("a code");
    server.await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn an_idle_peer_is_pinged_and_given_up_on_the_clock_of_tokio() {
    // The client's end is never polled: it answers nothing.
    let (mut server, _client) = pair().await;
    let begin = tokio::time::Instant::now();
    assert_eq!(server.recv().await, None);
    let waited = begin.elapsed();
    assert!((35..37).contains(&waited.as_secs()), "{waited:?}");
    assert_eq!(
        server.closed().expect("ended").cause,
        Cause::Timeout(Timeout::Pong)
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_times_out() {
    let (listener, url) = listen().await;
    let silent = tokio::spawn(async move { listener.accept().await });
    let error = connect(&url, &ConnectOptions::default())
        .await
        .expect_err("silence");
    assert!(matches!(error, ConnectError::TimedOut { .. }), "{error}");
    drop(silent.await);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_asks_is_told_at_the_deadline() {
    let (stream, mut client) = duplex(1000);
    client.write_all(b"GET / HTTP/1.1\r\n").await.expect("room");
    let config = SharedConfig::default();
    let begin = tokio::time::Instant::now();
    let read = tokio::spawn(async move {
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.map(|_| answer)
    });
    let error = accept(stream, &config, |_| Ok(Accept::new()))
        .await
        .expect_err("no request");
    assert!(matches!(error, AcceptError::Handshake(_)), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(12));
    let answer = read.await.expect("no panic").expect("text");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_101_is_given_up_behind_a_buffer_too() {
    let (stream, mut client) = duplex(10);
    let asked = tokio::spawn(async move {
        client
            .write_all(sockeye_tests::wire::UPGRADE.as_bytes())
            .await
            .expect("read");
        client
    });
    let config = SharedConfig::default();
    let accepted = accept(BufStream::new(stream), &config, |_| Ok(Accept::new()));
    let patience = Duration::from_secs(11);
    let accepted = tokio::time::timeout(patience, accepted).await;
    let error = accepted.expect("the deadline").expect_err("nobody reads");
    assert!(matches!(error, AcceptError::Io(_)), "{error}");
    drop(asked.await);
}

#[tokio::test]
async fn a_refusal_carries_status_fields_and_body() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let refuse = |_: &Request<'_>| {
            let response = Response::text(403, "members only\nsorry\n");
            Err(response.field("X-Reason", "no ticket").expect("a field"))
        };
        accept(stream, &SharedConfig::default(), refuse)
            .await
            .expect_err("refused")
    });
    let error = connect(&url, &ConnectOptions::default())
        .await
        .expect_err("403");
    let sentence = error.to_string();
    assert!(
        sentence.ends_with(" answered 403 Forbidden: members only"),
        "{sentence}"
    );
    let ConnectError::Rejected { response, .. } = error else {
        panic!("{sentence}");
    };
    assert_eq!(response.value("x-reason"), Some(&b"no ticket"[..]));
    assert_eq!(response.content(), &b"members only\nsorry\n"[..]);
    assert!(
        matches!(server.await.expect("no panic"), AcceptError::Refused(r) if r.status() == 403)
    );
}

#[tokio::test]
async fn a_subprotocol_and_fields_reach_both_sides() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let decide = |request: &Request<'_>| {
            assert_eq!(request.cookie("id"), Some("7"));
            assert_eq!(request.origin(), Some("http://page.example"));
            let last = request.subprotocols().last().expect("an offer");
            let accept = Accept::new().subprotocol(last).expect("a token");
            Ok(accept.field("Set-Cookie", "id=8").expect("a field"))
        };
        accept(stream, &SharedConfig::default(), decide)
            .await
            .expect("an upgrade")
    });
    let mut options = ConnectOptions::default();
    options.subprotocols = vec!["one".into(), "two".into()];
    options.fields = vec![("Cookie".into(), b"id=7".to_vec())];
    options.origin = Some("http://page.example".into());
    let client = connect(&url, &options).await.expect("a server");
    let server = server.await.expect("no panic");
    assert_eq!(
        (client.subprotocol(), server.subprotocol()),
        (Some("two"), Some("two"))
    );
    let response = client.response().expect("a client has one");
    assert_eq!(response.value("Set-Cookie"), Some(&b"id=8"[..]));
}

#[tokio::test]
async fn what_cannot_be_connected_to_is_named() {
    let unused = {
        let (listener, _) = listen().await;
        listener.local_addr().expect("bound")
    };
    let mut bad_field = ConnectOptions::default();
    bad_field.fields = vec![("X".into(), b"a\r\nb".to_vec())];
    let plain = ConnectOptions::default();
    for (url, options, named) in [
        ("http://example.com/", &plain, "http://example.com/"),
        ("ws://", &plain, "ws://"),
        ("ws://127.0.0.1:1/\r\nX: y", &plain, "\\r\\n"),
        (
            "wss://no-such-host.invalid/",
            &plain,
            "no-such-host.invalid:443",
        ),
        (&*format!("ws://{unused}/"), &plain, &*unused.to_string()),
        ("ws://127.0.0.1:1/", &bad_field, "request"),
    ] {
        let error = connect(url, options).await.expect_err(url).to_string();
        assert!(error.contains(named), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_gets_the_code_and_the_client_the_reason() {
    let (listener, url) = listen().await;
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let ws = accept(stream, &SharedConfig::default(), |_| Ok(Accept::new())).await;
        let ws: WebSocket<TcpStream> = ws.expect("an upgrade");
        // A reserved bit, written past the protocol.
        let stream = ws.transport().expect("open").get_ref().get_ref();
        stream.try_write(b"\xc1\x02hi").expect("room");
        echo(ws).await
    });
    let mut client = connect(&url, &ConnectOptions::default())
        .await
        .expect("a server");
    assert_eq!(client.recv().await, None);
    let closed = client.closed().expect("ended");
    assert_eq!(closed.code, CloseCode::PROTOCOL_ERROR);
    assert!(matches!(closed.cause, Cause::Violation(_)));
    let server = server.await.expect("no panic");
    assert_eq!(
        server.closed().expect("ended").code,
        CloseCode::PROTOCOL_ERROR
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_message_larger_than_any_buffer_arrives_whole_in_both_directions() {
    let mut config = Config::default();
    config.max_message = 16 << 20;
    let config = config.share().expect("valid");
    let (listener, url) = listen().await;
    let server_config = config.clone();
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let ws = accept(stream, &server_config, |_| Ok(Accept::new())).await;
        echo(ws.expect("an upgrade")).await
    });
    let mut options = ConnectOptions::default();
    options.config = config;
    let mut client = connect(&url, &options).await.expect("a server");
    let binary: Vec<u8> = (0..16 << 20).map(|n: u32| (n % 251) as u8).collect();
    let text = "añb".repeat(4 << 20);
    client.send(&*binary).await.expect("open");
    assert!(client.recv().await.expect("open").as_bytes() == binary);
    client.send(&text).await.expect("open");
    assert!(client.recv().await.expect("open").as_text() == Some(&text));
    client.close(CloseCode::NORMAL, "").await.expect("a code");
    assert!(
        server
            .await
            .expect("no panic")
            .closed()
            .expect("ended")
            .is_clean()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_web_socket_is_interrupted_by_its_peers_close_while_it_sends() {
    let (listener, _) = listen().await;
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let ws = accept(stream, &SharedConfig::default(), |_| Ok(Accept::new())).await;
        let mut ws = ws.expect("an upgrade");
        while ws.send(vec![0; 10_000]).await.is_ok() {}
        assert_eq!(ws.recv().await, None);
        ws
    });
    tokio::task::spawn_blocking(move || {
        let mut raw = Raw::open(address);
        raw.send(FIN | CLOSE, &1000_u16.to_be_bytes());
        // It reads some, and is gone.
        for _ in 0..100 {
            raw.read();
        }
    })
    .await
    .expect("no panic");
    assert!(server.await.expect("no panic").closed().is_some());
}

//! Handlers written as one function, and as a stream.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{self, Poll, Waker};
use core::time::Duration;
use std::sync::Mutex;

use async_stream::stream;
use sockeye_handler::testing::TestServer;
use sockeye_handler::{CloseCode, Config, Frame, Out, OwnedMessage, SendError, generator, linear};

use crate::probe::Notes;

#[test]
fn a_linear_handler_runs_until_the_client_closes_and_then_the_code_behind_its_loop() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |mut ws| {
            let notes = notes.clone();
            async move {
                notes.push(format!("open {}", ws.is_open()));
                while let Some(message) = ws.recv().await {
                    notes.push("message");
                    ws.send(message).await?;
                }
                notes.push(format!("open {}", ws.is_open()));
                assert_eq!(ws.send("late").await, Err(SendError::Closed));
                assert_eq!(ws.recv().await, None);
                ws.sleep(Duration::from_secs(2)).await;
                notes.push("offline");
                Ok::<_, SendError>(())
            }
        })
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("one").expect("open");
    assert_eq!(client.recv_text().as_deref(), Some("one"));
    assert_eq!(notes.take(), ["open true", "message"]);
    client.close(CloseCode::NORMAL, "");
    assert!(client.closed().is_some_and(|closed| closed.is_clean()));
    assert_eq!(notes.take(), ["open false"]);
    // The transport is gone, the function is not.
    drop(client);
    assert_eq!(server.sessions(), 1);
    server.advance(Duration::from_secs(3));
    assert_eq!(notes.take(), ["offline"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn the_code_behind_the_loop_runs_when_the_transport_is_lost() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |mut ws| {
            let notes = notes.clone();
            async move {
                while ws.recv().await.is_some() {}
                notes.push("offline");
            }
        })
    };
    let server = TestServer::new(service);
    drop(server.connect("/").expect("accepted"));
    assert_eq!(notes.take(), ["offline"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_function_that_does_not_return_is_dropped_after_five_seconds() {
    struct Guard(Notes);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.push("dropped");
        }
    }
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |ws| {
            let guard = Guard(notes.clone());
            async move {
                ws.sleep(Duration::from_secs(1_000_000)).await;
                drop(guard);
            }
        })
    };
    let server = TestServer::new(service);
    drop(server.connect("/").expect("accepted"));
    server.advance(Duration::from_millis(4900));
    assert_eq!((notes.count("dropped"), server.sessions()), (0, 1));
    server.advance(Duration::from_millis(200));
    assert_eq!((notes.count("dropped"), server.sessions()), (1, 0));
}

#[test]
fn what_the_function_returns_is_the_close_code() {
    for (path, code) in [
        ("/ok", 1000),
        ("/err", 1011),
        ("/own", 4001),
        ("/late", 1000),
    ] {
        let server = TestServer::new(linear(|ws| async move {
            ws.send("bye").await.map_err(drop)?;
            match ws.scope().target() {
                "/err" => Err(()),
                "/own" => {
                    ws.close(CloseCode::new(4001), "own");
                    Err(())
                }
                "/late" => {
                    ws.sleep(Duration::from_secs(1)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        }));
        let mut client = server.connect(path).expect("accepted");
        server.advance(Duration::from_secs(2));
        assert_eq!(client.recv_text().as_deref(), Some("bye"), "{path}");
        assert_eq!(
            client.closed().map(|c| c.code),
            Some(CloseCode::new(code)),
            "{path}"
        );
        assert_eq!(server.sessions(), 0);
    }
}

#[test]
fn a_function_that_is_busy_slows_its_client_down() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |mut ws| {
            let notes = notes.clone();
            async move {
                while let Some(message) = ws.recv().await {
                    notes.push(message.as_text().unwrap_or_default());
                    ws.sleep(Duration::from_secs(1)).await;
                }
            }
        })
    };
    for read_size in [3, 16 << 10] {
        let server = TestServer::new(service.clone());
        server.set_read_size(read_size);
        let mut client = server.connect("/").expect("accepted");
        client.send_all(["a", "b", "c", "d"]).expect("open");
        assert_eq!(notes.take(), ["a"]);
        server.advance(Duration::from_millis(1100));
        assert_eq!(notes.take(), ["b"]);
        server.advance(Duration::from_millis(2200));
        assert_eq!(notes.take(), ["c", "d"]);
        // Nothing is lost on the way, the end neither.
        client.close(CloseCode::NORMAL, "");
        server.advance(Duration::from_millis(1100));
        assert!(client.closed().is_some_and(|closed| closed.is_clean()));
        server.advance(Duration::from_secs(6));
    }
}

#[test]
fn a_function_waits_while_its_client_does_not_read() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |mut ws| {
            let notes = notes.clone();
            async move {
                ws.recv().await;
                let frame = Frame::new("x".repeat(1000).as_str());
                for _ in 0..100 {
                    ws.send_frame(frame.clone()).await?;
                    notes.push("sent");
                }
                Ok::<_, SendError>(())
            }
        })
    };
    let mut config = Config::default();
    config.soft_mark = 10_000;
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("go").expect("open");
    // The soft mark, and one above it.
    assert!((10..=11).contains(&notes.take().len()));
    client.unstall();
    assert_eq!(core::iter::from_fn(|| client.recv()).count(), 100);
    assert!((89..=90).contains(&notes.take().len()));
    assert_eq!(client.closed().map(|c| c.code), Some(CloseCode::NORMAL));
}

#[test]
fn two_parts_of_a_function_run_side_by_side() {
    // A clock that ticks while messages come, without an executor: each part is polled when the
    // whole is.
    let service = linear(|mut ws| async move {
        let ticker = ws.sender();
        let mut tick = Box::pin(async move {
            for n in 1.. {
                ticker.sleep(Duration::from_secs(1)).await;
                ticker.send(format!("tick {n}")).await?;
            }
            Ok::<_, SendError>(())
        });
        let mut echo = Box::pin(async move {
            while let Some(message) = ws.recv().await {
                ws.send(message).await?;
            }
            Ok::<_, SendError>(())
        });
        core::future::poll_fn(move |cx| {
            if let Poll::Ready(result) = tick.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            echo.as_mut().poll(cx)
        })
        .await
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    server.advance(Duration::from_millis(1100));
    client.send("hello").expect("open");
    server.advance(Duration::from_millis(1100));
    let all: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
    assert_eq!(all, ["tick 1", "hello", "tick 2"]);
}

#[test]
fn a_function_that_sends_many_short_messages_gets_all_of_them_out() {
    const MESSAGES: usize = 10_000;
    let server = TestServer::new(linear(|ws| async move {
        for _ in 0..MESSAGES {
            ws.send("x").await?;
        }
        ws.send("the last").await
    }));
    let mut client = server.connect("/").expect("accepted");
    for _ in 0..MESSAGES {
        assert_eq!(client.recv_text().as_deref(), Some("x"));
    }
    assert_eq!(client.recv_text().as_deref(), Some("the last"));
    assert_eq!(client.closed().map(|c| c.code), Some(CloseCode::NORMAL));
}

#[test]
fn a_generator_answers_with_data() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        generator(move |scope, mut receiver| {
            let notes = notes.clone();
            stream! {
                yield Out::text(format!("hello from {}", scope.target()));
                while let Some(message) = receiver.recv().await {
                    match message.as_text() {
                        Some("exit") => {
                            yield Out::text("bye");
                            yield Out::close(CloseCode::GOING_AWAY, "exit");
                            yield Out::text("dropped");
                        }
                        _ => yield Out::Message(message),
                    }
                }
                notes.push("ended");
            }
        })
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/here").expect("accepted");
    assert_eq!(client.recv_text().as_deref(), Some("hello from /here"));
    client.send(b"binary").expect("open");
    assert_eq!(client.recv(), Some(OwnedMessage::from(&b"binary"[..])));
    client.send_all(["a", "exit", "b"]).expect("open");
    let answers: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
    assert_eq!(answers, ["a", "bye"]);
    let closed = client.closed().expect("closed");
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode::GOING_AWAY, "exit")
    );
    assert_eq!(notes.take(), ["ended"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_generator_that_ends_closes_with_1000() {
    let server = TestServer::new(generator(|_, _| {
        stream! {
            for n in 0..3 {
                yield Out::text(n.to_string());
            }
        }
    }));
    let mut client = server.connect("/").expect("accepted");
    let all: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
    assert_eq!(all, ["0", "1", "2"]);
    assert_eq!(client.closed().map(|c| c.code), Some(CloseCode::NORMAL));
}

#[test]
fn a_generator_without_an_end_is_polled_only_while_there_is_room() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        generator(move |_, mut receiver| {
            let notes = notes.clone();
            stream! {
                receiver.recv().await;
                loop {
                    notes.push("yield");
                    yield Out::binary(vec![0; 1000]);
                }
            }
        })
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("go").expect("open");
    // The soft mark, and one above it.
    let yielded = notes.take().len();
    assert!((65..=67).contains(&yielded), "{yielded}");
    // A client that goes away ends it, though it never ends by itself.
    drop(client);
    assert!(notes.take().len() <= 1025);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_function_that_sends_nothing_much_for_ever_waits_too() {
    let service = linear(|mut ws| async move {
        ws.recv().await;
        while ws.send("").await.is_ok() {}
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("go").expect("open");
    drop(client);
    assert_eq!(server.sessions(), 0);
}

type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls each of its parts only when that was woken, as the collections of the `futures` crates
/// do.
struct Picky(Vec<(Arc<Part>, BoxFuture)>);

struct Part {
    is_woken: AtomicBool,
    whole: Mutex<Option<Waker>>,
}

impl Wake for Part {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        if let Some(waker) = &*self.whole.lock().expect("no panic here") {
            waker.wake_by_ref();
        }
    }
}

impl Picky {
    fn new(parts: impl IntoIterator<Item = BoxFuture>) -> Self {
        let part = || Part {
            is_woken: AtomicBool::new(true),
            whole: Mutex::new(None),
        };
        Self(
            parts
                .into_iter()
                .map(|future| (Arc::new(part()), future))
                .collect(),
        )
    }
}

impl Future for Picky {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<()> {
        self.0.retain_mut(|(part, future)| {
            *part.whole.lock().expect("no panic here") = Some(cx.waker().clone());
            if !part.is_woken.swap(false, Ordering::Acquire) {
                return true;
            }
            let waker = Waker::from(Arc::clone(part));
            future
                .as_mut()
                .poll(&mut task::Context::from_waker(&waker))
                .is_pending()
        });
        match self.0.is_empty() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

#[test]
fn each_wait_wakes_the_part_that_waits() {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        linear(move |mut ws| {
            let (a, b, c) = (notes.clone(), notes.clone(), notes.clone());
            let (slow, flood) = (ws.sender(), ws.sender());
            Picky::new([
                Box::pin(async move {
                    slow.sleep(Duration::from_secs(1)).await;
                    a.push("slept");
                }) as BoxFuture,
                Box::pin(async move {
                    while ws.recv().await.is_some() {
                        b.push("received");
                    }
                    b.push("ended");
                }),
                Box::pin(async move {
                    flood.sleep(Duration::from_secs(2)).await;
                    for _ in 0..100 {
                        flood.send(vec![0; 10_000]).await.expect("open");
                    }
                    c.push("sent");
                }),
            ])
        })
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("x").expect("open");
    assert_eq!(notes.take(), ["received"]);
    server.advance(Duration::from_millis(1100));
    assert_eq!(notes.take(), ["slept"]);
    client.stall();
    server.advance(Duration::from_secs(2));
    assert_eq!(notes.take(), Vec::<String>::new());
    client.unstall();
    assert_eq!(notes.take(), ["sent"]);
    client.close(CloseCode::NORMAL, "");
    assert_eq!(notes.take(), ["ended"]);
    assert_eq!(server.sessions(), 0);
}

#[test]
fn a_peer_refuses_while_the_code_behind_the_loop_still_runs() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let service = {
        let peers = Arc::clone(&peers);
        linear(move |mut ws| {
            peers.lock().expect("no panic here").push(ws.peer().clone());
            async move {
                while ws.recv().await.is_some() {}
                ws.sleep(Duration::from_secs(1)).await;
            }
        })
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    let peer = peers.lock().expect("no panic here")[0].clone();
    peer.send("from elsewhere").expect("room");
    server.run();
    assert_eq!(client.recv_text().as_deref(), Some("from elsewhere"));
    drop(client);
    assert_eq!(server.sessions(), 1);
    assert!(peer.send("late").is_err());
}

//! Handlers written as one asynchronous function, or as a stream of outputs.

use core::time::Duration;
use std::sync::mpsc::channel;

use async_stream::stream;
use sockeye_async::{ServeOptions, Shutdown};
use sockeye_handler::{CloseCode, Out, SendError, generator, linear};
use sockeye_tests::adapter::{Adapter as _, Running};
use sockeye_tests::wire::{FIN, PATIENCE, Raw, TEXT, frame};

use super::Adapter;

#[test]
fn a_linear_handler_answers_sleeps_and_closes() {
    let (finished, finishes) = channel();
    let service = linear(move |mut ws| {
        let finished = finished.clone();
        async move {
            while let Some(message) = ws.recv().await {
                match message.as_text() {
                    Some("bye") => ws.close(CloseCode::new(4000), "bye"),
                    Some("later") => {
                        ws.sleep(Duration::from_millis(20)).await;
                        ws.send("now").await?;
                    }
                    _ => ws.send(message).await?,
                }
            }
            // The code behind the loop runs, whoever ended the connection.
            let _ = finished.send(ws.is_open());
            Ok::<_, SendError>(())
        }
    });
    let server = Adapter::serve(service, &ServeOptions::default());
    let mut raw = Raw::open(server.address());
    let batch: Vec<u8> = (0..100)
        .flat_map(|n: u8| frame(FIN | TEXT, &[b'a' + n % 26]))
        .collect();
    raw.write(&batch);
    for n in 0..100 {
        assert_eq!(raw.read().payload, [b'a' + n % 26]);
    }
    raw.send(FIN | TEXT, b"later");
    assert_eq!(raw.read().payload, b"now");
    raw.send(FIN | TEXT, b"bye");
    raw.read_close(4000);
    raw.close(4000);
    assert_eq!(finishes.recv_timeout(PATIENCE), Ok(false));
    drop(Raw::open(server.address()));
    assert_eq!(finishes.recv_timeout(PATIENCE), Ok(false));
}

#[test]
fn a_linear_handler_that_panics_ends_its_own_connection_only() {
    let service = linear(|mut ws| async move {
        while let Some(message) = ws.recv().await {
            assert_ne!(message.as_text(), Some("panic"), "as you wish");
            ws.send(message).await?;
        }
        Ok::<_, SendError>(())
    });
    let server = Adapter::serve(service, &ServeOptions::default());
    let (mut raw, mut other) = (Raw::open(server.address()), Raw::open(server.address()));
    raw.send(FIN | TEXT, b"panic");
    raw.read_close(1011);
    raw.close(1011);
    other.send(FIN | TEXT, b"unharmed");
    assert_eq!(other.read().payload, b"unharmed");
}

#[test]
fn a_generator_speaks_first_counts_and_is_shut_down() {
    let service = generator(|_scope, mut receiver| {
        stream! {
            yield Out::text("welcome");
            let mut count = 0;
            while let Some(message) = receiver.recv().await {
                count += 1;
                yield Out::text(format!("{count} {}", message.as_text().unwrap_or("?")));
            }
        }
    });
    let mut server = Adapter::serve(service, &ServeOptions::default());
    let mut raw = Raw::open(server.address());
    assert_eq!(raw.read().payload, b"welcome");
    for n in 1..=3 {
        raw.send(FIN | TEXT, b"hello");
        assert_eq!(raw.read().payload, format!("{n} hello").as_bytes());
    }
    let client = std::thread::spawn(move || {
        raw.read_close(1001);
        raw.close(1001);
    });
    assert_eq!(server.shut_down(Shutdown::default()), 0);
    client.join().expect("no panic");
}

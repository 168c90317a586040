//! The two halves of a connection, on two threads.

use std::thread;

use sockeye_core::{CloseCode, Config, SendError};
use sockeye_tests::adapter::{RecvHalf, SendHalf, Socket};

use super::sockets::{echo, pair};

#[test]
fn halves_on_two_threads_carry_traffic_both_ways_at_once() {
    const MESSAGES: usize = 500;
    let (server, client) = pair(Config::default());
    // Far more than the sockets hold, and nobody answers anybody.
    let [(_server_sender, mut server), (mut sender, mut client)] = [server, client]
        .map(|ws| {
            let (mut sender, mut receiver) = ws.split();
            let sending = thread::spawn(move || {
                for n in 0..MESSAGES {
                    sender.send(vec![n as u8; 10_000]).expect("open");
                }
                sender.flush().expect("open");
                sender
            });
            let receiving = thread::spawn(move || {
                for n in 0..MESSAGES {
                    let message = receiver.recv().expect("a message");
                    assert_eq!(message.as_bytes(), vec![n as u8; 10_000]);
                }
                receiver
            });
            (sending, receiving)
        })
        .map(|(sending, receiving)| {
            (
                sending.join().expect("no panic"),
                receiving.join().expect("no panic"),
            )
        });
    let server = thread::spawn(move || {
        assert_eq!(server.recv(), None);
        server
    });
    sender.close(CloseCode::NORMAL, "").expect("a code");
    assert_eq!(client.recv(), None);
    assert!(client.closed().expect("ended").is_clean());
    let server = server.join().expect("no panic");
    assert!(server.closed().expect("ended").is_clean());
    assert_eq!(sender.send("late"), Err(SendError::Closed));
}

#[test]
fn a_sending_half_needs_nobody_who_receives() {
    let (server, mut client) = pair(Config::default());
    let (mut sender, _receiver) = server.split();
    let sending = thread::spawn(move || {
        for _ in 0..1000 {
            sender.send(vec![0; 1000])?;
        }
        sender.flush()
    });
    for _ in 0..1000 {
        assert_eq!(client.recv().expect("open").as_bytes().len(), 1000);
    }
    assert_eq!(sending.join().expect("no panic"), Ok(()));
}

#[test]
fn a_receiving_half_that_waits_is_told_of_its_own_close() {
    let (server, client) = pair(Config::default());
    let server = echo(server);
    let (mut sender, mut receiver) = client.split();
    let receiving = thread::spawn(move || {
        assert_eq!(receiver.recv(), Some("first".into()));
        assert_eq!(receiver.recv(), None);
        receiver.closed().cloned()
    });
    sender.send("first").expect("open");
    sender.close(CloseCode::NORMAL, "").expect("a code");
    let closed = receiving.join().expect("no panic");
    assert!(closed.expect("ended").is_clean());
    server.join().expect("no panic");
}

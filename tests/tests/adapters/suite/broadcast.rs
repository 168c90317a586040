//! Sending to connections from elsewhere.

use std::thread;

use sockeye_handler::Frame;
use sockeye_tests::server;
use sockeye_tests::wire::{FIN, Raw, TEXT};

use super::Adapter;

type TestServer = server::TestServer<Adapter>;

#[test]
fn another_thread_sends_one_frame_to_a_hundred_connections() {
    const ROUNDS: usize = 50;
    // Nothing else wakes the connections.
    let server = TestServer::start(|config, _| config.ping_interval = None);
    let mut raws: Vec<Raw> = (0..100).map(|_| Raw::open(server.address)).collect();
    let peers: Vec<_> = raws.iter().map(|_| server.next_peer()).collect();
    let sender = thread::spawn(move || {
        for round in 0..ROUNDS {
            let frame = Frame::new(&*format!("round {round}"));
            for peer in &peers {
                peer.send_frame(&frame).expect("open");
            }
        }
    });
    for raw in &mut raws {
        for round in 0..ROUNDS {
            let frame = raw.read();
            assert_eq!(frame.first, FIN | TEXT);
            assert_eq!(frame.payload, format!("round {round}").as_bytes());
        }
    }
    sender.join().expect("no panic");
}

#[test]
fn messages_from_elsewhere_and_echoes_mingle_whole() {
    const MESSAGES: usize = 1000;
    let server = TestServer::start(|_, _| {});
    let mut raw = Raw::open(server.address);
    let peer = server.next_peer();
    let sender = thread::spawn(move || {
        for n in 0..MESSAGES {
            let mut message = format!("peer {n}");
            // It says so when its queue is full, and hands the message back.
            while peer.send(message).is_err() {
                message = format!("peer {n}");
                thread::yield_now();
            }
        }
    });
    let mut from_peer = 0;
    let mut echoes = 0;
    while from_peer < MESSAGES || echoes < MESSAGES {
        if echoes < MESSAGES {
            raw.send(FIN | TEXT, format!("echo {echoes}").as_bytes());
        }
        loop {
            let text = String::from_utf8(raw.read().payload).expect("text");
            let next = if text.starts_with("peer") {
                &mut from_peer
            } else {
                &mut echoes
            };
            let number = text.split(' ').next_back().expect("a number");
            assert_eq!(number, next.to_string(), "in order");
            *next += 1;
            if text.starts_with("echo") || echoes == MESSAGES {
                break;
            }
        }
    }
    sender.join().expect("no panic");
}

#[test]
fn a_peer_of_a_connection_that_ended_refuses() {
    let server = TestServer::start(|_, _| {});
    drop(Raw::open(server.address));
    let peer = server.next_peer();
    server.next_end();
    while peer.is_open() {
        thread::yield_now();
    }
    assert!(peer.send("late").is_err());
}

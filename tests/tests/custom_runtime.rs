//! The example of a runtime of one's own, with real clients.

extern crate alloc;

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use std::net::TcpListener;
use std::sync::mpsc::channel;
use std::thread;

use sockeye::handler::{Context, Handler, Message, Response, Router};
use sockeye_tests::wire::{BINARY, CLOSE, FIN, PING, PONG, Raw, TEXT, frame};

#[expect(dead_code, reason = "its `main` listens on a fixed port")]
#[path = "../../examples/custom-runtime.rs"]
mod custom_runtime;

struct Echo(std::sync::mpsc::Sender<sockeye::handler::Peer>);

impl Handler for Echo {
    fn on_open(&mut self, cx: &mut Context<'_>) {
        self.0.send(cx.peer()).expect("a test");
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message);
    }
}

#[test]
fn a_hundred_lines_are_a_whole_server() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let (opened, peers) = channel();
    let service = Router::new()
        .ws("/path", move |_, _| Echo(opened.clone()))
        .and_then(|router| router.get("/healthz", |_| Response::text(200, "well\n")))
        .expect("routes");
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let server = thread::spawn(move || custom_runtime::serve(&listener, service, &stopped));

    let mut raws: Vec<Raw> = (0..10).map(|_| Raw::open(address)).collect();
    for raw in &mut raws {
        raw.send(FIN | PING, b"there?");
        let pong = raw.read();
        assert_eq!((pong.first, &*pong.payload), (FIN | PONG, &b"there?"[..]));
        for len in [0, 125, 126, 65_536, 1 << 20] {
            raw.send(FIN | BINARY, &vec![7; len]);
            assert_eq!(raw.read().payload.len(), len);
        }
        raw.write(&frame(FIN | TEXT, b"x").repeat(1000));
        for _ in 0..1000 {
            assert_eq!(raw.read().payload, b"x");
        }
    }
    // From another thread.
    for peer in peers.iter().take(10) {
        peer.send("to all").expect("open");
    }
    for raw in &mut raws {
        assert_eq!(raw.read().payload, b"to all");
    }
    // Plain HTTP, a close by the client, a client that vanishes, a violation.
    let mut page = Raw::silent(address);
    page.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(page.read_head().starts_with("HTTP/1.1 200 "));
    let mut closing = raws.pop().expect("ten");
    closing.send(FIN | CLOSE, &4000_u16.to_be_bytes());
    closing.read_close(4000);
    closing.read_end();
    drop(closing);
    drop(raws.pop());
    let mut wrong = raws.pop().expect("ten");
    wrong.write(b"\x81\x02hi");
    wrong.read_close(1002);
    drop(wrong);
    drop(page);
    // The rest is told to go.
    stop.store(true, Ordering::Relaxed);
    for mut raw in raws {
        raw.read_close(1001);
        raw.close(1001);
    }
    server.join().expect("no panic").expect("no failure");
}

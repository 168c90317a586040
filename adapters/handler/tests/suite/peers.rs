//! Handles to connections, for everybody else.

use alloc::sync::Arc;
use std::sync::Mutex;

use sockeye_handler::testing::TestServer;
use sockeye_handler::{
    CloseCode, Config, Context, Decision, Frame, Handler, Message, Opening, OwnedMessage, Peer,
    PeerError, Request, Service,
};

use crate::probe::probe;

/// Sends each message to everybody, by a shared frame.
#[derive(Default)]
struct Everybody(Arc<Mutex<Vec<Peer>>>);

struct Member(Arc<Mutex<Vec<Peer>>>);

impl Service for Everybody {
    type Handler = Member;

    fn on_request(&self, _: &Request<'_>, cx: &mut Opening<'_>) -> Decision<Member> {
        let mut peers = self.0.lock().expect("no panic here");
        // What is sent before the connection is open comes when it is.
        let peer = cx.peer();
        peer.send("welcome").expect("room");
        peers.push(peer);
        Decision::accept(Member(Arc::clone(&self.0)))
    }
}

impl Handler for Member {
    fn on_message(&mut self, message: Message<'_>, _: &mut Context<'_>) {
        let frame = Frame::new(&message);
        for peer in self.0.lock().expect("no panic here").iter() {
            let _ = peer.send_frame(&frame);
        }
    }
}

#[test]
fn a_message_reaches_every_other_connection() {
    let server = TestServer::new(Everybody::default());
    let mut clients: Vec<_> = (0..10)
        .map(|_| server.connect("/").expect("accepted"))
        .collect();
    for client in &mut clients {
        assert_eq!(client.recv_text().as_deref(), Some("welcome"));
    }
    clients[3].send("hello").expect("open");
    for client in &mut clients {
        assert_eq!(client.recv_text().as_deref(), Some("hello"));
        assert_eq!(client.recv(), None);
    }
}

#[test]
fn a_peer_works_from_another_thread_and_says_where_it_is() {
    let server = TestServer::new(Everybody::default());
    let mut client = server.connect("/").expect("accepted");
    let peers = server.service().0.lock().expect("no panic here").clone();
    let [peer] = &peers[..] else {
        panic!("one connection");
    };
    assert_eq!(Some(peer.address()), client.address().as_ref());
    assert_eq!(peer, &peers[0]);
    let _other = server.connect("/").expect("accepted");
    assert_ne!(
        Some(peer),
        server.service().0.lock().expect("no panic here").get(1)
    );
    assert!(peer.to_string().starts_with("tcp4:127.0.0.1:"));

    std::thread::scope(|scope| {
        scope.spawn(|| peer.send(&b"from a thread"[..]).expect("room"));
    });
    server.run();
    client.recv();
    assert_eq!(
        client.recv(),
        Some(OwnedMessage::from(&b"from a thread"[..]))
    );

    peer.close(CloseCode::POLICY_VIOLATION, "over");
    assert!(!peer.is_open());
    server.run();
    let closed = client.closed().expect("closed");
    assert_eq!(
        (closed.code, &*closed.reason),
        (CloseCode::POLICY_VIOLATION, "over")
    );
    let refused = peer.send("late").expect_err("ended");
    assert_eq!(refused.error, PeerError::Closed);
    assert_eq!(refused.message, OwnedMessage::from("late"));
}

#[test]
fn a_peer_refuses_after_the_connection_is_lost() {
    let server = TestServer::new(Everybody::default());
    drop(server.connect("/").expect("accepted"));
    let peer = server.service().0.lock().expect("no panic here")[0].clone();
    assert!(!peer.is_open());
    assert_eq!(peer.send_frame(&Frame::new("x")), Err(PeerError::Closed));
    // Nobody is left to hear it.
    peer.wake();
    peer.close(CloseCode::NORMAL, "");
}

#[test]
fn waking_calls_the_handler_once() {
    let (service, notes) = probe(|text, cx| {
        if text == "wake yourself" {
            let peer = cx.peer();
            peer.wake();
            peer.wake();
            peer.waker().wake();
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("wake yourself").expect("open");
    assert_eq!(notes.take(), ["open", "message wake yourself", "wake"]);
}

#[test]
fn a_slow_reader_fills_its_queue_and_no_other() {
    let mut config = Config::default();
    config.soft_mark = 1000;
    config.hard_mark = 10_000;
    let config = config.share().expect("valid");
    let server = TestServer::with_config(Everybody::default(), config);
    let mut slow = server.connect("/").expect("accepted");
    let mut fast = server.connect("/").expect("accepted");
    slow.recv();
    fast.recv();
    let peers = server.service().0.lock().expect("no panic here").clone();
    slow.stall();

    let message = "x".repeat(500);
    let mut taken = 0;
    while peers[0].send(&*message).is_ok() {
        taken += 1;
        peers[1].send(&*message).expect("this one reads");
        server.run();
        assert_eq!(fast.recv_text(), Some(message.clone()));
        assert!(taken < 100, "the queue has a bound");
    }
    // Both marks, and a message above each.
    assert!(taken * 500 <= 1000 + 10_000 + 2 * 500, "{taken}");
    assert!(taken * 540 >= 10_000, "{taken}");

    // When it reads again it gets everything, in order, and there is room again.
    slow.unstall();
    for _ in 0..taken {
        assert_eq!(slow.recv_text(), Some(message.clone()));
    }
    peers[0].send("more").expect("room");
    server.run();
    assert_eq!(slow.recv_text().as_deref(), Some("more"));
    assert_eq!(slow.recv(), None);
}

#[test]
fn a_close_behind_a_full_queue_is_heard_when_the_queue_is_cleared() {
    let mut config = Config::default();
    config.soft_mark = 1000;
    config.hard_mark = 10_000;
    let server = TestServer::with_config(Everybody::default(), config.share().expect("valid"));
    let mut slow = server.connect("/").expect("accepted");
    let peer = server.service().0.lock().expect("no panic here")[0].clone();
    slow.stall();
    while peer.send("x".repeat(500)).is_ok() {
        server.run();
    }
    peer.close(CloseCode::new(4008), "slow consumer");
    peer.clear();
    slow.unstall();
    let received = core::iter::from_fn(|| slow.recv()).count();
    assert!(received <= 4, "only what had left the queue: {received}");
    assert_eq!(
        slow.closed().map(|closed| closed.code),
        Some(CloseCode::new(4008))
    );
}

#[test]
fn a_handler_that_always_has_more_leaves_room_for_others() {
    let peers = Arc::new(Mutex::new(Vec::new()));
    let left = Mutex::new(1000);
    let service = {
        let peers = Arc::clone(&peers);
        // Fills the output whenever there is room.
        let (service, _) = probe(move |text, cx| {
            if text == "go" {
                peers.lock().expect("no panic here").push(cx.peer());
            }
            let mut left = left.lock().expect("no panic here");
            while cx.is_writable() && *left > 0 {
                *left -= 1;
                cx.send("x".repeat(1000)).expect("room");
            }
        });
        service
    };
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("go").expect("open");
    let peer = peers.lock().expect("no panic here")[0].clone();
    peer.send("from elsewhere").expect("room");
    client.unstall();
    let received = core::iter::from_fn(|| client.recv_text());
    let place = received
        .enumerate()
        .find(|(_, text)| text == "from elsewhere");
    // Right behind what the output held already.
    assert!(place.is_some_and(|(place, _)| place < 100));
}

#[test]
fn a_frame_may_be_queued_without_waking_and_leave_space_for_others() {
    let mut config = Config::default();
    (config.soft_mark, config.hard_mark) = (1000, 10_000);
    let config = config.share().expect("valid");
    let server = TestServer::with_config(Everybody::default(), config);
    let mut client = server.connect("/").expect("accepted");
    client.recv();
    let peer = server.service().0.lock().expect("no panic here")[0].clone();

    let frame = Frame::new("x".repeat(4000));
    let waker = peer.enqueue(&frame, 0).expect("room");
    server.run();
    assert_eq!(client.recv(), None);
    // The first of several is the one to wake for.
    assert!(peer.enqueue(&Frame::new("y"), 0).expect("room").is_none());
    assert_eq!(peer.enqueue(&frame, 6000).err(), Some(PeerError::Full));
    assert!(peer.enqueue(&frame, 5000).is_ok());
    waker.expect("a waker").wake();
    server.run();
    let lens: Vec<_> = core::iter::from_fn(|| client.recv())
        .map(|message| message.as_bytes().len())
        .collect();
    assert_eq!(lens, [4000, 1, 4000]);
}

#[test]
fn a_full_queue_can_make_way_for_a_close() {
    let mut config = Config::default();
    (config.soft_mark, config.hard_mark) = (1000, 10_000);
    let (service, notes) = probe(|text, cx| {
        let frame = Frame::new("x".repeat(4000));
        match text {
            // Two reach the output, whose mark is tested before each; four fill the queue.
            "fill" => {
                let fill = |_: &i32| {
                    cx.peer()
                        .enqueue_or_close(&frame, 4008.into(), "slow")
                        .is_ok()
                };
                assert_eq!((0..9).take_while(fill).count(), 3);
                let refused = cx.peer().enqueue_or_close(&frame, 4008.into(), "slow");
                assert_eq!(
                    refused.err().map(|(error, _)| error),
                    Some(PeerError::Closed)
                );
            }
            "wake" => assert!(!cx.peer().is_open()),
            _ => {}
        }
    });
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.send("fill").expect("open");
    assert_eq!(client.recv(), None, "what was queued is gone");
    let closed = client.closed().expect("closed");
    assert_eq!((closed.code, &*closed.reason), (4008.into(), "slow"));
    assert_eq!(notes.count("wake"), 1);
}

#[test]
fn what_a_handler_sends_in_turn_is_behind_what_others_have_queued() {
    let (service, _) = probe(|text, cx| {
        if text == "go" {
            cx.peer().send("1").expect("room");
            cx.send("0").expect("open");
            cx.send_in_turn(&Frame::new("2")).expect("open");
            cx.peer().send("3").expect("room");
            cx.send_in_turn(&Frame::new("4")).expect("open");
        }
    });
    let server = TestServer::new(service);
    let mut client = server.connect("/").expect("accepted");
    client.send("go").expect("open");
    let all: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
    assert_eq!(all, ["0", "1", "2", "3", "4"]);
}

#[test]
fn any_number_of_kept_frames_can_be_sent_in_turn_and_nothing_overtakes_them() {
    let mut config = Config::default();
    (config.soft_mark, config.hard_mark) = (1000, 10_000);
    let (service, _) = probe(|text, cx| {
        if text == "go" {
            let kept = Frame::new("x".repeat(4000));
            for _ in 0..100 {
                cx.send_kept_in_turn(&kept).expect("open");
            }
            cx.send_in_turn(&Frame::new("behind")).expect("room");
            cx.peer().send("last").expect("room");
        }
    });
    let server = TestServer::with_config(service, config.share().expect("valid"));
    let mut client = server.connect("/").expect("accepted");
    client.stall();
    client.send("go").expect("open");
    client.unstall();
    let all: Vec<_> = core::iter::from_fn(|| client.recv_text()).collect();
    assert_eq!(all.len(), 102);
    assert_eq!(all[100..], ["behind", "last"]);
}

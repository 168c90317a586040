//! The driver over a transport that does what it is told, on a clock that does too.

extern crate alloc;

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::io::{self, IoSlice};

use sockeye_async::{Acceptor, Clock, Timer, Transport, WebSocket};
use sockeye_common::scratch;
use sockeye_core::{
    Cause, CloseCode, Config, Connection, Frame, Incoming, OutputBuffer, SendError, SharedConfig,
    Time, Timeout,
};
use sockeye_handler::{
    Address, Context as HandlerContext, Decision, Handler, Message, Opening, Request, Service,
};

thread_local! {
    static NOW: Cell<Time> = const { Cell::new(Time::ZERO) };
}

/// The clock of a test, which stands still until it is set.
struct Virtual;

impl Clock for Virtual {
    fn now() -> Time {
        NOW.get()
    }
}

impl Timer for Virtual {
    fn now(&self) -> Time {
        NOW.get()
    }

    fn poll_until(&mut self, _: Time, _: Time, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

fn advance(seconds: u64) {
    NOW.set(NOW.get() + Duration::from_secs(seconds));
}

/// What the other side of a [`Script`] does and sees.
#[derive(Default)]
struct Peer {
    reads: VecDeque<Vec<u8>>,
    /// Given again and again once `reads` is empty.
    flood: Vec<u8>,
    eof: bool,
    /// Each write as it was made, as the slices it was made of.
    writes: Vec<Vec<Vec<u8>>>,
    /// How many bytes are taken before the transport would block.
    room: Option<usize>,
    reads_made: usize,
    is_shut: bool,
    /// Polled in the middle of a read.
    nested: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Peer {
    fn output(&self) -> Vec<u8> {
        self.writes.concat().concat()
    }
}

#[derive(Clone, Default)]
struct Script(Rc<RefCell<Peer>>);

impl Transport for Script {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        buffer.fill(0xaa);
        let nested = self.0.borrow_mut().nested.take();
        if let Some(mut nested) = nested {
            let _ = nested.as_mut().poll(cx);
        }
        assert!(buffer.iter().all(|byte| *byte == 0xaa), "nobody else's");
        let mut peer = self.0.borrow_mut();
        peer.reads_made += 1;
        let bytes = match peer.reads.pop_front() {
            Some(bytes) => bytes,
            None if !peer.flood.is_empty() => peer.flood.clone(),
            None if peer.eof => Vec::new(),
            None => return Poll::Pending,
        };
        let n = bytes.len().min(buffer.len());
        buffer[..n].copy_from_slice(&bytes[..n]);
        if n < bytes.len() {
            peer.reads.push_front(bytes[n..].to_vec());
        }
        Poll::Ready(Ok(n))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut peer = self.0.borrow_mut();
        let mut room = peer.room.unwrap_or(usize::MAX);
        if room == 0 {
            return Poll::Pending;
        }
        let mut write = Vec::new();
        for slice in slices {
            assert!(!slice.is_empty());
            let taken = room.min(slice.len());
            write.push(slice[..taken].to_vec());
            room -= taken;
        }
        let n = write.concat().len();
        peer.room = peer.room.map(|room| room - n);
        peer.writes.push(write);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.borrow_mut().is_shut = true;
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls once.
fn poll<T>(future: impl Future<Output = T>) -> Poll<T> {
    pin!(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// A client's frame, masked with zeros.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 | 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

fn web_socket(config: Config) -> (WebSocket<Script, Virtual>, Script) {
    let script = Script::default();
    let config = config.share().expect("valid");
    let connection = Connection::server(&config, NOW.get());
    let ws = WebSocket::new(connection, Vec::new(), script.clone(), Virtual);
    (ws, script)
}

struct Echo;

impl Service for Echo {
    type Handler = Self;

    fn on_request(&self, _: &Request<'_>, _: &mut Opening<'_>) -> Decision<Self> {
        Decision::accept(Self)
    }
}

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, cx: &mut HandlerContext<'_>) {
        cx.send(message).expect("open");
    }
}

const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

#[test]
fn a_plain_loop_answers_what_one_read_brought_with_one_write() {
    let (mut ws, script) = web_socket(Config::default());
    script
        .0
        .borrow_mut()
        .reads
        .push_back(frame(1, b"hello").repeat(100));
    let run = async {
        while let Some(message) = ws.recv().await {
            ws.send(message).await?;
        }
        Ok::<_, SendError>(())
    };
    assert!(poll(run).is_pending());
    let peer = script.0.borrow();
    assert_eq!(peer.writes.len(), 1);
    assert_eq!(peer.output(), b"\x81\x05hello".repeat(100));
}

#[test]
fn answers_are_written_from_the_buffer_of_the_thread() {
    // Known again by its size, which none grows to by itself.
    let size = 4321;
    scratch::put_output(OutputBuffer::with_capacity(size));
    let (mut ws, script) = web_socket(Config::default());
    for _ in 0..2 {
        let read = frame(1, b"hello").repeat(100);
        script.0.borrow_mut().reads.push_back(read);
        let run = async {
            while let Some(message) = ws.recv().await {
                ws.send(message).await?;
            }
            Ok::<_, SendError>(())
        };
        assert!(poll(run).is_pending());
        let spare = scratch::take_output().expect("what is idle has none");
        assert_eq!(spare.capacity(), size);
        scratch::put_output(spare);
    }
    assert_eq!(script.0.borrow().output().len(), 200 * 7);
}

#[test]
fn a_ping_of_ours_is_written_from_the_buffer_of_the_thread() {
    let size = 4323;
    scratch::put_output(OutputBuffer::with_capacity(size));
    let (mut ws, script) = web_socket(Config::default());
    advance(26);
    assert!(poll(ws.recv()).is_pending());
    assert_eq!(script.0.borrow().output(), b"\x89\x00");
    let spare = scratch::take_output().expect("what is idle has none");
    assert_eq!(spare.capacity(), size);
}

#[test]
fn a_message_that_answers_nothing_is_written_at_once() {
    let (mut ws, script) = web_socket(Config::default());
    assert!(poll(ws.send("hello")).is_ready());
    assert_eq!(script.0.borrow().output(), b"\x81\x05hello");
}

#[test]
fn an_answer_waits_for_the_next_message_and_not_for_the_beginning_of_one() {
    let next = frame(1, b"next");
    for read in [1, 2, next.len() - 1, next.len()] {
        let (mut ws, script) = web_socket(Config::default());
        let bytes = [&frame(1, b"hello")[..], &next[..read]].concat();
        script.0.borrow_mut().reads.push_back(bytes);
        assert_eq!(poll(ws.recv()), Poll::Ready(Some("hello".into())));
        assert_eq!(poll(ws.send("answer")), Poll::Ready(Ok(())));
        let waits = script.0.borrow().output().is_empty();
        assert_eq!(waits, read == next.len(), "{read} bytes of the next");
        let rest = (!waits).then(|| next[read..].to_vec());
        script.0.borrow_mut().reads.extend(rest);
        assert_eq!(poll(ws.recv()), Poll::Ready(Some("next".into())));
        assert_eq!(poll(ws.flush()), Poll::Ready(Ok(())));
        assert_eq!(script.0.borrow().output(), b"\x81\x06answer");
    }
}

#[test]
fn a_future_that_is_dropped_before_it_is_polled_has_sent_nothing() {
    let (mut ws, script) = web_socket(Config::default());
    let encoded = Frame::new("frame");
    drop(ws.send("message"));
    drop(ws.send_frame(&encoded));
    drop(ws.ping(b"ping"));
    assert_eq!(ws.sender().buffered(), 0);
    let (mut send, _recv) = ws.split();
    drop(send.send("message"));
    drop(send.send_frame(&encoded));
    drop(send.ping(b"ping"));
    assert_eq!(poll(send.send("polled")), Poll::Ready(Ok(())));
    assert_eq!(script.0.borrow().output(), b"\x81\x06polled");
}

#[test]
fn what_is_refused_leaves_no_buffer_behind() {
    let size = 4322;
    let (mut ws, _script) = web_socket(Config::default());
    let keeps_none = |polled| {
        assert_eq!(polled, Poll::Ready(Err(SendError::TooLong)));
        let spare = scratch::take_output().expect("what is idle has none");
        assert_eq!(spare.capacity(), size);
        scratch::put_output(spare);
    };
    scratch::put_output(OutputBuffer::with_capacity(size));
    keeps_none(poll(ws.ping(&[0; 126])));
    let (mut send, _recv) = ws.split();
    keeps_none(poll(send.ping(&[0; 126])));
}

#[test]
fn a_session_answers_what_one_read_brought_with_one_write() {
    let acceptor = Acceptor::new(Echo, SharedConfig::default(), 10);
    let script = Script::default();
    let mut connection = acceptor.connection::<_, Virtual>(script.clone(), Address::other("test"));
    script.0.borrow_mut().reads.push_back(UPGRADE.to_vec());
    assert!(poll(&mut connection).is_pending());
    script.0.borrow_mut().writes.clear();
    script
        .0
        .borrow_mut()
        .reads
        .push_back(frame(2, b"hello").repeat(100));
    assert!(poll(&mut connection).is_pending());
    assert_eq!(script.0.borrow().writes.len(), 1);
    assert_eq!(script.0.borrow().output(), b"\x82\x05hello".repeat(100));
}

#[test]
fn what_comes_before_the_beginning_of_a_frame_is_answered_at_once() {
    let acceptor = Acceptor::new(Echo, SharedConfig::default(), 10);
    for ends in [false, true] {
        let script = Script::default();
        let address = Address::other("test");
        let mut connection = acceptor.connection::<_, Virtual>(script.clone(), address);
        script.0.borrow_mut().reads.push_back(UPGRADE.to_vec());
        assert!(poll(&mut connection).is_pending());
        script.0.borrow_mut().writes.clear();
        let next = frame(2, b"world");
        let (beginning, rest) = next.split_at(8);
        let bytes = [&frame(2, b"hello"), beginning].concat();
        script.0.borrow_mut().reads.push_back(bytes);
        script.0.borrow_mut().eof = ends;
        assert_eq!(poll(&mut connection).is_ready(), ends);
        assert_eq!(script.0.borrow().output(), b"\x82\x05hello");
        if !ends {
            script.0.borrow_mut().reads.push_back(rest.to_vec());
            assert!(poll(&mut connection).is_pending());
            assert_eq!(script.0.borrow().output(), b"\x82\x05hello\x82\x05world");
        }
    }
}

#[test]
fn large_payloads_leave_by_reference_in_one_vectored_write() {
    let (mut ws, script) = web_socket(Config::default());
    let sender = ws.sender();
    for _ in 0..3 {
        sender.send("small").expect("open");
        sender.send(vec![7; 100_000]).expect("open");
    }
    assert!(poll(ws.flush()).is_ready());
    let peer = script.0.borrow();
    assert_eq!(peer.writes.len(), 1);
    assert!(peer.writes[0].iter().any(|slice| slice.len() == 100_000));
    assert_eq!(peer.output().len(), 3 * (7 + 10 + 100_000));
}

#[test]
fn a_transport_that_takes_a_byte_at_a_time_gets_every_byte_once() {
    let (mut ws, script) = web_socket(Config::default());
    ws.sender().send("hello").expect("open");
    ws.sender().send(vec![7; 5000]).expect("open");
    ws.sender().send("world").expect("open");
    for _ in 0..10_000 {
        script.0.borrow_mut().room = Some(1);
        if poll(ws.flush()).is_ready() {
            break;
        }
    }
    let mut expected = b"\x81\x05hello\x82\x7e\x13\x88".to_vec();
    expected.extend([7; 5000]);
    expected.extend(b"\x81\x05world");
    assert_eq!(script.0.borrow().output(), expected);
}

/// The header of a message of 1 MiB.
const ENDLESS: &[u8] = b"\x02\xff\0\0\0\0\0\x10\0\0\0\0\0\0";

#[test]
fn a_peer_that_never_stops_sending_leaves_the_thread_to_others() {
    let (mut ws, script) = web_socket(Config::default());
    script.0.borrow_mut().flood = frame(2, b"")[..1].to_vec();
    // The beginning of one endless message, byte by byte.
    script.0.borrow_mut().reads.push_back(ENDLESS.to_vec());
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let polled = pin!(ws.recv()).poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    assert!(script.0.borrow().reads_made <= 20);
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "it goes on");
}

#[test]
fn a_peer_that_never_stops_sending_does_not_stop_the_clock() {
    let short = frame(1, b"more").repeat(10);
    // Through several reads, the last into a buffer of its own.
    let long = frame(2, &[7; 0xffff]);
    let floods = [
        (None, short),
        (None, long),
        (Some(ENDLESS.to_vec()), vec![7]),
    ];
    for (begin, flood) in floods {
        let (mut ws, script) = web_socket(Config::default());
        script.0.borrow_mut().reads.extend(begin);
        script.0.borrow_mut().flood = flood;
        ws.sender().close(CloseCode::NORMAL, "").expect("open");
        assert!(poll(ws.flush()).is_ready());
        let drain = |ws: &mut WebSocket<Script, Virtual>| {
            poll(async {
                // Messages are delivered while we are closing; their number is bounded here.
                for _ in 0..1000 {
                    if ws.recv().await.is_none() {
                        return true;
                    }
                }
                false
            })
        };
        assert_ne!(drain(&mut ws), Poll::Ready(true));
        advance(6);
        let ended = (0..10).any(|_| drain(&mut ws) == Poll::Ready(true));
        assert!(ended, "the close timer has run out");
        let closed = ws.closed().expect("ended");
        assert_eq!(closed.cause, Cause::Timeout(Timeout::Close));
    }
}

#[test]
fn a_deadline_is_not_missed_by_what_lies_unread() {
    for pong_lies_unread in [true, false] {
        let (mut ws, script) = web_socket(Config::default());
        assert!(poll(ws.recv()).is_pending());
        advance(26);
        assert!(poll(ws.recv()).is_pending());
        assert_eq!(script.0.borrow().output(), b"\x89\x00", "a Ping");
        // Nobody polls for longer than the pong may take.
        advance(30);
        if pong_lies_unread {
            script.0.borrow_mut().reads.push_back(frame(0xa, b""));
        }
        let _ = poll(ws.recv());
        assert_eq!(ws.closed().is_none(), pong_lies_unread);
    }
}

#[test]
fn sending_alone_does_not_miss_a_pong_either() {
    let (mut ws, script) = web_socket(Config::default());
    advance(26);
    assert!(poll(ws.recv()).is_pending());
    assert_eq!(script.0.borrow().output(), b"\x89\x00", "a Ping");
    script.0.borrow_mut().room = Some(0);
    script.0.borrow_mut().reads.push_back(frame(0xa, b"pong"));
    script.0.borrow_mut().reads.push_back(frame(1, b"hello"));
    assert!(poll(ws.flush()).is_ready(), "nothing waits to be written");
    advance(11);
    ws.sender().send("data").expect("open");
    assert!(poll(ws.flush()).is_pending());
    script.0.borrow_mut().room = None;
    assert_eq!(poll(ws.flush()), Poll::Ready(Ok(())));
    // And what was read in passing is not lost.
    let pong = Incoming::Pong(b"pong".to_vec());
    assert_eq!(poll(ws.incoming()), Poll::Ready(Some(pong)));
    assert_eq!(poll(ws.recv()), Poll::Ready(Some("hello".into())));
}

#[test]
fn a_peer_that_takes_nothing_is_given_up_at_the_deadline() {
    let (mut ws, script) = web_socket(Config::default());
    script.0.borrow_mut().room = Some(0);
    ws.sender().send("hello").expect("open");
    assert!(poll(ws.flush()).is_pending());
    advance(9);
    assert!(poll(ws.flush()).is_pending());
    advance(2);
    assert_eq!(poll(ws.flush()), Poll::Ready(Err(SendError::Closed)));
    assert_eq!(poll(ws.recv()), Poll::Ready(None));
    let closed = ws.closed().expect("ended");
    assert_eq!(closed.cause, Cause::Timeout(Timeout::Write));
}

#[test]
fn send_waits_above_the_soft_mark_only() {
    let mut config = Config::default();
    config.soft_mark = 1000;
    let (mut ws, script) = web_socket(config);
    script.0.borrow_mut().room = Some(0);
    assert!(poll(ws.send(vec![7; 500])).is_ready(), "below the mark");
    assert!(poll(ws.send(vec![7; 600])).is_pending(), "above it");
    script.0.borrow_mut().room = Some(600);
    assert!(poll(ws.send("x")).is_ready(), "below it again");
    script.0.borrow_mut().room = None;
    assert!(poll(ws.flush()).is_ready());
    // What waited was queued all the same: nothing is lost when a send is cancelled.
    assert_eq!(script.0.borrow().output().len(), 504 + 604 + 3);
}

#[test]
fn the_end_is_told_after_the_last_byte() {
    let (mut ws, script) = web_socket(Config::default());
    script.0.borrow_mut().room = Some(0);
    script.0.borrow_mut().reads.push_back(frame(8, b"\x03\xe8"));
    assert!(poll(ws.recv()).is_pending(), "the answer is not written");
    assert!(ws.closed().is_some(), "but how it ends is known");
    script.0.borrow_mut().room = None;
    assert!(poll(ws.recv()).is_pending(), "the peer has not closed");
    assert_eq!(script.0.borrow().output(), b"\x88\x02\x03\xe8");
    assert!(script.0.borrow().is_shut);
    script.0.borrow_mut().eof = true;
    assert_eq!(poll(ws.recv()), Poll::Ready(None));
    assert!(ws.closed().is_some_and(sockeye_core::Closed::is_clean));
    assert!(ws.transport().is_none());
    assert_eq!(poll(ws.recv()), Poll::Ready(None), "again and again");
}

#[test]
fn a_transport_may_poll_another_connection_inside_its_own_read() {
    let (mut inner, inner_script) = web_socket(Config::default());
    inner_script
        .0
        .borrow_mut()
        .reads
        .push_back(frame(1, b"inner"));
    let (mut outer, script) = web_socket(Config::default());
    script.0.borrow_mut().reads.push_back(frame(1, b"outer"));
    script.0.borrow_mut().nested = Some(Box::pin(async move {
        assert_eq!(inner.recv().await, Some("inner".into()));
    }));
    assert_eq!(poll(outer.recv()), Poll::Ready(Some("outer".into())));
}

/// Numbers that look random, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) as usize % n
    }

    fn len(&mut self) -> usize {
        match self.below(8) {
            0 => self.below(60_000),
            1..4 => self.below(5000),
            _ => self.below(130),
        }
    }
}

/// A connection, what it is to receive, and what it has sent.
struct Line {
    ws: WebSocket<Script, Virtual>,
    script: Script,
    expected: VecDeque<Vec<u8>>,
    pongs: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    number: u8,
}

impl Line {
    fn new(dice: &mut Dice, number: u8) -> Self {
        let (ws, script) = web_socket(Config::default());
        let (mut expected, mut pongs) = (VecDeque::new(), Vec::new());
        let mut bytes = Vec::new();
        for i in 0..30 {
            if dice.below(5) == 0 {
                let ping = vec![number, i];
                bytes.extend(frame(9, &ping));
                pongs.push(ping);
            } else {
                let message = vec![number + i; dice.len()];
                bytes.extend(frame(2, &message));
                expected.push_back(message);
            }
        }
        let mut reads = VecDeque::new();
        while !bytes.is_empty() {
            let rest = bytes.split_off(bytes.len().min(1 + dice.len()));
            reads.push_back(core::mem::replace(&mut bytes, rest));
        }
        script.0.borrow_mut().reads = reads;
        Self {
            ws,
            script,
            expected,
            pongs,
            sent: Vec::new(),
            number,
        }
    }

    fn recv(&mut self) -> bool {
        let Poll::Ready(message) = poll(self.ws.recv()) else {
            return false;
        };
        let message = message.expect("open");
        let expected = self.expected.pop_front().expect("no more");
        assert!(message.as_bytes() == expected, "{} bytes", expected.len());
        true
    }

    fn step(&mut self, dice: &mut Dice) {
        match dice.below(4) {
            0 => {
                let payload = vec![100 + self.number; dice.len()];
                let sent = match dice.below(2) {
                    0 => poll(self.ws.send(&payload[..])),
                    _ => poll(self.ws.send(payload.clone())),
                };
                match sent {
                    Poll::Ready(Err(error)) => assert_eq!(error, SendError::Full),
                    _ => self.sent.push(payload),
                }
            }
            1 => self.script.0.borrow_mut().room = Some(dice.len()),
            2 => {
                // What is not there yet comes later.
                let mut peer = self.script.0.borrow_mut();
                let reads = core::mem::take(&mut peer.reads);
                drop(peer);
                self.recv();
                self.script.0.borrow_mut().reads = reads;
            }
            _ => {
                self.recv();
            }
        }
    }

    fn finish(mut self) {
        self.script.0.borrow_mut().room = None;
        for _ in 0..1000 {
            self.recv();
        }
        assert!(self.expected.is_empty(), "{} are lost", self.expected.len());
        assert!(poll(self.ws.flush()).is_ready());
        let output = self.script.0.borrow().output();
        let (mut pongs, mut sent, mut rest) = (Vec::new(), Vec::new(), &output[..]);
        while let [first, second, behind @ ..] = rest {
            let (len, header) = match second {
                126 => (usize::from(u16::from_be_bytes([behind[0], behind[1]])), 4),
                len => (usize::from(*len), 2),
            };
            let payload = rest[header..header + len].to_vec();
            rest = &rest[header + len..];
            match first {
                0x8a => pongs.push(payload),
                0x82 => sent.push(payload),
                _ => panic!("{first}"),
            }
        }
        assert!(pongs == self.pongs && sent == self.sent);
    }
}

#[test]
fn connections_that_take_turns_on_one_thread_get_and_send_what_is_theirs() {
    for seed in 0..20 {
        let dice = &mut Dice(seed);
        let mut lines = [0, 50].map(|number| Line::new(dice, number));
        for _ in 0..150 {
            lines[dice.below(2)].step(dice);
        }
        lines.into_iter().for_each(Line::finish);
    }
}

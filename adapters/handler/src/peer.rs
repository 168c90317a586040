//! A handle to a connection for everybody who is not its handler.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::task::Waker;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_core::{CloseCode, Frame, OwnedMessage, Sender};

use crate::address::Address;

/// A connection as others see it: another connection's handler, a thread, a subscriber of
/// a message broker.
///
/// Cheap to clone, and usable from any thread. It is made when it is first asked for; a
/// connection that nobody asks about does not pay its 96 bytes. It does not keep the
/// connection open, and after the end it refuses messages.
///
/// What goes through it is queued here, up to [`Config::hard_mark`] bytes with what each
/// message costs beyond its payload, and moves to the connection's own output while that
/// is below its soft mark. So a peer that does not read costs at most both marks and a
/// message each, and [`PeerError::Full`] says so to the sender. Layers do not see it.
///
/// Two are equal if they are handles to the same connection.
///
/// [`Config::hard_mark`]: sockeye_core::Config::hard_mark
#[derive(Clone)]
pub struct Peer(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    address: Address,
}

struct State {
    /// The runtime's: whoever drives the session is woken by it.
    waker: Option<Waker>,
    queue: Vec<Item>,
    /// Bytes until the queue is full; 0 refuses. What is in the queue may cost more.
    room: u32,
    woken: bool,
    /// The session has seen what is in the queue, and moves it on when there is room.
    seen: bool,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// A Close is in the queue.
    Closing,
    Ended,
}

enum Item {
    Message(OwnedMessage),
    Frame(Frame),
    /// A frame that others keep too: it costs its place in the queue.
    Kept(Frame),
    Close(CloseCode, Box<str>),
}

impl Peer {
    pub(crate) fn new(address: Address, hard_mark: usize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                waker: None,
                queue: Vec::new(),
                room: room(hard_mark),
                woken: false,
                seen: false,
                stage: Stage::Open,
            }),
            address,
        }))
    }

    /// Queues a message.
    ///
    /// Messages of one sender keep their order. Between senders, and beside what the
    /// connection's own handler sends, there is none.
    ///
    /// # Errors
    ///
    /// The message comes back if the queue is full or the connection has ended.
    pub fn send(&self, message: impl Into<OwnedMessage>) -> Result<(), Refused> {
        let message = message.into();
        let mut state = self.0.lock();
        match state.admit(message.as_bytes().len()) {
            Ok(()) => {
                let wake = state.push(Item::Message(message));
                unlock_and_wake(state, wake);
                Ok(())
            }
            Err(error) => Err(Refused { error, message }),
        }
    }

    /// Queues a frame that was encoded once for many connections.
    ///
    /// # Errors
    ///
    /// The queue is full or the connection has ended.
    pub fn send_frame(&self, frame: &Frame) -> Result<(), PeerError> {
        let mut state = self.0.lock();
        state.admit(frame.encoded().len())?;
        let wake = state.push(Item::Frame(frame.clone()));
        unlock_and_wake(state, wake);
        Ok(())
    }

    /// Queues a frame and leaves the waking to the caller, who may have many peers to serve under
    /// a lock: wake what is returned once the lock is free, since a waker may do anything.
    ///
    /// `spare` bytes of the queue must stay free, which is how a frame that may be lost makes way
    /// for those that may not.
    ///
    /// # Errors
    ///
    /// The queue is too full or the connection has ended.
    pub fn enqueue(&self, frame: &Frame, spare: usize) -> Result<Option<Waker>, PeerError> {
        let mut state = self.0.lock();
        if state.stage == Stage::Open && (state.room as usize) < spare {
            return Err(PeerError::Full);
        }
        state.admit(frame.encoded().len())?;
        let wake = state.push(Item::Frame(frame.clone()));
        Ok(state.waker(wake))
    }

    /// The same for a frame without which those after it would mislead: if the queue is full it is
    /// dropped, and a Close takes its place.
    ///
    /// The handler is [woken](Self::wake) then. No other frame can come between: after what has
    /// reached the connection's own output the Close is the next.
    ///
    /// # Errors
    ///
    /// [`PeerError::Full`] says that this has happened, and comes with the waker to wake;
    /// [`PeerError::Closed`] that the connection has ended or is being closed.
    pub fn enqueue_or_close(
        &self,
        frame: &Frame,
        code: CloseCode,
        reason: &str,
    ) -> Result<Option<Waker>, (PeerError, Option<Waker>)> {
        let mut state = self.0.lock();
        match state.admit(frame.encoded().len()) {
            Ok(()) => {
                let wake = state.push(Item::Frame(frame.clone()));
                Ok(state.waker(wake))
            }
            Err(PeerError::Closed) => Err((PeerError::Closed, None)),
            Err(PeerError::Full) => {
                state.stage = Stage::Closing;
                let close = Item::Close(code, reason.into());
                let dropped = core::mem::replace(&mut state.queue, vec![close]);
                state.woken = true;
                let waker = state.waker(true);
                drop(state);
                // The last reference to a payload may be here: not under the lock.
                drop(dropped);
                Err((PeerError::Full, waker))
            }
        }
    }

    /// Closes the connection, behind what is queued here. From here on messages are refused.
    ///
    /// It takes no room, so it works when the queue is full. Only the first call counts.
    pub fn close(&self, code: CloseCode, reason: &str) {
        let mut state = self.0.lock();
        if state.stage == Stage::Open {
            state.stage = Stage::Closing;
            let wake = state.push(Item::Close(code, reason.into()));
            unlock_and_wake(state, wake);
        }
    }

    /// Drops the messages that are queued here and have not reached the connection's own
    /// output: what a slow reader will never read anyway. A queued Close stays.
    pub fn clear(&self) {
        let mut state = self.0.lock();
        let (kept, dropped) = core::mem::take(&mut state.queue)
            .into_iter()
            .partition::<Vec<_>, _>(|item| matches!(item, Item::Close(..)));
        let freed = dropped.iter().map(Item::cost).fold(0, u32::saturating_add);
        state.room = state.room.saturating_add(freed);
        state.queue = kept;
    }

    /// Has the handler's [`on_wake`](crate::Handler::on_wake) called.
    pub fn wake(&self) {
        self.0.wake_by_ref();
    }

    /// A waker that does what [`wake`](Self::wake) does. It costs a reference count.
    #[must_use]
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Where the peer is.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.0.address
    }

    /// Whether a message would not be refused for the reason that the connection has
    /// ended or is being closed through a `Peer`.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.lock().stage == Stage::Open
    }
}

/// What the session does with its peer.
impl Peer {
    /// Keeps the runtime's waker, and wakes it if something came before it did.
    pub(crate) fn set_waker(&self, waker: &Waker) {
        let mut state = self.0.lock();
        let old = match &state.waker {
            Some(kept) if kept.will_wake(waker) => None,
            _ => state.waker.replace(waker.clone()),
        };
        let missed = state.woken || !(state.seen || state.queue.is_empty());
        drop(state);
        // Dropping a waker may drop a task, and with it whatever that owns: not under the lock.
        drop(old);
        if missed {
            waker.wake_by_ref();
        }
    }

    /// Whether `wake` was called since the last time. What is queued stays there.
    pub(crate) fn take_wake(&self) -> bool {
        let mut state = self.0.lock();
        state.seen = true;
        core::mem::take(&mut state.woken)
    }

    /// Moves what is queued to the connection while that is below its soft mark. Whether `wake`
    /// was called since the last time.
    pub(crate) fn take_work(&self, sender: &mut Sender) -> bool {
        let mut state = self.0.lock();
        let woken = core::mem::take(&mut state.woken);
        self.move_queue(state, sender);
        woken
    }

    /// The same between two sends of the handler; whether something stays in the queue.
    pub(crate) fn take_queue(&self, sender: &mut Sender) -> bool {
        self.move_queue(self.0.lock(), sender)
    }

    fn move_queue(&self, mut state: MutexGuard<'_, State>, sender: &mut Sender) -> bool {
        state.seen = !state.queue.is_empty();
        if !state.seen || sender.wants_flush() {
            return state.seen;
        }
        state.seen = false;
        state.room = room(sender.config().hard_mark);
        let mut items = core::mem::take(&mut state.queue).into_iter();
        // Encoding is not done under the lock, nor is anything dropped.
        drop(state);
        while !sender.wants_flush() {
            // A refusal means that the connection is closing: nobody is left to hear of it.
            let _ = match items.next() {
                Some(Item::Message(message)) => sender.send(message),
                Some(Item::Frame(frame) | Item::Kept(frame)) => sender.send_frame(&frame),
                Some(Item::Close(code, reason)) => sender.close(code, &reason),
                None => break,
            };
        }
        let is_left = items.len() > 0;
        if is_left {
            self.put_back(items.collect());
        }
        is_left
    }

    /// Queues a frame behind what could not be moved. Nobody is woken: it is the session itself
    /// that asks.
    pub(crate) fn push_behind(&self, frame: &Frame) -> Result<(), PeerError> {
        let mut state = self.0.lock();
        state.admit(frame.encoded().len())?;
        state.push(Item::Frame(frame.clone()));
        state.seen = true;
        Ok(())
    }

    /// The same for a frame that is kept elsewhere too: always taken while the connection is open.
    pub(crate) fn push_kept_behind(&self, frame: &Frame) -> Result<(), PeerError> {
        let mut state = self.0.lock();
        if state.stage != Stage::Open {
            return Err(PeerError::Closed);
        }
        state.room = state.room.saturating_sub(cost(0));
        state.push(Item::Kept(frame.clone()));
        state.seen = true;
        Ok(())
    }

    fn put_back(&self, mut left: Vec<Item>) {
        let cost = left.iter().map(Item::cost).fold(0, u32::saturating_add);
        let mut state = self.0.lock();
        state.room = state.room.saturating_sub(cost);
        left.append(&mut state.queue);
        state.queue = left;
        state.seen = true;
    }

    /// The connection has ended: refuses everything from here on. Waking still works.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.stage = Stage::Ended;
        let queue = core::mem::take(&mut state.queue);
        drop(state);
        drop(queue);
    }

    /// Nobody is left to be woken.
    pub(crate) fn forget_waker(&self) {
        let waker = self.0.lock().waker.take();
        drop(waker);
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.address.fmt(f)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Peer").field(&self.0.address).finish()
    }
}

/// Equal are the handles of one connection.
impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut state = self.lock();
        let first = !core::mem::replace(&mut state.woken, true);
        unlock_and_wake(state, first);
    }
}

impl State {
    /// The mark is tested before a message is added: one of any size always fits.
    fn admit(&mut self, len: usize) -> Result<(), PeerError> {
        if self.stage != Stage::Open {
            return Err(PeerError::Closed);
        }
        if self.room == 0 {
            return Err(PeerError::Full);
        }
        self.room = self.room.saturating_sub(cost(len));
        Ok(())
    }

    /// Returns whether the session must be woken: not if something waits there already.
    fn push(&mut self, item: Item) -> bool {
        let first = self.queue.is_empty();
        self.seen &= !first;
        self.queue.push(item);
        first
    }

    fn waker(&self, wake: bool) -> Option<Waker> {
        if wake { self.waker.clone() } else { None }
    }
}

impl Item {
    fn cost(&self) -> u32 {
        match self {
            Self::Message(message) => cost(message.as_bytes().len()),
            Self::Frame(frame) => cost(frame.encoded().len()),
            Self::Kept(_) => cost(0),
            Self::Close(..) => 0,
        }
    }
}

fn cost(len: usize) -> u32 {
    u32::try_from(len.saturating_add(size_of::<Item>())).unwrap_or(u32::MAX)
}

fn room(hard_mark: usize) -> u32 {
    u32::try_from(hard_mark).unwrap_or(u32::MAX)
}

/// Wakes outside the lock: a waker may do anything.
fn unlock_and_wake(state: MutexGuard<'_, State>, wake: bool) {
    let waker = state.waker(wake);
    drop(state);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Why a send through a [`Peer`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    /// The queue is above its mark: the other side reads too slowly. Drop the message, or
    /// [`close`](Peer::close) with [`CloseCode::TRY_AGAIN_LATER`].
    Full,
    /// The connection has ended, or is being closed through a `Peer`.
    Closed,
}

impl fmt::Display for PeerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "the peer's queue is full",
            Self::Closed => "the peer's connection has ended",
        })
    }
}

impl core::error::Error for PeerError {}

/// A message that was not taken, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: PeerError,
    /// The message.
    pub message: OwnedMessage,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for Refused {}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicUsize, Ordering};

    fn peer(hard_mark: usize) -> Peer {
        Peer::new(Address::other("test"), hard_mark)
    }

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_peer_costs_96_bytes() {
        // Two reference counts stand before it.
        assert_eq!(16 + size_of::<Shared>(), 96);
        fn is_shareable<T: Clone + Send + Sync + 'static>() {}
        is_shareable::<Peer>();
    }

    #[test]
    fn a_full_queue_returns_the_message_and_one_above_the_mark_always_fits() {
        let peer = peer(100);
        peer.send(vec![0; 10_000]).expect("the queue was empty");
        let refused = peer.send("another").expect_err("the queue is full");
        assert_eq!(refused.error, PeerError::Full);
        assert_eq!(refused.message, OwnedMessage::from("another"));

        peer.clear();
        peer.send("another").expect("there is room again");
    }

    #[test]
    fn small_messages_are_counted_by_what_they_cost() {
        let peer = peer(10_000);
        let sent = (0..10_000).take_while(|_| peer.send("").is_ok()).count();
        assert!(sent <= 10_000 / size_of::<Item>() + 1, "{sent}");
    }

    #[test]
    fn after_a_close_messages_are_refused() {
        let peer = peer(100);
        peer.close(CloseCode::NORMAL, "");
        assert!(!peer.is_open());
        let refused = peer.send("late").expect_err("closing");
        assert_eq!(refused.error, PeerError::Closed);
    }

    #[test]
    fn the_runtime_is_woken_once_for_any_number_of_messages() {
        let count = Arc::new(Count::default());
        let peer = peer(1000);
        peer.set_waker(&Waker::from(Arc::clone(&count)));
        for _ in 0..3 {
            peer.send("x").expect("room");
            peer.wake();
            peer.waker().wake();
        }
        // One for the messages, one for `wake`.
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(peer.take_wake());
        assert!(!peer.take_wake());
    }

    #[test]
    fn what_came_before_the_waker_wakes_it_at_once() {
        for act in [|p: &Peer| p.wake(), |p: &Peer| drop(p.send("x"))] {
            let count = Arc::new(Count::default());
            let peer = peer(1000);
            act(&peer);
            peer.set_waker(&Waker::from(Arc::clone(&count)));
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn a_backlog_does_not_wake_for_ever() {
        let count = Arc::new(Count::default());
        let peer = peer(1000);
        peer.send("x").expect("room");
        assert!(!peer.take_wake(), "it has looked");
        peer.set_waker(&Waker::from(Arc::clone(&count)));
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_comes_behind_a_backlog_that_was_cleared_is_no_backlog() {
        let clear: fn(&Peer) = |peer| {
            peer.send("x").expect("room");
            assert!(!peer.take_wake(), "it has looked");
            peer.clear();
        };
        let look: fn(&Peer) = |peer| assert!(!peer.take_wake(), "at nothing");
        for before in [clear, look] {
            let count = Arc::new(Count::default());
            let peer = peer(1000);
            before(&peer);
            peer.send("y").expect("room");
            peer.set_waker(&Waker::from(Arc::clone(&count)));
            assert_eq!(count.0.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn what_is_put_back_comes_before_what_came_meanwhile_and_still_costs() {
        let peer = peer(200);
        peer.send("meanwhile").expect("room");
        peer.put_back(vec![Item::Message("put back".repeat(20).into())]);
        assert!(matches!(
            &peer.0.lock().queue[..],
            [Item::Message(first), Item::Message(second)]
                if first.as_bytes().len() == 160 && second.as_bytes() == b"meanwhile"
        ));
        assert_eq!(
            peer.send("x").map_err(|refused| refused.error),
            Err(PeerError::Full)
        );
    }
}

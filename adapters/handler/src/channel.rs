//! What a facade's handler shares with the code that it polls.

use alloc::sync::Arc;
use core::fmt;
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll, Waker};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sockeye_core::{CloseCode, Frame, Message, OwnedMessage, SendError, Time};

use crate::context::Context;

/// The key of the one timer of the session that all sleeps of a facade share.
const SLEEP: u64 = u64::MAX;

/// One connection's half-way house: a message in, what is sent out.
///
/// The handler and the polled code never run at the same time, so the lock is never waited
/// for; it is there because a future must be `Send`.
#[derive(Clone, Default)]
pub(crate) struct Channel(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// One message at a time; a second one pauses the session.
    inbox: Option<OwnedMessage>,
    receiving: Option<Waker>,
    outbox: Vec<Output>,
    /// Bytes in the outbox and in the connection's output.
    queued: usize,
    soft_mark: usize,
    sending: Vec<Waker>,
    sleeps: Vec<Asleep>,
    next_sleep: u64,
    /// The timer of the session is set.
    is_timed: bool,
    now: Time,
    is_open: bool,
}

/// What goes out after the code was polled.
pub(crate) enum Output {
    Message(OwnedMessage),
    Frame(Frame),
    Close(CloseCode, Box<str>),
}

impl Output {
    /// Refused only when the connection is closing, which the code sees for itself.
    pub(crate) fn send(self, cx: &mut Context<'_>) -> Result<(), SendError> {
        match self {
            Self::Message(message) => cx.send(message),
            Self::Frame(frame) => cx.send_frame(&frame),
            Self::Close(code, reason) => cx.close(code, &reason),
        }
    }
}

/// How the code was left.
pub(crate) struct Flushed {
    /// For the next message.
    pub(crate) has_room: bool,
    /// It waits for room to send.
    pub(crate) waits_for_room: bool,
}

struct Asleep {
    id: u64,
    until: Time,
    waker: Waker,
}

/// The handler's side.
impl Channel {
    /// Puts a message where the code finds it, takes over what has changed at the connection,
    /// and wakes what waits for it.
    ///
    /// While closing there may be no room for a message: then nobody is interested. `polled` is
    /// the waker of the code that is polled next anyway.
    pub(crate) fn refresh(&self, message: Option<Message<'_>>, cx: &Context<'_>, polled: &Waker) {
        let mut state = self.lock();
        if state.inbox.is_none() {
            state.inbox = message.map(Message::into_owned);
        }
        state.now = cx.now();
        state.is_open = cx.is_open();
        state.queued = cx.buffered();
        state.soft_mark = cx.config().soft_mark;
        let mut woken = Vec::new();
        let mut wake = |waker: Waker| {
            if !waker.will_wake(polled) {
                woken.push(waker);
            }
        };
        if state.inbox.is_some() || !state.is_open {
            let receiving = state.receiving.take_if(|waker| !waker.will_wake(polled));
            receiving.into_iter().for_each(&mut wake);
        }
        if !state.is_open || state.queued <= state.soft_mark {
            state.sending.drain(..).for_each(&mut wake);
        }
        let now = state.now;
        let due = state.sleeps.extract_if(.., |asleep| asleep.until <= now);
        due.for_each(|asleep| wake(asleep.waker));
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Takes what the code has sent, and asks for what it waits for.
    ///
    /// `outbox` is empty, and comes back full: two of them take turns, so none is allocated.
    pub(crate) fn flush(&self, outbox: &mut Vec<Output>, cx: &mut Context<'_>) -> Flushed {
        let mut state = self.lock();
        core::mem::swap(&mut state.outbox, outbox);
        if !state.sleeps.is_empty() || state.is_timed {
            state.is_timed = !state.sleeps.is_empty();
            match state.sleeps.iter().map(|asleep| asleep.until).min() {
                Some(until) => cx.set_timer(SLEEP, until),
                None => cx.clear_timer(SLEEP),
            }
        }
        Flushed {
            has_room: state.inbox.is_none(),
            waits_for_room: !state.sending.is_empty(),
        }
    }

    /// The connection has ended.
    pub(crate) fn end(&self) {
        self.lock().is_open = false;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The polled code's side.
impl Channel {
    pub(crate) fn poll_recv(&self, cx: &TaskContext<'_>) -> Poll<Option<OwnedMessage>> {
        let mut state = self.lock();
        match state.inbox.take() {
            Some(message) => Poll::Ready(Some(message)),
            None if !state.is_open => Poll::Ready(None),
            None if state
                .receiving
                .as_ref()
                .is_some_and(|w| w.will_wake(cx.waker())) =>
            {
                Poll::Pending
            }
            None => {
                let before = state.receiving.replace(cx.waker().clone());
                // Whatever that takes along with it does not happen under the lock.
                drop(state);
                drop(before);
                Poll::Pending
            }
        }
    }

    pub(crate) fn recv(&self) -> impl Future<Output = Option<OwnedMessage>> {
        poll_fn(|cx| self.poll_recv(cx))
    }

    pub(crate) fn send(&self, message: OwnedMessage) -> Put<'_> {
        let cost = message.as_bytes().len();
        self.put(Output::Message(message), cost)
    }

    pub(crate) fn send_frame(&self, frame: Frame) -> Put<'_> {
        let cost = frame.encoded().len();
        self.put(Output::Frame(frame), cost)
    }

    pub(crate) fn close(&self, code: CloseCode, reason: &str) {
        let mut state = self.lock();
        if state.is_open {
            state.is_open = false;
            state.outbox.push(Output::Close(code, reason.into()));
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    pub(crate) fn now(&self) -> Time {
        self.lock().now
    }

    pub(crate) fn sleep(&self, duration: Duration) -> Sleep {
        let mut state = self.lock();
        state.next_sleep += 1;
        Sleep {
            until: state.now + duration,
            id: state.next_sleep,
            channel: self.clone(),
        }
    }

    fn put(&self, output: Output, cost: usize) -> Put<'_> {
        Put {
            channel: self,
            output: Some(output),
            // Empty messages have their price, too, or a loop that sends them would never
            // wait.
            cost: cost.saturating_add(size_of::<Output>()),
        }
    }
}

/// Waits for room below the soft mark, then queues.
///
/// Not an `async fn`: a message would move through the state of each one on its way.
pub(crate) struct Put<'a> {
    channel: &'a Channel,
    output: Option<Output>,
    cost: usize,
}

impl Future for Put<'_> {
    type Output = Result<(), SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Result<(), SendError>> {
        let mut state = self.channel.lock();
        if !state.is_open {
            return Poll::Ready(Err(SendError::Closed));
        }
        if state.queued > state.soft_mark {
            state.sending.push(cx.waker().clone());
            return Poll::Pending;
        }
        state.queued = state.queued.saturating_add(self.cost);
        state.outbox.extend(self.output.take());
        Poll::Ready(Ok(()))
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").finish_non_exhaustive()
    }
}

/// Waits until a time has come, by a timer of the session; see [`Ws::sleep`](crate::Ws::sleep).
#[must_use = "a sleep does nothing unless it is awaited"]
pub struct Sleep {
    until: Time,
    id: u64,
    channel: Channel,
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let mut state = self.channel.lock();
        let known = state.sleeps.iter().position(|asleep| asleep.id == self.id);
        if state.now >= self.until {
            if let Some(index) = known {
                state.sleeps.swap_remove(index);
            }
            return Poll::Ready(());
        }
        let asleep = Asleep {
            id: self.id,
            until: self.until,
            waker: cx.waker().clone(),
        };
        match known.and_then(|index| state.sleeps.get_mut(index)) {
            Some(known) => *known = asleep,
            None => state.sleeps.push(asleep),
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let id = self.id;
        self.channel.lock().sleeps.retain(|asleep| asleep.id != id);
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sleep")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// Pauses receiving while there is no room for another message, and resumes it.
pub(crate) fn pace(has_room: bool, has_paused: &mut bool, cx: &mut Context<'_>) {
    if has_room == *has_paused {
        *has_paused = !has_room;
        if has_room {
            cx.resume();
        } else {
            cx.pause();
        }
    }
}

/// Makes a handler of what has a `poll` for everything that happens, and is finished once
/// the code that it runs is gone from `$code`.
macro_rules! polled_handler {
    ($handler:ty, $code:ident) => {
        impl $crate::handler::Handler for $handler {
            fn on_open(&mut self, cx: &mut Context<'_>) {
                self.poll(None, cx);
            }

            fn on_message(&mut self, message: sockeye_core::Message<'_>, cx: &mut Context<'_>) {
                self.poll(Some(message), cx);
            }

            fn on_timer(&mut self, _key: u64, cx: &mut Context<'_>) {
                self.poll(None, cx);
            }

            fn on_wake(&mut self, cx: &mut Context<'_>) {
                self.poll(None, cx);
            }

            fn on_writable(&mut self, cx: &mut Context<'_>) {
                self.poll(None, cx);
            }

            fn poll_finished(&mut self, cx: &mut Context<'_>) -> Poll<()> {
                self.poll(None, cx);
                match self.$code {
                    Some(_) => Poll::Pending,
                    None => Poll::Ready(()),
                }
            }
        }
    };
}
pub(crate) use polled_handler;

//! Wake-ups of an event loop from other threads.

use alloc::sync::Arc;
use alloc::task::Wake;
use core::task::Waker;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Who has work in an event loop that is not on a socket.
///
/// However many connections are woken while the loop is busy or on its way out of a
/// wait, that costs one system call at most, and none while the loop is running.
pub(crate) struct Mailbox {
    state: Mutex<State>,
    waker: mio::Waker,
}

#[derive(Default)]
struct State {
    /// Places of connections.
    woken: Vec<u32>,
    /// Something has changed for the whole server.
    news: bool,
    /// The loop waits, or is about to: somebody has to wake it.
    waiting: bool,
}

impl Mailbox {
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self {
            state: Mutex::default(),
            waker,
        }
    }

    /// A waker for one connection.
    pub(crate) fn waker(self: &Arc<Self>, place: u32) -> Waker {
        let mailbox = Arc::clone(self);
        Arc::new(Doorbell { mailbox, place }).into()
    }

    /// Has the loop look at what its server does.
    pub(crate) fn announce(&self) {
        self.post(|state| state.news = true);
    }

    /// Called by the loop before it waits. Returns whether there is nothing in here.
    pub(crate) fn begin_wait(&self) -> bool {
        let mut state = self.lock();
        state.waiting = state.woken.is_empty() && !state.news;
        state.waiting
    }

    /// Called by the loop after it has waited. Adds the places that were woken.
    pub(crate) fn end_wait(&self, woken: &mut Vec<u32>) {
        let mut state = self.lock();
        state.waiting = false;
        state.news = false;
        woken.append(&mut state.woken);
    }

    fn post(&self, post: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        post(&mut state);
        let waits = core::mem::take(&mut state.waiting);
        drop(state);
        if waits && let Err(error) = self.waker.wake() {
            // The next event or deadline will find the post.
            tracing::warn!(%error, "cannot wake an event loop");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a connection's `Peer` rings.
struct Doorbell {
    mailbox: Arc<Mailbox>,
    /// Should the place be somebody else's by now, they look around for nothing.
    place: u32,
}

impl Wake for Doorbell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.mailbox.post(|state| state.woken.push(self.place));
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use mio::{Events, Poll, Token};

    use super::*;

    fn mailbox() -> (Poll, Arc<Mailbox>) {
        let poll = Poll::new().expect("a poll");
        let waker = mio::Waker::new(poll.registry(), Token(0)).expect("a waker");
        (poll, Arc::new(Mailbox::new(waker)))
    }

    fn rings(poll: &mut Poll) -> bool {
        let mut events = Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO))
            .expect("a poll");
        !events.is_empty()
    }

    #[test]
    fn any_number_of_wake_ups_ring_once_and_only_when_the_loop_waits() {
        let (mut poll, mailbox) = mailbox();
        let mut woken = Vec::new();
        mailbox.waker(7).wake();
        assert!(!rings(&mut poll), "the loop is running");
        assert!(!mailbox.begin_wait(), "there is a post");
        mailbox.end_wait(&mut woken);
        assert_eq!(woken, [7]);

        assert!(mailbox.begin_wait());
        mailbox.waker(1).wake();
        mailbox.waker(2).wake();
        assert!(rings(&mut poll));
        mailbox.waker(3).wake();
        assert!(!rings(&mut poll), "it was woken already");
        woken.clear();
        mailbox.end_wait(&mut woken);
        assert_eq!(woken, [1, 2, 3]);
    }

    #[test]
    fn an_announcement_wakes_without_naming_anybody() {
        let (mut poll, mailbox) = mailbox();
        mailbox.announce();
        assert!(!mailbox.begin_wait());
        let mut woken = Vec::new();
        mailbox.end_wait(&mut woken);
        assert!(woken.is_empty() && mailbox.begin_wait());
        mailbox.announce();
        assert!(rings(&mut poll));
    }
}

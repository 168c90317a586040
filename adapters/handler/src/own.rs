//! What a session owns beside its connection.

use sockeye_core::Time;

use crate::address::Address;
use crate::peer::Peer;
use crate::timers::Timers;

/// What a session owns from its first byte to its last. Most connections pay two pointers
/// for all but the address.
pub(crate) struct Own {
    pub(crate) address: Address,
    pub(crate) peer: Option<Peer>,
    rare: Option<Box<Rare>>,
}

/// What only some connections need, or only for a while.
#[derive(Default)]
struct Rare {
    /// What was read and cannot be parsed yet, because receiving is paused: at most one read.
    held: Option<Box<Partial>>,
    /// The answer that opens the connection, until it is written.
    preface: Option<Box<Partial>>,
    timers: Timers,
    /// When the handler must have finished, after the end of its connection.
    finish: Option<Time>,
}

/// Bytes, and how many of them are done with.
#[derive(Default)]
pub(crate) struct Partial {
    pub(crate) bytes: Vec<u8>,
    pub(crate) done: usize,
}

impl Partial {
    pub(crate) fn rest(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.done..).unwrap_or_default()
    }
}

impl Own {
    pub(crate) fn new(address: Address) -> Self {
        Self {
            address,
            peer: None,
            rare: None,
        }
    }

    /// The handle for others, made on first use.
    pub(crate) fn peer(&mut self, hard_mark: usize) -> &Peer {
        self.peer
            .get_or_insert_with(|| Peer::new(self.address.clone(), hard_mark))
    }

    /// There is nobody left who could be reached.
    pub(crate) fn forget_peer(&mut self) {
        if let Some(peer) = self.peer.take() {
            peer.end();
            peer.forget_waker();
        }
    }

    #[inline]
    pub(crate) fn holds_input(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.held.is_some())
    }

    /// Keeps bytes for later, behind those that are kept already.
    #[inline]
    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.hold_some(bytes);
        }
    }

    #[cold]
    fn hold_some(&mut self, bytes: &[u8]) {
        let held = &mut self.rare.get_or_insert_default().held;
        let held = held.get_or_insert_default();
        held.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn take_held(&mut self) -> Option<Box<Partial>> {
        let held = self.rare.as_mut()?.held.take();
        self.shed();
        held
    }

    /// What was taken goes back.
    pub(crate) fn put_held(&mut self, held: Box<Partial>) {
        self.rare.get_or_insert_default().held = Some(held);
    }

    /// Whether something is to be written before anything of the connection.
    #[inline]
    pub(crate) fn has_preface(&self) -> bool {
        self.rare
            .as_ref()
            .is_some_and(|rare| rare.preface.is_some())
    }

    /// What is to be written before anything of the connection.
    #[inline]
    pub(crate) fn preface(&mut self) -> Option<&mut Partial> {
        self.rare.as_mut()?.preface.as_deref_mut()
    }

    pub(crate) fn set_preface(&mut self, bytes: Vec<u8>) {
        let preface = Partial { bytes, done: 0 };
        self.rare.get_or_insert_default().preface = Some(Box::new(preface));
    }

    pub(crate) fn drop_preface(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.preface = None;
            self.shed();
        }
    }

    pub(crate) fn set_timer(&mut self, key: u64, at: Time) {
        self.rare.get_or_insert_default().timers.set(key, at);
    }

    pub(crate) fn clear_timer(&mut self, key: u64) {
        if let Some(rare) = &mut self.rare {
            rare.timers.clear(key);
            self.shed();
        }
    }

    /// Forgets all timers, and the time to finish.
    pub(crate) fn clear_timers(&mut self) {
        if let Some(rare) = &mut self.rare {
            rare.timers = Timers::default();
            rare.finish = None;
            self.shed();
        }
    }

    /// How many timers are due.
    pub(crate) fn due_timers(&self, now: Time) -> usize {
        self.rare.as_ref().map_or(0, |rare| rare.timers.due(now))
    }

    /// Takes the earliest timer that is due.
    pub(crate) fn pop_timer(&mut self, now: Time) -> Option<u64> {
        let key = self.rare.as_mut()?.timers.pop(now)?;
        self.shed();
        Some(key)
    }

    /// From now on the handler has until `at`, unless it has a time already.
    pub(crate) fn finish_by(&mut self, at: Time) {
        let finish = &mut self.rare.get_or_insert_default().finish;
        finish.get_or_insert(at);
    }

    /// Whether the handler has had its time to finish.
    pub(crate) fn must_finish(&self, now: Time) -> bool {
        let finish = self.rare.as_ref().and_then(|rare| rare.finish);
        finish.is_some_and(|at| at <= now)
    }

    /// The earliest of all these times.
    #[inline]
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        let rare = self.rare.as_ref()?;
        rare.timers.next().into_iter().chain(rare.finish).min()
    }

    /// Lets go of what is rare once there is nothing of it.
    fn shed(&mut self) {
        self.rare.take_if(|rare| {
            let Rare {
                held,
                preface,
                timers,
                finish,
            } = &**rare;
            held.is_none() && preface.is_none() && timers.is_empty() && finish.is_none()
        });
    }
}

//! What is done when the store is back, and every few minutes.
//!
//! A thread of its own, because it waits for answers: ten thousand connections are claimed
//! again in portions.

use alloc::sync::Arc;
use core::time::Duration;
use std::collections::HashSet;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use sockeye_handler::Time;
use sockeye_kit::clock::{Alarm, Ticker};
use sockeye_kit::name::Name;
use sockeye_kit::redis::{Command, Failed, Reply, from_value};

use super::RedisStore;
use super::commands::KEEP;
use crate::store::Session;

/// How often what has a time to live in the store is renewed.
const RENEW: Duration = Duration::from_secs(KEEP.as_secs() / 3);
/// How many commands go out before their answers are waited for.
const PORTION: usize = 512;

/// Whether the hub and the store agree.
#[derive(Default)]
pub(super) struct Resync {
    state: Mutex<State>,
    alarm: Alarm,
    thread: OnceLock<Ticker>,
}

#[derive(Default)]
struct State {
    /// Counts how often the store has come or gone: what began before that is given up.
    link: u64,
    wanted: bool,
}

/// The store has come or gone again, or something else has begun anew.
struct Interrupted;

impl RedisStore {
    pub(super) fn start_resync(&self) -> io::Result<()> {
        let resync = &self.0.resync;
        let (this, mut renew_at) = (self.clone(), Time::ZERO);
        let clock = self.0.hub.clock();
        let ticker = Ticker::start("chat-store", clock, &resync.alarm, move |now| {
            if let Some(link) = this.0.resync.take_wanted() {
                let _ = this.resync(link);
            }
            if renew_at <= now {
                renew_at = now + RENEW;
                let _ = this.renew();
            }
            Some(renew_at)
        })?;
        // Only here.
        let _ = resync.thread.set(ticker);
        resync.alarm.set(Time::ZERO);
        Ok(())
    }

    /// The store is back, or may have said something that was not heard.
    pub(super) fn begin_resync(&self) {
        let resync = &self.0.resync;
        let mut state = resync.lock();
        state.link += 1;
        state.wanted = true;
        drop(state);
        resync.alarm.set(Time::ZERO);
    }

    /// The store is away.
    pub(super) fn interrupt_resync(&self) {
        let mut state = self.0.resync.lock();
        state.link += 1;
        state.wanted = false;
        // Under the lock: no resynchronisation is to end this.
        self.0.hub.set_degraded(true);
    }

    fn resync(&self, link: u64) -> Result<(), Interrupted> {
        let (hub, loads) = (&self.0.hub, &self.0.loads);
        let mut portion = Portion::new(self, link);
        if hub.is_degraded() {
            // The rooms went on without the store, each node's in its own way. Before anybody
            // appends to them there, they begin anew.
            for (room, epoch) in loads.all_installed() {
                portion.send(self.renew_epoch_command(&room, &epoch))?;
            }
        }
        let mut claimed = HashSet::new();
        let mut announced = HashSet::new();
        self.claim_again(&mut portion, &mut claimed)?;
        self.announce_again(&mut portion, &mut announced)?;
        portion.finish()?;
        self.end_degradation(link)?;
        loads.restart();
        for room in hub.rooms() {
            loads.want(&room, None);
        }
        self.read_rooms();
        // What has changed meanwhile: who came, and who went.
        self.claim_again(&mut portion, &mut claimed)?;
        self.announce_again(&mut portion, &mut announced)?;
        portion.finish()
    }

    /// Claims the names that are held here, except those in `claimed`, and gives back those
    /// which are in `claimed` and are held no longer.
    fn claim_again(
        &self,
        portion: &mut Portion<'_>,
        claimed: &mut HashSet<(Name, Session)>,
    ) -> Result<(), Interrupted> {
        let claims = self.0.hub.claims();
        let held: HashSet<_> = claims.iter().map(|c| (c.name.clone(), c.session)).collect();
        for (name, session) in claimed.difference(&held) {
            portion.send(self.release_command(name, *session))?;
        }
        for claim in claims {
            let (name, session) = (claim.name.clone(), claim.session);
            if claimed.contains(&(name.clone(), session)) {
                continue;
            }
            let hub = Arc::clone(&self.0.hub);
            portion.send_and(self.claim_command(&claim), move |reply| {
                if matches!(reply.clone().and_then(from_value), Ok(0)) {
                    hub.replace(&name, session);
                }
            })?;
        }
        *claimed = held;
        Ok(())
    }

    /// The same for members of rooms.
    fn announce_again(
        &self,
        portion: &mut Portion<'_>,
        announced: &mut HashSet<(Name, Name)>,
    ) -> Result<(), Interrupted> {
        let present: HashSet<_> = self.0.hub.presence().into_iter().collect();
        for (room, user) in announced.difference(&present) {
            portion.send(self.leave_command(room, user))?;
        }
        for (room, user) in present.difference(announced) {
            portion.send(self.enter_command(room, user))?;
        }
        *announced = present;
        Ok(())
    }

    /// The hub asks the store again from now on.
    fn end_degradation(&self, link: u64) -> Result<(), Interrupted> {
        let state = self.0.resync.lock();
        if state.link != link {
            return Err(Interrupted);
        }
        if self.0.hub.is_degraded() {
            tracing::info!("the store is back");
            self.0.hub.set_degraded(false);
        }
        Ok(())
    }

    /// Renews what would be forgotten as if its node were dead.
    fn renew(&self) -> Result<(), Interrupted> {
        if self.0.hub.is_degraded() {
            return Ok(());
        }
        let mut portion = Portion::new(self, self.0.resync.lock().link);
        self.claim_again(&mut portion, &mut HashSet::new())?;
        self.announce_again(&mut portion, &mut HashSet::new())?;
        for (room, _) in self.0.loads.all_installed() {
            portion.send(self.keep_command(&room))?;
        }
        portion.finish()
    }
}

impl Resync {
    fn take_wanted(&self) -> Option<u64> {
        let mut state = self.lock();
        core::mem::take(&mut state.wanted).then_some(state.link)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing is left half-done under the lock, so a poisoned one is as good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Commands of which not too many wait at a time.
struct Portion<'a> {
    store: &'a RedisStore,
    link: u64,
    under_way: usize,
    sender: SyncSender<Result<(), Failed>>,
    answers: Receiver<Result<(), Failed>>,
}

impl<'a> Portion<'a> {
    fn new(store: &'a RedisStore, link: u64) -> Self {
        let (sender, answers) = sync_channel(PORTION);
        Self {
            store,
            link,
            under_way: 0,
            sender,
            answers,
        }
    }

    fn send(&mut self, command: Option<Command>) -> Result<(), Interrupted> {
        self.send_and(command, |_| ())
    }

    fn send_and(
        &mut self,
        command: Option<Command>,
        done: impl FnOnce(&Reply) + Send + 'static,
    ) -> Result<(), Interrupted> {
        if self.under_way == PORTION {
            self.finish()?;
        }
        let (Some(command), Some(cluster)) = (command, self.store.0.cluster.get()) else {
            return Ok(());
        };
        let sender = self.sender.clone();
        let sent = cluster.send(command, move |reply| {
            done(&reply);
            let _ = sender.try_send(reply.map(drop));
        });
        sent.map_err(|_| Interrupted)?;
        self.under_way += 1;
        Ok(())
    }

    /// Waits for the answers. All of it is begun anew after a loss: the store says so.
    fn finish(&mut self) -> Result<(), Interrupted> {
        while self.under_way > 0 {
            self.under_way -= 1;
            match self.answers.recv() {
                Ok(Ok(())) => {}
                Ok(Err(Failed::Away | Failed::Fenced)) | Err(_) => return Err(Interrupted),
                Ok(Err(error)) => tracing::warn!("{error}"),
            }
        }
        match self.store.0.resync.lock().link == self.link {
            true => Ok(()),
            false => Err(Interrupted),
        }
    }
}

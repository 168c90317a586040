//! The connections of a load.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use core::pin::pin;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use async_channel::{Receiver, Sender};
use async_executor::{Executor, Task};
use async_io::Timer;
use futures_lite::future::or;
use hdrhistogram::Histogram;
use sockeye_async::ConnectError;
use sockeye_async_std::smol::{WebSocket, connect};
use sockeye_core::{CloseCode, OwnedMessage, SendError};

use crate::failure::{End, Failure};
use crate::pattern::Pattern;
use crate::request::Target;

/// Connections that are opened at a time.
const OPENING_MAX: usize = 128;

/// Latencies are counted by so many, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// What is asked of the server.
pub(super) struct Load {
    pub(super) target: Target,
    pub(super) connections: usize,
    /// None: the next message is sent when an answer comes.
    pub(super) schedule: Option<Schedule>,
    pub(super) in_flight: usize,
    pub(super) message: OwnedMessage,
    /// Sent first on each connection.
    pub(super) first: Vec<String>,
    /// What answers are like, if not everything is one.
    pub(super) expect: Option<Pattern>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) patience: Duration,
}

/// An open load: message k of the whole load is due at k / rate, and goes to
/// connection k modulo their number.
pub(super) struct Schedule {
    /// Messages per second.
    pub(super) rate: f64,
}

/// What was counted.
pub(super) struct Counts {
    /// From when a message was due, or sent without a schedule, to its answer.
    pub(super) latency: Histogram<u64>,
    /// From when a message was due to when it was given to the connection.
    pub(super) lag: Histogram<u64>,
    pub(super) sent: u64,
    pub(super) answered: u64,
    /// Due, and not sent until the end.
    pub(super) unsent: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            latency: histogram(),
            lag: histogram(),
            sent: 0,
            answered: 0,
            unsent: 0,
        }
    }

    pub(super) fn add(&mut self, other: &Self) {
        // All have the same form.
        let _ = self.latency.add(&other.latency);
        let _ = self.lag.add(&other.lag);
        self.sent += other.sent;
        self.answered += other.answered;
        self.unsent += other.unsent;
    }
}

/// Of nanoseconds up to an hour, to three digits.
fn histogram() -> Histogram<u64> {
    const LARGEST: u64 = 3_600_000_000_000;
    Histogram::new_with_bounds(1_000, LARGEST, 3).expect("bounds that are in order")
}

/// The connections, and what they have in common.
pub(super) struct Crew {
    load: Arc<Load>,
    shards: Vec<Mutex<Counts>>,
    tally: Mutex<Tally>,
    /// Opened, refused or lost already.
    settled: AtomicUsize,
    connected: AtomicUsize,
    sent: AtomicU64,
    answered: AtomicU64,
    /// Open connections wait here until it begins.
    gate: Gate<Instant>,
    /// Connections that send until it is over listen here.
    over: Gate<()>,
    permits: (Sender<()>, Receiver<()>),
}

/// What happened to connections.
pub(super) struct Tally {
    /// From the start of connecting to the open connection, in nanoseconds.
    pub(super) opening: Histogram<u64>,
    /// When the last was open, from the start of the first.
    pub(super) opened_in: Duration,
    pub(super) lost: usize,
    pub(super) unanswered: u64,
    /// Why connections were not opened or did not last, and how many.
    pub(super) faults: BTreeMap<String, usize>,
    refusal: Option<ConnectError>,
}

/// Opened once, with a value, for any number of tasks.
struct Gate<T> {
    value: OnceLock<T>,
    keeper: Sender<()>,
    waiting: Receiver<()>,
}

impl<T> Gate<T> {
    fn new() -> Self {
        let (keeper, waiting) = async_channel::bounded(1);
        Self {
            value: OnceLock::new(),
            keeper,
            waiting,
        }
    }

    fn open(&self, value: T) {
        // The first value stays.
        let _ = self.value.set(value);
        self.keeper.close();
    }

    async fn wait(&self) {
        // Nothing is ever sent: this is the closing.
        let _ = self.waiting.recv().await;
    }
}

impl Crew {
    pub(super) fn new(load: Arc<Load>) -> Arc<Self> {
        Arc::new(Self {
            load,
            shards: (0..SHARDS).map(|_| Mutex::new(Counts::new())).collect(),
            tally: Mutex::new(Tally {
                opening: histogram(),
                opened_in: Duration::ZERO,
                lost: 0,
                unanswered: 0,
                faults: BTreeMap::new(),
                refusal: None,
            }),
            settled: AtomicUsize::new(0),
            connected: AtomicUsize::new(0),
            sent: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            gate: Gate::new(),
            over: Gate::new(),
            permits: async_channel::bounded(OPENING_MAX),
        })
    }

    /// Starts a task for each connection.
    pub(super) fn enlist(self: &Arc<Self>, executor: &Executor<'static>) -> Vec<Task<()>> {
        let began = Instant::now();
        let task = |number| {
            let crew = Arc::clone(self);
            executor.spawn(async move { crew.work(number, began).await })
        };
        (0..self.load.connections).map(task).collect()
    }

    pub(super) fn start(&self, at: Instant) {
        self.gate.open(at);
    }

    pub(super) fn stop(&self) {
        self.over.open(());
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.settled.load(Relaxed) < self.load.connections
    }

    pub(super) fn connected(&self) -> usize {
        self.connected.load(Relaxed)
    }

    pub(super) fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    pub(super) fn under_way(&self) -> u64 {
        self.sent.load(Relaxed).saturating_sub(self.answered())
    }

    /// Why there was no connection at all, if there was none.
    pub(super) fn refusal(&self) -> Option<Failure> {
        let mut tally = self.tally();
        if !tally.opening.is_empty() {
            return None;
        }
        tally.refusal.take().map(Failure::Connect)
    }

    /// The sum of what was counted.
    pub(super) fn counts(&self) -> Counts {
        let mut sum = Counts::new();
        self.shards.iter().for_each(|shard| sum.add(&lock(shard)));
        sum
    }

    pub(super) fn tally(&self) -> MutexGuard<'_, Tally> {
        lock(&self.tally)
    }

    /// One connection, from before its first byte.
    async fn work(&self, number: usize, began: Instant) {
        // Never closed while somebody works.
        let _ = self.permits.0.send(()).await;
        let started = Instant::now();
        let target = &self.load.target;
        let connected = connect(&target.url, &target.options).await;
        let opened = match connected {
            Ok(ws) => {
                let mut tally = self.tally();
                tally.opening.saturating_record(nanos(started.elapsed()));
                tally.opened_in = began.elapsed();
                self.connected.fetch_add(1, Relaxed);
                Some(ws)
            }
            Err(error) => {
                let mut tally = self.tally();
                tally.add(error.to_string());
                tally.refusal.get_or_insert(error);
                None
            }
        };
        let _ = self.permits.1.recv().await;
        self.settled.fetch_add(1, Relaxed);
        if let Some(mut ws) = opened {
            let unanswered = self.use_it(number, &mut ws).await;
            self.connected.fetch_sub(1, Relaxed);
            let lost = ws.closed().map(|closed| End(closed).to_string());
            let is_lost = lost.is_some();
            self.tally().end(unanswered, lost);
            if !is_lost {
                // The code and the empty reason can be sent.
                let _ = ws.close(CloseCode::NORMAL, "").await;
            }
        }
    }

    /// Sends and counts; returns how many messages were not answered.
    async fn use_it(&self, number: usize, ws: &mut WebSocket) -> usize {
        for first in &self.load.first {
            let first = first.replace("{}", &number.to_string());
            if ws.send(&first).await.is_err() {
                return 0;
            }
        }
        // What comes before the load begins is no answer to it.
        let ended = async { while ws.recv().await.is_some() {} };
        or(self.gate.wait(), ended).await;
        let Some(began) = self.gate.value.get() else {
            return 0;
        };
        let shard = &self.shards[number % SHARDS];
        let mut worker = Worker::new(&self.load, number, *began);
        let mut over = pin!(self.over.wait());
        let mut timer = Timer::never();
        let mut armed = None;
        loop {
            let now = Instant::now();
            let queued = worker.send_due(ws, now, &mut lock(shard));
            match queued {
                Ok(sent) => self.sent.fetch_add(sent, Relaxed),
                // How it ended is noted already or comes in a moment.
                Err(_) => {
                    while ws.recv().await.is_some() {}
                    break;
                }
            };
            let Some(at) = worker.next(now) else { break };
            if armed != Some(at) {
                timer.set_at(at);
                armed = Some(at);
            }
            let incoming = async { Woken::Incoming(ws.recv().await) };
            let time = async {
                (&mut timer).await;
                Woken::Time
            };
            let stopped = async {
                over.as_mut().await;
                Woken::Over
            };
            let woken = match worker.is_sending {
                true => or(incoming, or(time, stopped)).await,
                false => or(incoming, time).await,
            };
            match woken {
                Woken::Incoming(Some(message)) => {
                    let is_answer = worker.receive(&message, &mut lock(shard));
                    self.answered.fetch_add(is_answer.into(), Relaxed);
                }
                Woken::Incoming(None) => break,
                Woken::Time => armed = None,
                Woken::Over => worker.end(Instant::now()),
            }
        }
        lock(shard).unsent += worker.unsent();
        worker.under_way.len()
    }
}

enum Woken {
    Incoming(Option<OwnedMessage>),
    Time,
    Over,
}

/// One connection's part of the load.
struct Worker<'a> {
    load: &'a Load,
    /// When each message that was not answered was due.
    under_way: VecDeque<Instant>,
    began: Instant,
    /// What is due from here on counts ...
    counted: Instant,
    /// ... up to here, where sending ends.
    end: Instant,
    is_sending: bool,
    /// With a schedule: which message is the next, of the whole load.
    next: u64,
}

impl<'a> Worker<'a> {
    fn new(load: &'a Load, number: usize, began: Instant) -> Self {
        let counted = began + load.warm_up;
        Self {
            load,
            under_way: VecDeque::new(),
            began,
            counted,
            end: counted + load.duration,
            is_sending: true,
            next: number as u64,
        }
    }

    /// When message `k` of the whole load is due.
    fn due(&self, schedule: &Schedule, k: u64) -> Instant {
        self.began + Duration::from_secs_f64(k as f64 / schedule.rate)
    }

    /// Queues what is due by `now`; receiving writes it.
    fn send_due(
        &mut self,
        ws: &mut WebSocket,
        now: Instant,
        counts: &mut Counts,
    ) -> Result<u64, SendError> {
        let mut sent = 0;
        while self.is_sending && self.under_way.len() < self.load.in_flight {
            let due = match &self.load.schedule {
                Some(schedule) => self.due(schedule, self.next),
                None => now,
            };
            if due >= self.end {
                self.is_sending = false;
            }
            if due >= self.end || due > now {
                break;
            }
            ws.sender().send(&self.load.message)?;
            self.under_way.push_back(due);
            self.next += self.load.connections as u64;
            sent += 1;
            if due >= self.counted {
                counts.sent += 1;
                counts.lag.saturating_record(nanos(now - due));
            }
        }
        // What was due in time is sent even then.
        let last = match self.load.schedule {
            Some(_) => self.end + self.load.patience,
            None => self.end,
        };
        if now >= last {
            self.is_sending = false;
        }
        Ok(sent)
    }

    /// What to wait for besides answers; nothing, if this is the end.
    fn next(&self, now: Instant) -> Option<Instant> {
        let patience = self.end + self.load.patience;
        if !self.is_sending {
            return (!self.under_way.is_empty() && now < patience).then_some(patience);
        }
        Some(match &self.load.schedule {
            Some(schedule) if self.under_way.len() < self.load.in_flight => {
                self.due(schedule, self.next)
            }
            Some(_) => patience,
            None => self.end,
        })
    }

    /// Whether it is an answer. Answers come in the order of what they answer.
    fn receive(&mut self, message: &OwnedMessage, counts: &mut Counts) -> bool {
        if self
            .load
            .expect
            .as_ref()
            .is_some_and(|expect| !expect.matches(message))
        {
            return false;
        }
        let Some(due) = self.under_way.pop_front() else {
            return false;
        };
        let now = Instant::now();
        if (self.counted..self.end).contains(&due) {
            counts.latency.saturating_record(nanos(now - due));
        }
        if (self.counted..self.end).contains(&now) {
            counts.answered += 1;
        }
        true
    }

    /// Ends sending early.
    fn end(&mut self, now: Instant) {
        self.end = self.end.min(now);
        self.is_sending = false;
    }

    /// How many were due before the end and never sent.
    fn unsent(&self) -> u64 {
        let Some(schedule) = &self.load.schedule else {
            return 0;
        };
        let each = self.load.connections as u64;
        let due = |k: &u64| self.due(schedule, *k) < self.end;
        let mut rest = (0..).map(|n| self.next + n * each).take_while(due);
        rest.by_ref().count() as u64
    }
}

impl Tally {
    /// A connection has ended; `lost` says how, if it was not us.
    fn end(&mut self, unanswered: usize, lost: Option<String>) {
        self.unanswered += unanswered as u64;
        if let Some(how) = lost {
            self.lost += 1;
            self.add(how);
        }
    }

    fn add(&mut self, fault: String) {
        *self.faults.entry(fault).or_default() += 1;
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

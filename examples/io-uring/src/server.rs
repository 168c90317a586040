//! A server: sessions, and the ring below them.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::{self, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use sockeye_common::DeadlineHeap;
use sockeye_core::Deadline;
use sockeye_handler::{
    Address, Endpoint, OutputBuffer, Service, Session, SharedConfig, Time, Transmit,
};

use crate::ring::{Done, Ring};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Serves `service` on this thread until the process ends.
pub fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    config: SharedConfig,
) -> io::Result<()> {
    let (bell, ringer) = UnixStream::pair()?;
    let mut server = Server {
        ring: Ring::new(listener, bell)?,
        service: Arc::new(service),
        config,
        connections: Vec::new(),
        deadlines: DeadlineHeap::default(),
        spare: None,
        woken: Arc::new(Woken {
            places: Mutex::new(Vec::new()),
            ringer,
        }),
        epoch: Instant::now(),
    };
    loop {
        server.ring.wait(Some(TICK))?;
        let now = server.now();
        while let Some(done) = server.ring.next()? {
            server.handle(done, now)?;
        }
        while let Some(place) = server.deadlines.pop_due(now) {
            server.with(place, now, |session| session.handle_timeout(now))?;
        }
    }
}

struct Server<S: Service> {
    ring: Ring,
    service: Arc<S>,
    config: SharedConfig,
    connections: Vec<Option<Connection<S>>>,
    deadlines: DeadlineHeap,
    /// Lent to whichever session has its turn.
    spare: Option<OutputBuffer>,
    woken: Arc<Woken>,
    epoch: Instant,
}

struct Connection<S: Service> {
    session: Session<S>,
    /// Received while the session wanted none.
    held: VecDeque<Box<[u8]>>,
    has_ended: bool,
    has_waker: bool,
}

impl<S: Service> Server<S> {
    fn now(&self) -> Time {
        Time::ZERO + self.epoch.elapsed()
    }

    fn handle(&mut self, done: Done, now: Time) -> io::Result<()> {
        match done {
            Done::Accepted(place) => self.open(place, now),
            Done::Received(place, piece) => {
                if let Some(connection) = get(&mut self.connections, place) {
                    lend(&mut self.spare, &mut connection.session);
                    connection.receive(self.ring.input(&piece), now);
                }
                self.ring.recycle(piece);
                self.turn(place, now)
            }
            Done::Sent(place) | Done::Paused(place) => self.turn(place, now),
            Done::Ended(place) => {
                if let Some(connection) = get(&mut self.connections, place) {
                    connection.has_ended = true;
                }
                self.turn(place, now)
            }
            Done::Failed(place) => self.with(place, now, |session| session.handle_error(now)),
            Done::Rung => {
                let places = self.woken.take();
                places
                    .into_iter()
                    .try_for_each(|place| self.with(place, now, |session| session.handle_wake(now)))
            }
        }
    }

    fn open(&mut self, place: u32, now: Time) -> io::Result<()> {
        let peer = self.ring.stream(place).map(|stream| stream.peer_addr());
        let Some(Ok(peer)) = peer else {
            // It has gone already.
            return self.ring.close(place);
        };
        let (service, config) = (Arc::clone(&self.service), self.config.clone());
        let session = Session::new(service, config, Address::from(peer), now);
        if self.connections.len() <= place as usize {
            self.connections.resize_with(place as usize + 1, || None);
        }
        self.connections[place as usize] = Some(Connection {
            session,
            held: VecDeque::new(),
            has_ended: false,
            has_waker: false,
        });
        self.turn(place, now)
    }

    /// Lets something happen to a session, and does what follows.
    fn with(&mut self, place: u32, now: Time, run: impl FnOnce(&mut Session<S>)) -> io::Result<()> {
        if let Some(connection) = get(&mut self.connections, place) {
            lend(&mut self.spare, &mut connection.session);
            run(&mut connection.session);
        }
        self.turn(place, now)
    }

    /// Does what a session wants now.
    fn turn(&mut self, place: u32, now: Time) -> io::Result<()> {
        let Some(connection) = get(&mut self.connections, place) else {
            return Ok(());
        };
        connection.receive_held(now);
        let session = &mut connection.session;
        while let Some(transmit) = session.poll_transmit() {
            match transmit {
                // From here on its deadline runs.
                _ if self.ring.is_sending(place) => {
                    session.handle_written(0, now);
                    break;
                }
                Transmit::Write(output) => {
                    let mut len = 0;
                    self.ring.send(place, |buffer| {
                        output
                            .slices()
                            .for_each(|slice| buffer.extend_from_slice(slice));
                        len = buffer.len();
                    })?;
                    // The ring has it, as a socket would.
                    session.handle_written(len, now);
                }
                Transmit::Shutdown => {
                    self.ring.shut_down(place);
                    session.handle_shutdown(now);
                }
            }
        }
        if let Some(spare) = session.reclaim() {
            self.spare = Some(spare);
        }
        if session.is_finished() {
            self.connections[place as usize] = None;
            self.deadlines.arm(place, Deadline::NEVER);
            return self.ring.close(place);
        }
        if !connection.has_waker && session.wants_waker() {
            connection.has_waker = true;
            let woken = Arc::clone(&self.woken);
            session.set_waker(&Waker::from(Arc::new(Bell { place, woken })));
        }
        if let Some(deadline) = session.poll_timeout().map(Deadline::at)
            && deadline < self.deadlines.armed(place)
        {
            self.deadlines.arm(place, deadline);
        }
        match session.wants_input() && !connection.has_ended {
            true => self.ring.receive(place),
            false => self.ring.pause(place),
        }
    }
}

impl<S: Service> Connection<S> {
    fn receive(&mut self, bytes: &mut [u8], now: Time) {
        if self.held.is_empty() && self.session.wants_input() {
            none(self.session.handle_input(bytes, now));
        } else {
            self.held.push_back((&*bytes).into());
        }
    }

    fn receive_held(&mut self, now: Time) {
        while self.session.wants_input()
            && let Some(mut bytes) = self.held.pop_front()
        {
            none(self.session.handle_input(&mut bytes, now));
        }
        if self.has_ended && self.held.is_empty() {
            // Telling it again changes nothing.
            self.session.handle_eof(now);
        }
    }
}

/// Lends the spare buffer to a session that has use for it: any other would drop it.
fn lend<S: Service>(spare: &mut Option<OutputBuffer>, session: &mut Session<S>) {
    if session.wants_buffer()
        && let Some(spare) = spare.take()
    {
        session.lend(spare);
    }
}

fn get<S: Service>(
    connections: &mut [Option<Connection<S>>],
    place: u32,
) -> Option<&mut Connection<S>> {
    connections.get_mut(place as usize)?.as_mut()
}

/// A session hands out nothing: its handler takes it all.
fn none(item: Option<Infallible>) {
    match item {
        None => {}
        Some(never) => match never {},
    }
}

/// Who was woken by other threads.
struct Woken {
    places: Mutex<Vec<u32>>,
    ringer: UnixStream,
}

impl Woken {
    fn take(&self) -> Vec<u32> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *places)
    }
}

/// Wakes one connection.
struct Bell {
    place: u32,
    woken: Arc<Woken>,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut places = self
            .woken
            .places
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        places.push(self.place);
        if places.len() == 1 {
            // Should its buffer be full, it rings anyway.
            let _ = (&self.woken.ringer).write(&[1]);
        }
    }
}

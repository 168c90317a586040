//! One connection of a test server: a session, a client, and what is between them.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use sockeye_core::handshake::{ClientHandshake, ConnectError, Opened, Response};
use sockeye_core::{
    Closed, Config, Connection, Endpoint, Event, Incoming, Input, Seed, Sender, Time, Transmit,
};

use crate::address::Address;
use crate::handler::Service;
use crate::session::Session;

pub(super) struct Link<S: Service> {
    /// `None` when it is finished.
    session: Option<Session<S>>,
    woken: Arc<Flag>,
    waker: Waker,
    client: End,
    /// Bytes on their way to the session.
    sent: Vec<u8>,
    /// The client has ended its direction behind them.
    has_ended: bool,
    /// The session knows.
    has_told_end: bool,
    /// The server has ended its direction.
    is_shut_down: bool,
    /// The client does not read.
    pub(super) is_stalled: bool,
    /// The client is gone: what is written goes nowhere.
    is_lost: bool,
}

/// The client's end.
pub(super) enum End {
    Raw(Vec<u8>),
    Opening(Box<ClientHandshake>),
    Failed(Option<ConnectError>),
    Open(Box<OpenEnd>),
}

pub(super) struct OpenEnd {
    connection: Connection,
    opened: Opened,
    events: VecDeque<Incoming>,
    closed: Option<Closed>,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Release);
    }
}

impl End {
    pub(super) fn raw() -> Self {
        Self::Raw(Vec::new())
    }

    pub(super) fn opening(handshake: ClientHandshake) -> Self {
        Self::Opening(Box::new(handshake))
    }

    fn handle_input(&mut self, bytes: &mut [u8], now: Time) {
        match self {
            Self::Raw(received) => received.extend_from_slice(bytes),
            Self::Opening(handshake) => match handshake.handle_input(bytes) {
                Ok(None) => {}
                Ok(Some(opened)) => {
                    let rest = opened.consumed;
                    *self = Self::Open(Box::new(OpenEnd::new(opened, now)));
                    self.handle_input(bytes.get_mut(rest..).unwrap_or_default(), now);
                }
                Err(error) => *self = Self::Failed(Some(error)),
            },
            Self::Failed(_) => {}
            Self::Open(open) => open.receive(&mut Input::new(bytes), now),
        }
    }

    fn handle_eof(&mut self, now: Time) {
        match self {
            Self::Opening(handshake) => *self = Self::Failed(Some(handshake.handle_eof())),
            Self::Open(open) => {
                open.connection.handle_eof(now);
                open.receive(&mut Input::empty(), now);
            }
            Self::Raw(_) | Self::Failed(_) => {}
        }
    }

    /// Appends what it sends. `true`: it ends its direction after that.
    fn transmit(&mut self, out: &mut Vec<u8>, now: Time) -> bool {
        match self {
            Self::Opening(handshake) => {
                if let Some(bytes) = handshake.poll_transmit() {
                    out.extend_from_slice(bytes);
                    let len = bytes.len();
                    handshake.handle_transmitted(len);
                }
                false
            }
            Self::Open(open) => open.transmit(out, now),
            Self::Failed(_) => true,
            Self::Raw(_) => false,
        }
    }
}

impl OpenEnd {
    fn new(opened: Opened, now: Time) -> Self {
        // What a test is about are the server's limits and time-outs.
        let mut config = Config::default();
        config.ping_interval = None;
        config.max_message = Config::UNLIMITED;
        let config = config.share().unwrap_or_default();
        Self {
            connection: Connection::client(&config, &Seed::new([7; 32]), now)
                .with_extensions(opened.extensions),
            opened,
            events: VecDeque::new(),
            closed: None,
        }
    }

    fn receive(&mut self, input: &mut Input<'_>, now: Time) {
        while let Some((event, _)) = self.connection.poll_event(input, now) {
            self.events.push_back(match event {
                Event::Message(message) => Incoming::Message(message.into_owned()),
                Event::Ping(payload) => Incoming::Ping(payload.into()),
                Event::Pong(payload) => Incoming::Pong(payload.into()),
                Event::Closed(closed) => {
                    self.closed = Some(closed.clone());
                    continue;
                }
                _ => continue,
            });
        }
    }

    fn transmit(&mut self, out: &mut Vec<u8>, now: Time) -> bool {
        loop {
            let written = match self.connection.poll_transmit() {
                None => return self.connection.is_drained(),
                Some(Transmit::Shutdown) => {
                    self.connection.handle_shutdown(now);
                    return true;
                }
                Some(Transmit::Write(output)) => {
                    let before = out.len();
                    output
                        .slices()
                        .for_each(|slice| out.extend_from_slice(slice));
                    out.len() - before
                }
            };
            self.connection.handle_written(written, now);
        }
    }
}

impl<S: Service> Link<S> {
    pub(super) fn new(session: Session<S>, client: End) -> Self {
        let woken = Arc::new(Flag::default());
        Self {
            session: Some(session),
            waker: Waker::from(Arc::clone(&woken)),
            woken,
            client,
            sent: Vec::new(),
            has_ended: false,
            has_told_end: false,
            is_shut_down: false,
            is_stalled: false,
            is_lost: false,
        }
    }

    /// Does what can be done now. Returns whether that was anything.
    pub(super) fn run(&mut self, read_size: usize, now: Time) -> bool {
        self.has_ended |= self.client.transmit(&mut self.sent, now) || self.is_lost;
        let Some(session) = &mut self.session else {
            return false;
        };
        let mut has_moved = false;
        if self.woken.0.swap(false, Ordering::Acquire) {
            session.handle_wake(now);
            has_moved = true;
        }
        has_moved |= self.read(read_size, now);
        has_moved |= self.write_out(now);
        if let Some(session) = &mut self.session {
            session.set_waker(&self.waker);
            if session.is_drained() && !self.is_shut_down {
                self.is_shut_down = true;
                self.client.handle_eof(now);
                has_moved = true;
            }
            if session.is_finished() {
                self.session = None;
            }
        }
        has_moved
    }

    /// One read of the session.
    fn read(&mut self, read_size: usize, now: Time) -> bool {
        let Some(session) = &mut self.session else {
            return false;
        };
        if !session.wants_input() {
            return false;
        }
        if self.sent.is_empty() {
            let is_news = self.has_ended && !self.has_told_end;
            if is_news {
                self.has_told_end = true;
                session.handle_eof(now);
            }
            return is_news;
        }
        let len = self.sent.len().min(read_size);
        match session.read_target() {
            Some(target) => {
                let len = len.min(target.len());
                for (to, from) in target.iter_mut().zip(self.sent.drain(..len)) {
                    *to = from;
                }
                session.handle_read(len, now);
            }
            None => {
                let mut bytes: Vec<u8> = self.sent.drain(..len).collect();
                session.handle_input(&mut bytes, now);
            }
        }
        true
    }

    /// Everything that the session has to write.
    fn write_out(&mut self, now: Time) -> bool {
        let mut has_moved = false;
        while let Some(session) = &mut self.session {
            let has_output = session.has_output();
            let next = session.poll_transmit();
            assert_eq!(next.is_some(), has_output, "it was told otherwise");
            let mut bytes = match next {
                None => break,
                Some(Transmit::Shutdown) => {
                    session.handle_shutdown(now);
                    self.is_shut_down = true;
                    self.client.handle_eof(now);
                    has_moved = true;
                    continue;
                }
                Some(Transmit::Write(output)) => output.slices().collect::<Vec<_>>().concat(),
            };
            if self.is_stalled && !self.is_lost {
                session.handle_written(0, now);
                break;
            }
            session.handle_written(bytes.len(), now);
            self.client.handle_input(&mut bytes, now);
            has_moved = true;
        }
        has_moved
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let session = self.session.as_ref().and_then(Endpoint::poll_timeout);
        let client = match &self.client {
            End::Open(open) => open.connection.poll_timeout(),
            _ => None,
        };
        session.into_iter().chain(client).min()
    }

    pub(super) fn handle_timeout(&mut self, now: Time) {
        self.with_session(|session| session.handle_timeout(now));
        if let End::Open(open) = &mut self.client {
            open.connection.handle_timeout(now);
            open.receive(&mut Input::empty(), now);
        }
    }

    pub(super) fn with_session(&mut self, act: impl FnOnce(&mut Session<S>)) {
        if let Some(session) = &mut self.session {
            act(session);
        }
    }

    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    pub(super) fn address(&self) -> Option<Address> {
        self.session
            .as_ref()
            .map(|session| session.address().clone())
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn lose(&mut self, now: Time) {
        self.is_lost = true;
        self.with_session(|session| session.handle_error(now));
    }

    pub(super) fn is_ended(&self) -> bool {
        self.is_shut_down
    }

    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        match &mut self.client {
            End::Raw(received) => core::mem::take(received),
            _ => Vec::new(),
        }
    }

    pub(super) fn sender(&mut self) -> Option<&mut Sender> {
        match &mut self.client {
            End::Open(open) => Some(open.connection.sender()),
            _ => None,
        }
    }

    pub(super) fn take_event(&mut self) -> Option<Incoming> {
        match &mut self.client {
            End::Open(open) => open.events.pop_front(),
            _ => None,
        }
    }

    pub(super) fn is_decided(&self) -> bool {
        !matches!(self.client, End::Opening(_))
    }

    pub(super) fn take_failure(&mut self) -> Option<ConnectError> {
        match &mut self.client {
            End::Failed(error) => error.take(),
            _ => None,
        }
    }

    pub(super) fn closed(&self) -> Option<Closed> {
        match &self.client {
            End::Open(open) => open.closed.clone(),
            _ => None,
        }
    }

    pub(super) fn response(&self) -> Option<Response> {
        match &self.client {
            End::Open(open) => Some(open.opened.response.clone()),
            _ => None,
        }
    }
}

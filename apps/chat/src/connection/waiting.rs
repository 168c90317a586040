//! Requests that the store has to answer.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context as TaskContext, Poll};

use sockeye_handler::Context;
use sockeye_kit::name::Name;

use super::Connection;
use super::login::Claiming;
use super::v1::Refusal;
use crate::hub::Hub;
use crate::protocol::{Code, Dialect, Id, Since};
use crate::store::{Away, Claimed, Pending, Stamp};

/// A request under way, and what is left to do when the answer comes.
pub(super) struct Waiting {
    re: Option<Id>,
    request: Request,
}

enum Request {
    Claim {
        claiming: Claiming,
        /// The original dialect joins a room with its login.
        room: Option<Name>,
        asked: Asked<Claimed>,
    },
    Post {
        room: Name,
        asked: Asked<Stamp>,
    },
    Whisper {
        asked: Asked<bool>,
    },
    Load {
        room: Name,
        since: Option<Since>,
        asked: Asked<()>,
    },
}

/// What the store was asked, and its answer once it has come.
struct Asked<T> {
    pending: Pending<T>,
    answer: Option<Result<T, Away>>,
}

impl<T> Asked<T> {
    /// Whether the answer has come. A store that has dropped its end is away.
    fn poll(&mut self, task: &mut TaskContext<'_>) -> bool {
        if let Poll::Ready(answer) = Pin::new(&mut self.pending).poll(task) {
            self.answer = Some(answer.unwrap_or(Err(Away)));
        }
        self.answer.is_some()
    }

    fn into_answer(self) -> Result<T, Away> {
        self.answer.unwrap_or(Err(Away))
    }
}

impl<T> From<Pending<T>> for Asked<T> {
    fn from(pending: Pending<T>) -> Self {
        Self {
            pending,
            answer: None,
        }
    }
}

impl Waiting {
    pub(super) fn claim(
        claiming: Claiming,
        re: Option<&Id>,
        room: Option<Name>,
        answer: Pending<Claimed>,
    ) -> Self {
        let asked = answer.into();
        let request = Request::Claim {
            claiming,
            room,
            asked,
        };
        Self::new(re, request)
    }

    pub(super) fn post(room: Name, re: Option<&Id>, answer: Pending<Stamp>) -> Self {
        let asked = answer.into();
        Self::new(re, Request::Post { room, asked })
    }

    pub(super) fn whisper(re: Option<&Id>, answer: Pending<bool>) -> Self {
        let asked = answer.into();
        Self::new(re, Request::Whisper { asked })
    }

    fn load(room: Name, re: Option<&Id>, since: Option<Since>, answer: Pending<()>) -> Self {
        let asked = answer.into();
        let request = Request::Load { room, since, asked };
        Self::new(re, request)
    }

    fn new(re: Option<&Id>, request: Request) -> Self {
        Self {
            re: re.cloned(),
            request,
        }
    }

    /// The connection has ended: a name that was granted meanwhile is given back.
    pub(super) fn abandon(self, hub: &Hub) {
        if let Request::Claim { claiming, .. } = self.request
            && let Some(store) = hub.store()
        {
            store.release(&claiming.claim.name, claiming.claim.session);
        }
    }

    fn poll(&mut self, task: &mut TaskContext<'_>) -> bool {
        match &mut self.request {
            Request::Claim { asked, .. } => asked.poll(task),
            Request::Post { asked, .. } => asked.poll(task),
            Request::Whisper { asked } => asked.poll(task),
            Request::Load { asked, .. } => asked.poll(task),
        }
    }
}

impl Connection {
    /// Takes no further request until the store has answered this one.
    pub(super) fn wait(&mut self, waiting: Waiting, cx: &mut Context<'_>) {
        self.waiting = Some(Box::new(waiting));
        cx.pause();
        // It may be there already; otherwise the store has somebody to wake now.
        self.go_on(cx);
    }

    /// Has the store bring a room up to date, and joins it then.
    pub(super) fn load(
        &mut self,
        room: &Name,
        re: Option<&Id>,
        since: Option<Since>,
        cx: &mut Context<'_>,
    ) {
        let Some(store) = self.hub.store() else {
            // It went away just now; the rooms go on without it.
            return self.loaded(re, room, since.as_ref(), Ok(()), cx);
        };
        let answer = store.load(room);
        self.wait(Waiting::load(room.clone(), re, since, answer), cx);
    }

    /// Goes on with the request that waits, if its answer has come.
    pub(super) fn go_on(&mut self, cx: &mut Context<'_>) {
        let Some(waiting) = &mut self.waiting else {
            return;
        };
        let waker = cx.peer().waker();
        if !waiting.poll(&mut TaskContext::from_waker(&waker)) {
            return;
        }
        if let Some(waiting) = self.waiting.take() {
            cx.resume();
            self.answered(*waiting, cx);
        }
    }

    fn answered(&mut self, waiting: Waiting, cx: &mut Context<'_>) {
        let re = waiting.re.as_ref();
        match waiting.request {
            Request::Claim {
                claiming,
                room,
                asked,
            } => self.claimed(re, &claiming, room.as_ref(), asked.into_answer(), cx),
            Request::Load { room, since, asked } => {
                self.loaded(re, &room, since.as_ref(), asked.into_answer(), cx);
            }
            Request::Post { room, asked } => match asked.into_answer() {
                Ok(stamp) => self.acknowledge(re, Some(&room), Some(&stamp), cx),
                Err(Away) => self.fail(re, Code::Degraded, cx),
            },
            Request::Whisper { asked } => match asked.into_answer() {
                Ok(true) => self.acknowledge(re, None, None, cx),
                Ok(false) => self.fail(re, Code::NoSuchUser, cx),
                Err(Away) => self.fail(re, Code::Degraded, cx),
            },
        }
    }

    fn claimed(
        &mut self,
        re: Option<&Id>,
        claiming: &Claiming,
        room: Option<&Name>,
        result: Result<Claimed, Away>,
        cx: &mut Context<'_>,
    ) {
        let claimed = match result {
            Ok(Claimed::Granted) => {
                let claimed = self.take_name(claiming, cx);
                if claimed == Claimed::Taken
                    && let Some(store) = self.hub.store()
                {
                    store.release(&claiming.claim.name, claiming.claim.session);
                }
                claimed
            }
            Ok(Claimed::Taken) => Claimed::Taken,
            // Each node for itself now.
            Err(Away) if self.hub.is_degraded() => self.take_name(claiming, cx),
            Err(Away) => return self.fail(re, Code::Degraded, cx),
        };
        match (claimed, room) {
            (Claimed::Taken, _) => self.fail(re, Self::taken(claiming), cx),
            (Claimed::Granted, Some(room)) => self.move_to(&claiming.claim.name, room, cx),
            (Claimed::Granted, None) => self.welcome(re, claiming, cx),
        }
    }

    fn loaded(
        &mut self,
        re: Option<&Id>,
        room: &Name,
        since: Option<&Since>,
        result: Result<(), Away>,
        cx: &mut Context<'_>,
    ) {
        let Some(user) = self.user.as_ref().map(|user| user.name.clone()) else {
            return;
        };
        if result == Err(Away) && !self.hub.is_degraded() {
            return self.fail(re, Code::Degraded, cx);
        }
        if let Err(unable) = self.enter(&user, room, re, since, true, cx) {
            match self.dialect {
                Dialect::V1 => Self::refuse(re, &Refusal::from(unable), cx),
                Dialect::Original => self.cannot_enter(unable, cx),
            }
        }
    }

    /// Tells that a request has failed: in the original dialect only where it must.
    fn fail(&mut self, re: Option<&Id>, code: Code, cx: &mut Context<'_>) {
        match (self.dialect, code) {
            (Dialect::V1, _) => Self::refuse(re, &Refusal::from(code), cx),
            (Dialect::Original, Code::NameTaken) => self.violation("name taken", cx),
            (Dialect::Original, Code::NoSuchUser) => {}
            // What cannot be delivered must not vanish silently.
            (Dialect::Original, _) => {
                self.close(sockeye_handler::CloseCode::TRY_AGAIN_LATER, "degraded", cx);
            }
        }
    }
}

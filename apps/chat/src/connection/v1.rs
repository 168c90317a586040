//! The requests of `chat.v1.json`.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use sockeye_handler::Context;
use sockeye_kit::name::Name;
use sockeye_kit::secret::Secret;

use super::login::Candidate;
use super::waiting::Waiting;
use super::{Connection, TOO_FAST};
use crate::protocol::{
    BadRequest, Code, Dialect, Event, Fields, Id, Position, Request, Since, TextFault, check_text,
};
use crate::room::{Departure, Entrance, Reply, Room, Unable};
use crate::store::{Claimed, Post, Stamp, Via, Whisper};

/// Why a request was refused.
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) reason: Cow<'static, str>,
    pub(super) retry_ms: Option<u64>,
}

impl Refusal {
    fn new(code: Code, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            reason: reason.into(),
            retry_ms: None,
        }
    }
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self::new(code, code.reason())
    }
}

impl Connection {
    pub(super) fn handle_v1(&mut self, text: &str, cx: &mut Context<'_>) {
        let Some(fields) = Fields::parse(text) else {
            return self.invalid(cx);
        };
        let id = fields.id();
        // Also before what a request should have been: who is not known learns nothing of that.
        let is_barred = self.user.is_none() && !matches!(fields.kind(), Some("login" | "ping"));
        let request = Request::parse(fields).map_err(|BadRequest| match is_barred {
            true => Code::NotLoggedIn,
            false => Code::BadRequest,
        });
        let is_quiet = id.is_none() && matches!(request, Ok(Request::Typing { .. }));
        let result = match request {
            Ok(Request::Ping) => {
                Self::tell(&Event::Pong { re: id.as_ref() }, cx);
                return;
            }
            request => self.request(request, id.as_ref(), is_quiet, cx),
        };
        if let Err(refusal) = result {
            if !is_quiet {
                Self::refuse(id.as_ref(), &refusal, cx);
            }
            if refusal.code == Code::TooFast && self.refusals.add(cx.now()) {
                self.close(TOO_FAST, "too fast", cx);
            }
        }
    }

    fn request(
        &mut self,
        request: Result<Request<'_>, Code>,
        re: Option<&Id>,
        is_quiet: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        if !self.bucket.take(cx.now()) {
            let wait = self.bucket.wait(cx.now()).as_micros().div_ceil(1000);
            return Err(Refusal {
                retry_ms: Some(u64::try_from(wait).unwrap_or(u64::MAX)),
                ..Code::TooFast.into()
            });
        }
        let request = request?;
        if let Request::Login {
            nickname,
            token,
            resume,
        } = request
        {
            let candidate = self.candidate(nickname.as_deref(), token.as_deref())?;
            let resume = resume.map(|resume| Secret::new(resume.as_bytes()));
            return self.login(
                Candidate {
                    resume,
                    ..candidate
                },
                re,
                cx,
            );
        }
        let Some(user) = &self.user else {
            return Err(Code::NotLoggedIn.into());
        };
        let user = user.name.clone();
        match request {
            Request::Join { room, since } => self.join(&user, &room, since, re, cx),
            Request::Leave { room } => {
                let at = self.rooms.iter().position(|known| **known.name() == *room);
                let room = self.rooms.swap_remove(at.ok_or(Code::NotAMember)?);
                room.leave(self.number, Departure::Left, &self.hub);
                self.acknowledge(re, Some(room.name()), None, cx);
                Ok(())
            }
            Request::Msg { room, text } => self.post(user, &room, &text, re, cx),
            Request::Private { to, text } => self.whisper(user, &to, &text, re, cx),
            Request::Typing { room } => {
                let room = self.room(&room).ok_or(Code::NotAMember)?;
                room.typing(&user, &self.hub);
                if let Some(store) = self.hub.store() {
                    store.typing(room.name(), &user);
                }
                if !is_quiet {
                    self.acknowledge(re, None, None, cx);
                }
                Ok(())
            }
            Request::History {
                room,
                before,
                limit,
            } => {
                let room = self.room(&room).ok_or(Code::NotAMember)?;
                let answer = room.history(self.number, re, before, limit, &self.hub)?;
                Self::answer(&answer, cx);
                Ok(())
            }
            Request::Members { room, listing } => {
                let room = self.room(&room).ok_or(Code::NotAMember)?;
                room.members(self.number, re, listing, &self.hub, |frame| {
                    Self::answer(frame, cx);
                })?;
                Ok(())
            }
            Request::Refresh { token } => {
                self.refresh(&token, cx)?;
                self.acknowledge(re, None, None, cx);
                self.watch_token(cx);
                Ok(())
            }
            // Both were answered before.
            Request::Login { .. } | Request::Ping => Err(Code::BadRequest.into()),
        }
    }

    /// Who wants to log in.
    fn candidate(&self, nickname: Option<&str>, token: Option<&str>) -> Result<Candidate, Refusal> {
        if self.user.is_some() {
            return Err(Refusal::new(Code::BadRequest, "you are logged in already"));
        }
        if self.hub.verifier.is_some() {
            let token = token.ok_or(Refusal::new(Code::BadToken, "a token is needed here"))?;
            let claims = self.verify(token)?;
            return Ok(Candidate {
                name: claims.id.clone(),
                claims: Some(claims),
                resume: None,
            });
        }
        let nickname = nickname.ok_or(Refusal::new(Code::BadRequest, "a nickname is needed"))?;
        Ok(Candidate {
            name: name(nickname)?,
            claims: None,
            resume: None,
        })
    }

    fn login(
        &mut self,
        candidate: Candidate,
        re: Option<&Id>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let Ok(claiming) = self.claiming(candidate) else {
            // No randomness, no secrets.
            self.close(sockeye_handler::CloseCode::INTERNAL_ERROR, "", cx);
            return Ok(());
        };
        if let Some(store) = self.hub.store() {
            let answer = store.claim(claiming.claim.clone());
            self.wait(Waiting::claim(claiming, re, None, answer), cx);
            return Ok(());
        }
        match self.take_name(&claiming, cx) {
            Claimed::Granted => {
                self.welcome(re, &claiming, cx);
                Ok(())
            }
            Claimed::Taken => Err(Self::taken(&claiming).into()),
        }
    }

    fn join(
        &mut self,
        user: &Name,
        room: &str,
        since: Option<Since>,
        re: Option<&Id>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        let name = name(room)?;
        let is_again = self.room(&name).is_some();
        if !is_again && self.rooms.len() >= self.hub.settings.rooms_per_connection {
            return Err(Code::TooManyRooms.into());
        }
        match self.enter(user, &name, re, since.as_ref(), false, cx) {
            Ok(()) => Ok(()),
            Err(Unable::Absent) => {
                self.load(&name, re, since, cx);
                Ok(())
            }
            Err(unable) => Err(unable.into()),
        }
    }

    /// Enters a room that is here, and tells this connection so.
    pub(super) fn enter(
        &mut self,
        user: &Name,
        name: &Name,
        re: Option<&Id>,
        since: Option<&Since>,
        is_fresh: bool,
        cx: &mut Context<'_>,
    ) -> Result<(), Unable> {
        loop {
            let room = self.hub.room(name);
            let entrance = Entrance {
                member: self.member(user, cx.peer()),
                re,
                since,
                is_fresh,
            };
            let mut answer = |reply: Reply<'_>| match reply {
                Reply::New(frame) => Self::answer(frame, cx),
                // Refused only if the connection is closing.
                Reply::Kept(frame) => drop(cx.send_kept_in_turn(frame)),
            };
            match room.join(entrance, &self.hub, &mut answer) {
                Ok(()) => {
                    if self.room(name).is_none() {
                        self.rooms.push(room);
                    }
                    return Ok(());
                }
                Err(Unable::Gone) => self.hub.forget_room(&room),
                Err(unable) => return Err(unable),
            }
        }
    }

    fn post(
        &mut self,
        from: Name,
        room: &str,
        text: &str,
        re: Option<&Id>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        check(text)?;
        let room: &Arc<Room> = self.room(room).ok_or(Code::NotAMember)?;
        let post = Post {
            room: room.name().clone(),
            from,
            text: text.into(),
            ts: self.hub.wall(),
            via: Via::Member,
            id: re.cloned(),
        };
        if let Some(store) = self.hub.store() {
            let room = post.room.clone();
            let answer = store.post(post);
            self.wait(Waiting::post(room, re, answer), cx);
            return Ok(());
        }
        let stamp = self.hub.post(&post)?;
        self.acknowledge(re, Some(&post.room), Some(&stamp), cx);
        Ok(())
    }

    fn whisper(
        &mut self,
        from: Name,
        to: &str,
        text: &str,
        re: Option<&Id>,
        cx: &mut Context<'_>,
    ) -> Result<(), Refusal> {
        check(text)?;
        let whisper = Whisper {
            from,
            // Nobody has a name that is none.
            to: Name::parse(to).map_err(|_| Code::NoSuchUser)?,
            text: text.into(),
            ts: self.hub.wall(),
            id: re.cloned(),
        };
        if let Some(store) = self.hub.store() {
            let answer = store.whisper(whisper);
            self.wait(Waiting::whisper(re, answer), cx);
            return Ok(());
        }
        if self.hub.whisper(&whisper) {
            self.acknowledge(re, None, None, cx);
            Ok(())
        } else if self.hub.is_degraded() {
            // They may be on another node.
            Err(Code::Degraded.into())
        } else {
            Err(Code::NoSuchUser.into())
        }
    }

    /// Says `ok`, to those who expect it.
    pub(super) fn acknowledge(
        &self,
        re: Option<&Id>,
        room: Option<&Name>,
        stamp: Option<&Stamp>,
        cx: &mut Context<'_>,
    ) {
        if self.dialect == Dialect::Original {
            return;
        }
        let stamp = stamp.map(|stamp| Position::new(stamp.off, &stamp.epoch));
        Self::tell(
            &Event::Ok {
                re,
                room,
                degraded: stamp.is_some() && self.hub.is_degraded(),
                stamp,
            },
            cx,
        );
    }

    pub(super) fn refuse(re: Option<&Id>, refusal: &Refusal, cx: &mut Context<'_>) {
        Self::tell(
            &Event::Err {
                re,
                code: refusal.code.as_str(),
                reason: &refusal.reason,
                retry_ms: refusal.retry_ms,
            },
            cx,
        );
    }
}

impl From<Unable> for Refusal {
    fn from(unable: Unable) -> Self {
        match unable {
            Unable::Full => Code::RoomFull.into(),
            Unable::NotAMember => Code::NotAMember.into(),
            Unable::Gone | Unable::Absent => Code::Degraded.into(),
        }
    }
}

fn name(text: &str) -> Result<Name, Refusal> {
    Name::parse(text).map_err(|invalid| Refusal::new(Code::BadName, invalid.to_string()))
}

fn check(text: &str) -> Result<(), Refusal> {
    check_text(text).map_err(|fault| match fault {
        TextFault::TooLong => Code::TooLong.into(),
        TextFault::Empty => Refusal::new(Code::BadRequest, "the text is empty"),
        TextFault::Control => Refusal::new(Code::BadRequest, "the text holds a control character"),
    })
}

//! The three messages of the original dialect. They are not answered: faults close.

use sockeye_handler::{CloseCode, Context};
use sockeye_kit::name::Name;

use super::login::Candidate;
use super::waiting::Waiting;
use super::{Connection, TOO_FAST};
use crate::protocol::{Fields, Said, check_text};
use crate::room::{Departure, Unable};
use crate::store::{Claimed, Post, Via, Whisper};

impl Connection {
    pub(super) fn handle_original(&mut self, text: &str, cx: &mut Context<'_>) {
        let Some(said) = Fields::parse(text).and_then(Said::parse) else {
            return self.invalid(cx);
        };
        if !self.bucket.take(cx.now()) {
            return self.close(TOO_FAST, "too fast", cx);
        }
        let user = self.user.as_ref().map(|user| user.name.clone());
        match (said, user) {
            (Said::Login { nickname, room }, _) => self.log_in(&nickname, &room, cx),
            (_, None) => self.violation("not logged in", cx),
            (Said::Room { text, .. } | Said::Private { text, .. }, Some(_))
                if check_text(&text).is_err() =>
            {
                self.invalid(cx);
            }
            (Said::Room { to, text }, Some(from)) => {
                let Some(room) = self.room(&to) else {
                    return self.violation("not a member", cx);
                };
                let post = Post {
                    room: room.name().clone(),
                    from,
                    text: text.into(),
                    ts: self.hub.wall(),
                    via: Via::Member,
                    id: None,
                };
                self.say(post, cx);
            }
            (Said::Private { to, text }, Some(from)) => {
                // Nobody has a name that is none.
                if let Ok(to) = Name::parse(&to) {
                    let whisper = Whisper {
                        from,
                        to,
                        text: text.into(),
                        ts: self.hub.wall(),
                        id: None,
                    };
                    self.say_privately(whisper, cx);
                }
            }
        }
    }

    fn log_in(&mut self, nickname: &str, room: &str, cx: &mut Context<'_>) {
        if self.hub.verifier.is_some() {
            return self.violation("token required", cx);
        }
        let (Ok(name), Ok(room)) = (Name::parse(nickname), Name::parse(room)) else {
            return self.violation("bad name", cx);
        };
        match self.user.as_ref().map(|user| user.name.clone()) {
            Some(user) if user == name => self.move_to(&user, &room, cx),
            // One connection is one person.
            Some(_) => self.violation("bad name", cx),
            None => {
                let candidate = Candidate {
                    name,
                    claims: None,
                    resume: None,
                };
                let Ok(claiming) = self.claiming(candidate) else {
                    return self.close(CloseCode::INTERNAL_ERROR, "", cx);
                };
                if let Some(store) = self.hub.store() {
                    let answer = store.claim(claiming.claim.clone());
                    return self.wait(Waiting::claim(claiming, None, Some(room), answer), cx);
                }
                match self.take_name(&claiming, cx) {
                    Claimed::Granted => self.move_to(&claiming.claim.name, &room, cx),
                    Claimed::Taken => self.violation("name taken", cx),
                }
            }
        }
    }

    /// From the room where this connection is, if any, to another.
    pub(super) fn move_to(&mut self, user: &Name, room: &Name, cx: &mut Context<'_>) {
        if self.room(room).is_some() {
            return;
        }
        for left in self.rooms.drain(..) {
            left.leave(self.number, Departure::Left, &self.hub);
        }
        match self.enter(user, room, None, None, false, cx) {
            Ok(()) => {}
            Err(Unable::Absent) => self.load(room, None, None, cx),
            Err(unable) => self.cannot_enter(unable, cx),
        }
    }

    pub(super) fn cannot_enter(&mut self, unable: Unable, cx: &mut Context<'_>) {
        match unable {
            Unable::Full => self.violation("room full", cx),
            Unable::Gone | Unable::Absent | Unable::NotAMember => {
                self.close(CloseCode::TRY_AGAIN_LATER, "degraded", cx);
            }
        }
    }

    fn say(&mut self, post: Post, cx: &mut Context<'_>) {
        if let Some(store) = self.hub.store() {
            let room = post.room.clone();
            let answer = store.post(post);
            return self.wait(Waiting::post(room, None, answer), cx);
        }
        // It is a member, so the room is there.
        let _ = self.hub.post(&post);
    }

    fn say_privately(&mut self, whisper: Whisper, cx: &mut Context<'_>) {
        if let Some(store) = self.hub.store() {
            let answer = store.whisper(whisper);
            return self.wait(Waiting::whisper(None, answer), cx);
        }
        // To nobody of that name: nothing happens.
        self.hub.whisper(&whisper);
    }

    pub(super) fn violation(&mut self, reason: &str, cx: &mut Context<'_>) {
        self.close(CloseCode::POLICY_VIOLATION, reason, cx);
    }
}

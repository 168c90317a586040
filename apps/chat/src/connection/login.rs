//! Who a connection is.

use core::time::Duration;

use sockeye_handler::{CloseCode, Context};
use sockeye_kit::name::Name;
use sockeye_kit::secret::Secret;
use sockeye_kit::token::{Claims, TokenError};

use super::{Connection, User, timer};
use crate::protocol::{Code, Event, Id};
use crate::store::{Claim, Claimed, Session};

/// A name that a connection may claim.
pub(super) struct Candidate {
    pub(super) name: Name,
    pub(super) claims: Option<Claims>,
    pub(super) resume: Option<Secret>,
}

/// A claim under way, with the secret that its connection will be told.
pub(super) struct Claiming {
    pub(super) claim: Claim,
    pub(super) claims: Option<Claims>,
    secret: String,
}

impl Connection {
    /// What the hub has to be asked for.
    pub(super) fn claiming(&self, candidate: Candidate) -> std::io::Result<Claiming> {
        let Candidate {
            name,
            claims,
            resume,
        } = candidate;
        let secret: String = Secret::random::<16>()?
            .expose()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let capacity = match &claims {
            Some(_) => self.hub.settings.connections_per_user,
            None => 1,
        };
        Ok(Claiming {
            claim: Claim {
                name,
                session: Session(self.hub.random()),
                secret: Secret::new(secret.clone().into_bytes()),
                resume,
                capacity,
            },
            claims,
            secret,
        })
    }

    /// Takes the name on this node; `Taken` if somebody here has it.
    pub(super) fn take_name(&mut self, claiming: &Claiming, cx: &mut Context<'_>) -> Claimed {
        let Claiming { claim, claims, .. } = claiming;
        let claimed = self.hub.claim(claim, cx.peer(), self.dialect);
        if claimed == Claimed::Granted {
            self.user = Some(Box::new(User {
                name: claim.name.clone(),
                session: claim.session,
                claims: claims.clone(),
            }));
            cx.clear_timer(timer::LOGIN);
        }
        claimed
    }

    /// Says that the login is good.
    pub(super) fn welcome(&mut self, re: Option<&Id>, claiming: &Claiming, cx: &mut Context<'_>) {
        let resume_ms = self.hub.settings.resume.as_millis();
        Self::tell(
            &Event::Hello {
                re,
                nickname: &claiming.claim.name,
                resume: &claiming.secret,
                resume_ms: u64::try_from(resume_ms).unwrap_or(u64::MAX),
            },
            cx,
        );
        self.watch_token(cx);
    }

    /// The code for a name that cannot be had.
    pub(super) fn taken(claiming: &Claiming) -> Code {
        match claiming.claims {
            Some(_) => Code::TooManyConnections,
            None => Code::NameTaken,
        }
    }

    /// Whose a token is.
    pub(super) fn verify(&self, token: &str) -> Result<Claims, Code> {
        let Some(verifier) = &self.hub.verifier else {
            return Err(Code::BadToken);
        };
        let now = self.hub.wall();
        verifier.verify(token, now).map_err(|error| match error {
            TokenError::Expired => Code::Expired,
            TokenError::Invalid => Code::BadToken,
        })
    }

    /// Puts a newer token of the same user in the place of the old one.
    pub(super) fn refresh(&mut self, token: &str, cx: &mut Context<'_>) -> Result<(), Code> {
        let newer = self.verify(token).map_err(|_| Code::BadToken)?;
        match &mut self.user {
            Some(user) if user.name == newer.id => user.claims = Some(newer),
            _ => return Err(Code::BadToken),
        }
        self.is_told = false;
        cx.clear_timer(timer::EXPIRING);
        cx.clear_timer(timer::EXPIRED);
        Ok(())
    }

    /// Tells in time that the token is about to expire, and closes when it has.
    pub(super) fn watch_token(&mut self, cx: &mut Context<'_>) {
        let claims = self.user.as_ref().and_then(|user| user.claims.as_ref());
        let Some(claims) = claims else {
            return;
        };
        let left = claims.left(self.hub.wall());
        let notice = self.hub.settings.expiring;
        if left.is_zero() {
            self.close(CloseCode::INVALID_PAYLOAD, "Expired Token", cx);
            return;
        }
        if left > notice {
            cx.set_timer(timer::EXPIRING, cx.now() + (left - notice));
        } else if !self.is_told {
            self.is_told = true;
            let in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
            Self::tell(&Event::Expiring { in_ms }, cx);
        }
        // A clock that is set forward must not wait for a timer that was set before.
        let step = left.min(Duration::from_secs(3600));
        cx.set_timer(timer::EXPIRED, cx.now() + step);
    }
}

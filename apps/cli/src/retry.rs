//! When to connect again, and after which pause.

use core::str::FromStr;
use core::time::Duration;

use sockeye_async::ConnectError;
use sockeye_core::{CloseCode, Closed};

use crate::args::Client;

/// A connection that lasted this long counts as one that worked.
const WORKED: Duration = Duration::from_secs(5);

/// Close codes, as in `1000,1007-1010`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Codes(Vec<(u16, u16)>);

impl Codes {
    fn contain(&self, code: CloseCode) -> bool {
        let code = code.as_u16();
        self.0
            .iter()
            .any(|(from, to)| (*from..=*to).contains(&code))
    }
}

impl FromStr for Codes {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "not codes such as 1000,1007-1010";
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        };
        let parts = text.split(',').filter(|part| !part.trim().is_empty());
        let ranges: Option<Vec<_>> = parts.map(range).collect();
        ranges.map(Self).ok_or(FORM)
    }
}

/// The attempts so far.
#[derive(Debug)]
pub(crate) struct Retry {
    is_on: bool,
    limit: Option<u32>,
    shortest: Duration,
    longest: Duration,
    final_codes: Codes,
    attempts: u32,
    /// The longest that the next pause may be.
    ceiling: Duration,
}

impl Retry {
    pub(crate) fn new(args: &Client) -> Self {
        Self {
            is_on: args.reconnect,
            limit: args.retries,
            shortest: args.retry_min,
            longest: args.retry_max.max(args.retry_min),
            final_codes: args.final_codes.clone(),
            attempts: 0,
            ceiling: args.retry_min,
        }
    }

    /// The pause before the next attempt, if there is a point in one.
    pub(crate) fn after_refusal(&mut self, error: &ConnectError) -> Option<Duration> {
        let asked_for = match error {
            ConnectError::Rejected { response, .. } => {
                // RFC 9110 §15: these are about the moment, the others about the request.
                if !matches!(response.status(), 408 | 425 | 429 | 500..) {
                    return None;
                }
                response.value("Retry-After").and_then(seconds)
            }
            ConnectError::Resolve { .. }
            | ConnectError::Connect { .. }
            | ConnectError::Eof { .. }
            | ConnectError::Io { .. }
            | ConnectError::TimedOut { .. } => None,
            _ => return None,
        };
        let pause = self.next()?;
        Some(asked_for.map_or(pause, |asked_for| pause.max(asked_for)))
    }

    /// The same, after a connection that lasted for `lasted`.
    pub(crate) fn after_end(&mut self, closed: &Closed, lasted: Duration) -> Option<Duration> {
        if closed.is_clean() && self.final_codes.contain(closed.code) {
            return None;
        }
        if lasted >= WORKED {
            self.attempts = 0;
            self.ceiling = self.shortest;
        }
        self.next()
    }

    /// Half the ceiling at least, so that there is a pause, and a random part of the
    /// other half, so that not everybody who was cut off comes back at once.
    fn next(&mut self) -> Option<Duration> {
        if !self.is_on || self.limit.is_some_and(|limit| self.attempts >= limit) {
            return None;
        }
        self.attempts += 1;
        let pause = self.ceiling.mul_f64(0.5 + 0.5 * fastrand::f64());
        self.ceiling = self.ceiling.saturating_mul(2).min(self.longest);
        Some(pause)
    }
}

/// RFC 9110 §10.2.3, the form that is not a date.
fn seconds(value: &[u8]) -> Option<Duration> {
    /// A server does not get to silence its clients for longer.
    const LONGEST: u64 = 3600;
    let seconds: u64 = core::str::from_utf8(value).ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use sockeye_core::handshake::Response;

    use super::*;

    fn retry(limit: Option<u32>) -> Retry {
        Retry {
            is_on: true,
            limit,
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(5),
            final_codes: "1000,1007-1010".parse().expect("codes"),
            attempts: 0,
            ceiling: Duration::from_secs(1),
        }
    }

    fn rejected(response: Response) -> ConnectError {
        ConnectError::Rejected {
            host: "h:80".into(),
            response,
        }
    }

    #[test]
    fn pauses_double_up_to_a_bound_and_vary() {
        let mut retry = retry(None);
        for ceiling in [1.0, 2.0, 4.0, 5.0, 5.0] {
            let pause = retry.next().expect("no limit").as_secs_f64();
            assert!((ceiling / 2.0..=ceiling).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn it_gives_up_after_so_many_attempts() {
        let mut retry = retry(Some(2));
        assert!(retry.next().is_some() && retry.next().is_some());
        assert_eq!(retry.next(), None);
    }

    #[test]
    fn a_refusal_that_will_be_repeated_is_not_tried_again() {
        for (status, again) in [(403, false), (404, false), (503, true), (429, true)] {
            let error = rejected(Response::new(status));
            assert_eq!(
                retry(None).after_refusal(&error).is_some(),
                again,
                "{status}"
            );
        }
    }

    #[test]
    fn a_server_can_ask_for_a_longer_pause() {
        let busy = Response::new(503)
            .field("Retry-After", "20")
            .expect("field");
        let pause = retry(None).after_refusal(&rejected(busy));
        assert_eq!(pause, Some(Duration::from_secs(20)));
        assert_eq!(seconds(b"Wed, 21 Oct 2026 07:28:00 GMT"), None);
        assert_eq!(seconds(b"99999999999"), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn codes_are_numbers_and_ranges() {
        let codes: Codes = "1000, 1007-1010".parse().expect("codes");
        for (code, contained) in [(1000, true), (1001, false), (1008, true), (1011, false)] {
            assert_eq!(codes.contain(CloseCode::new(code)), contained, "{code}");
        }
        assert_eq!("".parse(), Ok(Codes(Vec::new())));
        assert!("1000-x".parse::<Codes>().is_err());
    }
}

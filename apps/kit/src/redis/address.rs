//! Where the store is, and the first words with it.

use core::fmt;
use core::time::Duration;
use std::io;

use redis::{Connection, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

/// Where a Redis is, with what it is told to let us in.
#[derive(Clone)]
pub(super) struct Address {
    info: ConnectionInfo,
    shown: Box<str>,
}

/// Why there is no store. Displays as one sentence, in which no password stands.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// Not the URL of a Redis.
    Url,
    /// A URL that asks for TLS, which is not built in.
    Tls,
    /// No connection.
    Unreachable(Box<str>, RedisError),
    /// A connection, and no answer within the time.
    Silent(Box<str>),
    /// Something else listens there.
    NotRedis(Box<str>),
    /// It wants a password, or another one.
    Denied(Box<str>),
    /// It has no database of this number.
    Database(Box<str>),
    /// It does not do what we need: a replica, a user without the rights, no memory left.
    Refused(Box<str>, Box<str>),
    /// There is no thread for it.
    Thread(io::Error),
}

impl Address {
    /// From `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` or `unix:///PATH`.
    pub(super) fn parse(url: &str) -> Result<Self, ConnectError> {
        if url.starts_with("rediss:") || url.starts_with("valkeys:") {
            return Err(ConnectError::Tls);
        }
        let info = url
            .into_connection_info()
            .map_err(|_: RedisError| ConnectError::Url)?;
        // CLIENT SETINFO is newer than Redis 7.0.
        let settings = info.redis_settings().clone().set_skip_set_lib_name();
        let shown = match settings.db() {
            0 => info.addr().to_string(),
            database => format!("{}/{database}", info.addr()),
        };
        Ok(Self {
            info: info.set_redis_settings(settings),
            shown: shown.into(),
        })
    }

    /// The number of the database.
    pub(super) fn database(&self) -> i64 {
        self.info.redis_settings().db()
    }

    /// A connection on which every answer is waited for at most `timeout`.
    pub(super) fn connect(&self, timeout: Duration) -> Result<Connection, ConnectError> {
        let connect = || {
            let client = redis::Client::open(self.info.clone())?;
            let connection = client.get_connection_with_timeout(timeout)?;
            connection.set_read_timeout(Some(timeout))?;
            connection.set_write_timeout(Some(timeout))?;
            Ok(connection)
        };
        connect().map_err(|error| self.explain(&error))
    }

    /// What an error on the first words means.
    pub(super) fn explain(&self, error: &RedisError) -> ConnectError {
        let shown = self.shown.clone();
        match (error.code(), error.kind()) {
            (Some("NOAUTH" | "WRONGPASS"), _) | (_, ErrorKind::AuthenticationFailed) => {
                ConnectError::Denied(shown)
            }
            (_, ErrorKind::Parse) => ConnectError::NotRedis(shown),
            _ if error.is_timeout() => ConnectError::Silent(shown),
            (_, ErrorKind::Io) => ConnectError::Unreachable(shown, error.clone()),
            _ => self.explain_refusal(error),
        }
    }

    fn explain_refusal(&self, error: &RedisError) -> ConnectError {
        let shown = self.shown.clone();
        let detail = error.detail().unwrap_or_default();
        // What it says to SELECT, the client passes on without a code of its own.
        if detail.contains("uthentication required") {
            ConnectError::Denied(shown)
        } else if detail.contains("DB index") {
            ConnectError::Database(shown)
        } else {
            let code = error.code().map(|code| format!("{code} "));
            let text = format!("{}{detail}", code.unwrap_or_default());
            ConnectError::Refused(shown, crate::redis::printable(&text))
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str(
                "--redis is not a URL such as redis://USER:PASSWORD@HOST:6379/0 or redis://HOST",
            ),
            Self::Tls => f.write_str("--redis asks for TLS, which is not built in"),
            Self::Unreachable(at, error) => write!(f, "no connection to Redis at {at}: {error}"),
            Self::Silent(at) => write!(f, "no answer from Redis at {at}"),
            Self::NotRedis(at) => write!(f, "what listens at {at} is not a Redis"),
            Self::Denied(at) => write!(
                f,
                "Redis at {at} wants another user name or password than --redis gives"
            ),
            Self::Database(at) => write!(f, "Redis has no such database: {at}"),
            Self::Refused(at, why) => write!(f, "Redis at {at} cannot be used: {why}"),
            Self::Thread(error) => write!(f, "no thread for what Redis needs: {error}"),
        }
    }
}

impl core::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Unreachable(_, error) => Some(error),
            Self::Thread(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("redis://example.org", "example.org:6379"),
            ("redis://:secret@[::1]:7000/3", "::1:7000/3"),
            ("redis://ana:secret@127.0.0.1", "127.0.0.1:6379"),
            ("unix:///run/redis.sock?pass=secret", "/run/redis.sock"),
        ] {
            let address = Address::parse(url).expect(url);
            assert_eq!(address.to_string(), shown, "{url}");
        }
    }

    #[test]
    fn what_is_not_a_url_is_refused_without_repeating_it() {
        for url in [
            "",
            "localhost:6379",
            "http://secret@localhost",
            "redis://",
            "redis://:secret@host:port",
            "redis://:secret@host/database",
            "redis://host:123456",
        ] {
            let error = Address::parse(url).map(|address| address.to_string());
            let error = error.expect_err(url).to_string();
            assert!(error.starts_with("--redis is not a URL"), "{url}: {error}");
            assert!(!error.contains("secret"), "{error}");
        }
        assert!(matches!(
            Address::parse("rediss://host").map(|_| ()),
            Err(ConnectError::Tls)
        ));
    }
}

//! What is sent: to watchers as messages, to readers as HTTP.

use std::time::SystemTime;

use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};
use sockeye_kit::clock::rfc3339;
use sockeye_kit::name::Name;

use crate::directory::Directory;

/// A message of `/watch` that is not the whole state.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Change<'a> {
    Diff {
        rev: u64,
        join: &'a [Name],
        leave: &'a [Name],
    },
    Count {
        rev: u64,
        users: usize,
        #[serde(skip_serializing_if = "is_false")]
        degraded: bool,
    },
}

/// Everybody who is online: the answer of `GET /presence`, and the message `state`.
#[derive(Serialize)]
pub(crate) struct Everybody<'a> {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    rev: u64,
    #[serde(serialize_with = "users")]
    users: &'a Directory,
    #[serde(skip_serializing_if = "is_false")]
    degraded: bool,
}

/// One user: in the list, and as the answer of `GET /presence/NAME`.
#[derive(Serialize)]
pub(crate) struct User<'a> {
    id: &'a str,
    connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<String>,
}

impl<'a> Everybody<'a> {
    /// As a reader gets it.
    pub(crate) fn listing(directory: &'a Directory) -> Self {
        Self {
            kind: None,
            rev: directory.rev(),
            users: directory,
            degraded: directory.is_degraded(),
        }
    }

    /// As a watcher gets it.
    pub(crate) fn state(directory: &'a Directory) -> Self {
        Self {
            kind: Some("state"),
            ..Self::listing(directory)
        }
    }
}

impl<'a> User<'a> {
    /// Since when this user is online, if they are.
    pub(crate) fn new(id: &'a Name, since: Option<SystemTime>) -> Self {
        Self {
            id,
            connected: since.is_some(),
            since: since.map(rfc3339),
        }
    }
}

fn users<S: Serializer>(directory: &&Directory, serializer: S) -> Result<S::Ok, S::Error> {
    let users = directory.users();
    let mut list = serializer.serialize_seq(Some(users.len()))?;
    for (id, since) in users {
        list.serialize_element(&User::new(id, Some(since)))?;
    }
    list.end()
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Any of the above in JSON.
pub(crate) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("these types have string keys and no errors of their own")
}

#[cfg(test)]
mod tests {
    use core::time::Duration;
    use std::time::UNIX_EPOCH;

    use sockeye_handler::Time;

    use super::*;
    use crate::directory::Settings;

    fn name(text: &str) -> Name {
        Name::parse(text).expect("a name")
    }

    #[test]
    fn everybody_is_listed_by_name_with_the_time_of_their_coming() {
        let mut directory = Directory::new(Settings::default());
        let wall = UNIX_EPOCH + Duration::from_millis(1_795_251_600_123);
        directory.handle_connect(&name("bob"), wall, Time::ZERO);
        directory.handle_connect(&name("ana"), UNIX_EPOCH, Time::ZERO);
        let users = r#""rev":0,"users":[{"id":"ana","connected":true,"since":"1970-01-01T00:00:00.000Z"},{"id":"bob","connected":true,"since":"2026-11-21T09:00:00.123Z"}]"#;
        assert_eq!(
            json(&Everybody::listing(&directory)),
            format!("{{{users}}}")
        );
        directory.handle_degraded(true, Time::ZERO);
        assert_eq!(
            json(&Everybody::state(&directory)),
            format!(r#"{{"type":"state",{users},"degraded":true}}"#)
        );
    }

    #[test]
    fn changes_are_as_in_the_contract() {
        let (join, leave) = ([name("ana"), name("é")], [name("bob")]);
        let diff = Change::Diff {
            rev: 7,
            join: &join,
            leave: &leave,
        };
        assert_eq!(
            json(&diff),
            r#"{"type":"diff","rev":7,"join":["ana","é"],"leave":["bob"]}"#
        );
        let count = |degraded| {
            json(&Change::Count {
                rev: 8,
                users: 1200,
                degraded,
            })
        };
        assert_eq!(count(false), r#"{"type":"count","rev":8,"users":1200}"#);
        assert_eq!(
            count(true),
            r#"{"type":"count","rev":8,"users":1200,"degraded":true}"#
        );
    }

    #[test]
    fn who_is_not_there_has_no_time() {
        let ana = name("ana");
        assert_eq!(
            json(&User::new(&ana, None)),
            r#"{"id":"ana","connected":false}"#
        );
    }
}

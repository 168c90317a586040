//! The thread that listens.

use core::time::Duration;
use std::time::Instant;

use redis::{Connection, Msg, RedisResult};

use super::link::Line;
use super::{BEAT, Backoff, ConnectError, Shared, TIMEOUT, missed_since};

/// A beat comes every second; without any for so long the connection is dead.
const SILENCE: Duration = BEAT.saturating_add(TIMEOUT);

/// Serves one connection after another, until the store is dropped.
pub(super) fn run(shared: &Shared) {
    let mut backoff = Backoff::new();
    while !shared.link.is_stopped() {
        let mut heard = Instant::now();
        match subscribe(shared) {
            Ok(mut connection) => {
                backoff = Backoff::new();
                shared.link.up(Line::Subscription);
                let Err(error) = listen(shared, &mut connection, &mut heard) else {
                    return;
                };
                tracing::debug!("lost the subscription at {}: {error}", shared.address);
                shared
                    .link
                    .down(Line::Subscription, missed_since(&error, heard));
            }
            Err(error) => {
                tracing::debug!("{error}");
                shared.link.check();
                if !shared.link.sleep(backoff.next()) {
                    return;
                }
            }
        }
    }
}

fn subscribe(shared: &Shared) -> Result<Connection, ConnectError> {
    let mut connection = shared.address.connect(TIMEOUT)?;
    let mut subscribe = redis::cmd("SUBSCRIBE");
    subscribe.arg(&shared.channels);
    let begun: RedisResult<()> = (|| {
        connection.send_packed_command(&subscribe.get_packed_command())?;
        // One answer for each channel.
        for _ in &shared.channels {
            connection.recv_response()?.extract_error()?;
        }
        connection.set_read_timeout(Some(SILENCE))
    })();
    match begun {
        Ok(()) => Ok(connection),
        Err(error) => Err(shared.address.explain(&error)),
    }
}

/// Passes messages on until the connection is lost; `Ok` at the end of the store.
fn listen(shared: &Shared, connection: &mut Connection, heard: &mut Instant) -> RedisResult<()> {
    while !shared.link.is_stopped() {
        let message = Msg::from_owned_value(connection.recv_response()?);
        *heard = Instant::now();
        let Some(message) = message else {
            continue;
        };
        let channel = message.get_channel_name();
        if channel != shared.channels[0] {
            shared
                .link
                .listener()
                .message(channel, message.get_payload_bytes());
        }
    }
    Ok(())
}

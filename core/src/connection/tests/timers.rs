//! Deadlines are kept here, by a clock that the caller moves.

use super::*;
use crate::{Cause, Timeout};

const TICK: Duration = crate::Deadline::TICK;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn timed_out(seen: &[Seen], timeout: Timeout) -> bool {
    matches!(seen, [Seen::Closed(closed)] if closed.cause == Cause::Timeout(timeout))
}

#[test]
fn a_silent_peer_is_pinged_and_then_given_up() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let waited = bench.pass_to_deadline();
        assert!(
            waited >= secs(25) && waited <= secs(25) + TICK,
            "{waited:?}"
        );
        assert_eq!(bench.frames(), [(Opcode::Ping, Vec::new())]);
        let waited = bench.pass_to_deadline();
        assert!(
            waited >= secs(10) && waited <= secs(10) + TICK,
            "{waited:?}"
        );
        assert!(timed_out(&bench.events(), Timeout::Pong));
        assert_eq!(bench.frames().len(), 1, "a Close frame");
    }
}

#[test]
fn any_byte_is_a_sign_of_life() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.pass_to_deadline();
        bench.output();
        bench.now = bench.now + secs(9);
        let header = bench.whole(Opcode::Text, b"unfinished")[..1].to_vec();
        assert_eq!(bench.feed(&header), []);
        let waited = bench.pass_to_deadline();
        assert!(waited >= secs(25), "{waited:?}");
        assert_eq!(bench.events(), []);
        assert_eq!(bench.frames(), [(Opcode::Ping, Vec::new())]);
    }
}

#[test]
fn a_pause_that_ended_before_the_ping_gives_no_longer_deadline() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.pass(secs(1));
        bench.connection.sender().pause();
        bench.connection.sender().resume();
        bench.pass_to_deadline();
        assert_eq!(bench.frames(), [(Opcode::Ping, Vec::new())]);
        let waited = bench.pass_to_deadline();
        assert!(waited <= secs(10) + TICK, "{waited:?}");
        assert!(timed_out(&bench.events(), Timeout::Pong));
    }
}

#[test]
fn the_pong_deadline_does_not_run_while_receiving_is_paused() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        bench.pass_to_deadline();
        bench.output();
        bench.connection.sender().pause();
        for _ in 0..5 {
            bench.pass_to_deadline();
            assert_eq!(bench.frames(), [], "one ping is enough");
        }
        bench.pass(secs(9));
        bench.connection.sender().resume();
        bench.pass_to_deadline();
        assert_eq!(bench.events(), [], "what was not read gets its time");
        bench.pass_to_deadline();
        assert!(timed_out(&bench.events(), Timeout::Pong));
    }
}

#[test]
fn without_an_interval_there_is_no_deadline() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.ping_interval = None);
        assert_eq!(bench.connection.poll_timeout(), None);
        let text = bench.whole(Opcode::Text, b"x");
        bench.feed(&text);
        assert_eq!(bench.connection.poll_timeout(), None);
    }
}

#[test]
fn an_idle_connection_is_closed_and_messages_either_way_keep_it() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| {
            config.ping_interval = None;
            config.idle_timeout = Some(secs(60));
        });
        bench.pass(secs(50));
        let text = bench.whole(Opcode::Text, b"x");
        assert_eq!(bench.feed(&text), [Seen::Text("x".into())]);
        bench.pass(secs(50));
        bench.connection.sender().send("y").expect("open");
        bench.output();
        bench.pass(secs(50));
        let pong = bench.whole(Opcode::Pong, b"");
        bench.feed(&pong);
        assert_eq!(bench.events(), []);
        bench.pass(secs(11));
        assert!(timed_out(&bench.events(), Timeout::Idle));
        assert_eq!(bench.frames(), [(Opcode::Close, b"\x03\xe9idle".to_vec())]);
    }
}

#[test]
fn a_peer_that_takes_no_output_is_given_up_and_progress_gives_it_time() {
    for role in ROLES {
        let mut bench = Bench::with(role, |config| config.ping_interval = None);
        bench.connection.sender().send(&[0; 50_000]).expect("open");
        assert_eq!(bench.connection.poll_timeout(), None);
        bench.connection.handle_written(0, bench.now);
        bench.pass(secs(9));
        bench.connection.handle_written(0, bench.now);
        let left = bench
            .connection
            .poll_timeout()
            .expect("stalled")
            .saturating_since(bench.now);
        assert!(left <= secs(1) + TICK, "a failed attempt is no progress");
        bench.connection.handle_written(1, bench.now);
        bench.pass(secs(9));
        assert_eq!(bench.events(), []);
        bench.pass_to_deadline();
        assert!(timed_out(&bench.events(), Timeout::Write));
        assert!(bench.connection.is_drained());
    }
}

#[test]
fn a_time_shorter_than_the_clock_counts_is_refused() {
    let too_short = Duration::from_nanos(999);
    let mut config = Config {
        pong_timeout: too_short,
        ..Config::default()
    };
    assert_eq!(
        config.clone().share().err(),
        Some(crate::ConfigError::PongTimeout)
    );
    config.pong_timeout = Duration::from_micros(1);
    // On a tick exactly, the next deadline must still be a later one.
    let config = config.share().expect("a microsecond");
    let mut connection = Connection::server(&config, Time::ZERO);
    connection.sender().pause();
    let mut now = Time::ZERO;
    for _ in 0..100 {
        let next = connection.poll_timeout().expect("keepalive");
        assert!(next > now);
        now = next;
        connection.handle_timeout(now);
    }
}

#[test]
fn spurious_timeouts_do_nothing() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        for _ in 0..100 {
            bench.pass(Duration::from_millis(200));
        }
        assert_eq!(bench.events(), []);
        assert_eq!(bench.output(), b"");
    }
}

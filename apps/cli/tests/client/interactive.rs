//! Somebody at a terminal.

use rexpect::session::{Options, PtySession, spawn_with_options};

use crate::program::command;
use crate::server::{PATIENCE, Server};

fn at_terminal(arguments: &[&str]) -> PtySession {
    let mut command = command(arguments);
    command.env("TERM", "xterm").env("NO_COLOR", "1");
    let options = Options::new()
        .timeout_ms(Some(PATIENCE.as_millis() as u64))
        .strip_ansi_escape_codes(true);
    spawn_with_options(command, options).expect("a terminal")
}

fn ends_with(session: PtySession, code: i32) {
    let status = session.process().wait().expect("an end");
    // Its type has no public name.
    let shown = format!("{status:?}");
    assert!(
        shown.starts_with("Exited") && shown.ends_with(&format!(", {code})")),
        "{shown}"
    );
}

#[test]
fn lines_are_sent_and_answers_shown_above_the_next() {
    let server = Server::start();
    let mut session = at_terminal(&[&server.url("/")]);
    session.exp_string("connected to ws://").expect("a notice");
    session.send_line("helo\x1b[Dl").expect("a line");
    session.exp_string("< hello").expect("an answer");
    session.send_line("/binary 00 ff").expect("a line");
    session
        .exp_string("< binary, 2 bytes: 00 ff")
        .expect("an answer");
    session.send_line("/ping").expect("a line");
    session.exp_string("pong after").expect("a notice");
    session.send_line("/nothing").expect("a line");
    session
        .exp_string("there is no /nothing")
        .expect("a notice");
    session.send_line("/help").expect("a line");
    session.exp_string("/close [CODE [REASON]]").expect("help");
    session.send_control('d').expect("a key");
    session
        .exp_string("closed with code 1000")
        .expect("a notice");
    session.exp_eof().expect("the end");
    ends_with(session, 0);
    assert_eq!(server.code(), 1000);
}

#[test]
fn ctrl_c_closes_and_leaves() {
    let server = Server::start();
    let mut session = at_terminal(&[&server.url("/silent")]);
    session.exp_string("connected to ws://").expect("a notice");
    session.exp_string("> ").expect("a prompt");
    session.send_control('c').expect("a key");
    session
        .exp_string("closed with code 1000")
        .expect("a notice");
    ends_with(session, 0);
    assert_eq!(server.code(), 1000);
}

#[test]
fn what_a_server_sends_cannot_control_the_terminal() {
    let server = Server::start();
    let mut session = at_terminal(&[&server.url("/control")]);
    session
        .exp_string("< a\\u{1b}[2Jb\r\n  c")
        .expect("escaped");
    session.send_control('d').expect("a key");
    ends_with(session, 0);
}

#[test]
fn a_servers_close_ends_it_while_somebody_types() {
    let server = Server::start();
    let mut session = at_terminal(&[&server.url("/last-words")]);
    session.exp_string("connected to ws://").expect("a notice");
    session.send_line("x").expect("a line");
    session.exp_string("< last").expect("an answer");
    session
        .exp_string("closed by the server with code 4000: done")
        .expect("a notice");
    ends_with(session, 1);
}

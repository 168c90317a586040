//! T1 to T3: what a peer can make this side hold and look at.

use super::{head::HeadScanner, *};
use HandshakeError as E;
use alloc::{format, string::ToString};
use core::time::Duration;
use std::time::Instant;

const LIMITS: HttpLimits = HttpLimits {
    line: 40,
    fields: 3,
    head: 100,
    body: 10,
};

const UNLIMITED: HttpLimits = HttpLimits {
    line: usize::MAX,
    fields: usize::MAX,
    head: usize::MAX,
    body: usize::MAX,
};

/// A request with a line, a number of fields and a head of these sizes.
fn request(line: usize, fields: usize, head: usize) -> String {
    let mut request = format!("GET /{} HTTP/1.1\r\nHost: a\r\n", "x".repeat(line - 14));
    for _ in 1..fields - 1 {
        request.push_str("X:\r\n");
    }
    let rest = head - request.len() - "X:\r\n\r\n".len();
    request.push_str(&format!("X:{}\r\n\r\n", "x".repeat(rest)));
    assert_eq!(request.len(), head);
    request
}

fn decide(limits: HttpLimits, input: &str) -> Result<usize, E> {
    let whole = receive(&mut server(limits), [input.as_bytes()]);
    let dripped = receive(&mut server(limits), input.as_bytes().chunks(1));
    assert_eq!(whole, dripped);
    whole.expect("a decision").map(|summary| summary.end)
}

#[test]
fn one_over_each_limit() {
    assert_eq!(decide(LIMITS, &request(40, 3, 100)), Ok(100));
    assert_eq!(decide(LIMITS, &request(41, 3, 100)), Err(E::LineTooLong));
    assert_eq!(decide(LIMITS, &request(40, 4, 100)), Err(E::TooManyFields));
    assert_eq!(decide(LIMITS, &request(40, 3, 101)), Err(E::HeadTooLong));
    let post = |length| {
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n01234567890")
    };
    assert_eq!(decide(LIMITS, &post(10)), Ok(post(10).len() - 1));
    assert_eq!(decide(LIMITS, &post(11)), Err(E::BodyTooLong));
    assert_eq!(decide(LIMITS, &post(u64::MAX)), Err(E::BodyTooLong));
}

#[test]
fn one_over_each_limit_by_default() {
    let limits = HttpLimits::default();
    assert_eq!(decide(limits, &request(4096, 64, 16 * 1024)), Ok(16 * 1024));
    assert_eq!(
        decide(limits, &request(4097, 64, 16 * 1024)),
        Err(E::LineTooLong)
    );
    assert_eq!(
        decide(limits, &request(4096, 65, 16 * 1024)),
        Err(E::TooManyFields)
    );
    assert_eq!(
        decide(limits, &request(4096, 64, 16 * 1024 + 1)),
        Err(E::HeadTooLong)
    );
}

#[test]
fn a_limit_is_noticed_before_the_line_or_the_head_ends() {
    let mut line = server(LIMITS);
    assert_eq!(line.handle_input(&[b'x'; 40]).map(|_| ()), Ok(()));
    assert_eq!(line.handle_input(b"\r").map(|_| ()), Ok(()));
    assert_eq!(line.handle_input(b"x").map(|_| ()), Err(E::LineTooLong));

    let mut head = server(LIMITS);
    assert_eq!(head.handle_input(b"GET / HTTP/1.1\r\n").map(|_| ()), Ok(()));
    assert_eq!(head.handle_input(&[b'x'; 83]).map(|_| ()), Ok(()));
    assert_eq!(head.handle_input(b"x").map(|_| ()), Err(E::HeadTooLong));
}

#[test]
fn empty_lines_do_not_last_for_ever() {
    assert_eq!(decide(LIMITS, &"\r\n".repeat(50)), Err(E::HeadTooLong));
    let padded = format!("{}GET / HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n".repeat(10));
    assert_eq!(decide(LIMITS, &padded), Ok(padded.len()));
}

/// T2.
#[test]
fn two_thousand_fields() {
    let input = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
        "x:y\r\n".repeat(2000)
    );
    assert_eq!(decide(HttpLimits::default(), &input), Err(E::TooManyFields));
    let generous = HttpLimits {
        fields: 2001,
        ..HttpLimits::default()
    };
    assert_eq!(decide(generous, &input), Ok(input.len()));
}

#[test]
fn a_client_has_the_same_limits() {
    let request = ClientRequest::new(&Url::parse("ws://a").unwrap());
    let answers = [
        format!("HTTP/1.1 400 {}\r\n\r\n", "x".repeat(28)),
        "HTTP/1.1 400 Bad\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n".to_string(),
        format!("HTTP/1.1 400 Bad\r\nX: {}\r\n\r\n", "x".repeat(100)),
        "HTTP/1.1 100 Continue\r\n\r\n".repeat(5),
    ];
    for answer in answers {
        for size in [1, answer.len()] {
            let mut client = ClientHandshake::new(&request, NONCE, LIMITS, DEADLINE);
            let result = answer
                .as_bytes()
                .chunks(size)
                .try_for_each(|piece| client.handle_input(piece).map(|_| ()));
            assert_eq!(
                result,
                Err(ConnectError::InvalidResponse(InvalidResponse::TooLong)),
                "{answer}"
            );
        }
    }
}

/// T1: parsing again after each read would look at 128 MB here.
#[test]
fn each_byte_of_a_head_is_looked_at_once() {
    let limits = HttpLimits::default();
    for size in [1, 3, 100, 16 * 1024] {
        let mut scanner = HeadScanner::default();
        let input = request(4096, 64, 16 * 1024);
        let mut pieces = input
            .as_bytes()
            .chunks(size)
            .map(|piece| scanner.scan(piece, &limits));
        let end = pieces.find_map(|result| result.unwrap());
        assert!(end.is_some());
        assert_eq!(scanner.looked_at, input.len());
    }
}

/// T1 and T3: twice the input takes twice the time. Quadratic would be four times, always; what
/// else the machine does can only spoil some of the attempts.
#[test]
fn time_is_linear_in_the_input() {
    let fill = |field: &str, filling: &str, size: usize| {
        example_and(&format!(
            "{field}: {}",
            filling.repeat(size / filling.len())
        ))
    };
    let inputs: [(&str, &dyn Fn(usize) -> String); 6] = [
        ("spaces", &|size| {
            fill("Sec-WebSocket-Extensions", "a b ", size)
        }),
        ("escapes", &|size| {
            fill("Sec-WebSocket-Extensions", "a; b=\"\\c\\c", size)
        }),
        ("separators", &|size| fill("Connection", ",; ", size)),
        ("subprotocols", &|size| {
            fill("Sec-WebSocket-Protocol", "a,", size)
        }),
        ("cookies", &|size| fill("Cookie", "a=b;", size)),
        ("fields", &|size| {
            example_and("x:\r\n".repeat(size / 4).trim_end())
        }),
    ];
    for (name, input) in inputs {
        let (once, twice) = (input(64 * 1024), input(128 * 1024));
        let is_linear = || best_time(&twice) < 3 * best_time(&once);
        assert!((0..20).any(|_| is_linear()), "{name}");
    }
}

fn best_time(input: &str) -> Duration {
    let time = || {
        let start = Instant::now();
        let mut server = server(UNLIMITED);
        let received = server.handle_input(input.as_bytes()).unwrap().unwrap();
        assert!(received.request.upgrade().is_ok());
        assert_eq!(received.request.cookie("none"), None);
        start.elapsed()
    };
    (0..5).map(|_| time()).min().unwrap_or_default()
}

/// T10: a length is only a number until its bytes have come.
#[test]
fn a_declared_length_allocates_nothing() {
    let input = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\nx",
        usize::MAX
    );
    for size in [1, input.len()] {
        let mut server = server(UNLIMITED);
        assert_eq!(receive(&mut server, input.as_bytes().chunks(size)), None);
        assert!(server.held() <= 2 * input.len());
    }
}

//! Every first two header bytes, in each role, inside and outside a fragmented message.

use alloc::vec::Vec;

use super::*;
use crate::{Cause, Violation};

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// Legal: what the frame gives when its payload is zeros.
    Event(Option<Seen>),
    /// Legal so far, the rest is needed.
    Waits,
    Fails(Violation),
}

/// RFC 6455 §5.2 to §5.5, written as the RFC reads and not as the decoder does.
fn expected(first: u8, second: u8, role: Role, inside: bool) -> Outcome {
    let (fin, reserved, opcode) = (first >> 7 == 1, first >> 4 & 0b111, first & 0b1111);
    let (masked, length) = (second >> 7 == 1, second & 0x7f);
    let control = opcode >= 8;
    if reserved != 0 {
        return Outcome::Fails(Violation::ReservedBit);
    }
    if !matches!(opcode, 0 | 1 | 2 | 8 | 9 | 10) {
        return Outcome::Fails(Violation::ReservedOpcode);
    }
    if control && !fin {
        return Outcome::Fails(Violation::FragmentedControl);
    }
    if masked != (role == Role::Server) {
        return Outcome::Fails(Violation::Masking);
    }
    if control && length > 125 {
        return Outcome::Fails(Violation::ControlTooLong);
    }
    if length > 125 {
        // The zeros that follow are an extended length below 126.
        return Outcome::Fails(Violation::LengthEncoding);
    }
    match (opcode, inside) {
        (0, false) => return Outcome::Fails(Violation::UnexpectedContinuation),
        (1 | 2, true) => return Outcome::Fails(Violation::ExpectedContinuation),
        _ => {}
    }
    let zeros = || alloc::vec![0; usize::from(length)];
    let text = |len| Seen::Text(String::from_utf8(alloc::vec![0; len]).expect("zeros"));
    match opcode {
        8 if length == 1 => Outcome::Fails(Violation::ClosePayload),
        // Code 0 must not be sent.
        8 if length > 1 => Outcome::Fails(Violation::CloseCode),
        8 => Outcome::Waits,
        9 => Outcome::Event(Some(Seen::Ping(zeros()))),
        10 => Outcome::Event(Some(Seen::Pong(zeros()))),
        _ if !fin => Outcome::Event(None),
        // The open message holds one zero already.
        0 => Outcome::Event(Some(text(1 + usize::from(length)))),
        1 => Outcome::Event(Some(text(usize::from(length)))),
        _ => Outcome::Event(Some(Seen::Binary(zeros()))),
    }
}

fn outcome(seen: Vec<Seen>, is_close: bool) -> Outcome {
    match seen.as_slice() {
        [Seen::Closed(closed)] => match closed.cause {
            Cause::Violation(violation) => {
                assert_eq!(closed.code, violation.close_code());
                Outcome::Fails(violation)
            }
            Cause::Handshake if is_close => Outcome::Waits,
            ref cause => panic!("{cause:?}"),
        },
        [] => Outcome::Event(None),
        [event] => Outcome::Event(Some(event.clone())),
        several => panic!("{several:?}"),
    }
}

#[test]
fn every_first_two_bytes_give_what_the_rfc_says() {
    for role in ROLES {
        for inside in [false, true] {
            for bytes in 0..=u16::MAX {
                let [first, second] = bytes.to_be_bytes();
                let mut bench = Bench::new(role);
                if inside {
                    let opening = bench.frame(false, Opcode::Text, b"\0");
                    assert_eq!(bench.feed(&opening), []);
                }
                // A masking key of zeros and a payload of zeros, or a short extended length.
                let key = if role == Role::Server { 4 } else { 0 };
                let payload = match second & 0x7f {
                    126 => 2,
                    127 => 8,
                    length => usize::from(length),
                };
                let mut frame = alloc::vec![first, second];
                frame.resize(2 + key + payload, 0);
                let seen = outcome(bench.feed(&frame), first & 0xf == 8);
                let expected = expected(first, second, role, inside);
                assert_eq!(
                    seen, expected,
                    "{first:#04x} {second:#04x} {role:?} inside: {inside}"
                );
            }
        }
    }
}

#[test]
fn every_length_form_is_checked_at_its_borders() {
    let data = |role: Role, form: &[u8], payload: usize| {
        let mut bench = Bench::with(role, |config| config.max_message = 70_000);
        let mask = if role == Role::Server { 0x80 } else { 0 };
        let key: &[u8] = if role == Role::Server { &[0; 4] } else { &[] };
        let frame = [
            &[0x82, mask | form[0]],
            &form[1..],
            key,
            &alloc::vec![0; payload],
        ]
        .concat();
        bench.feed(&frame)
    };
    let fails = |violation: Violation| {
        move |seen: &[Seen]| match seen {
            [Seen::Closed(closed)] => closed.cause == Cause::Violation(violation),
            _ => false,
        }
    };
    for role in ROLES {
        for len in [0, 1, 124, 125_usize] {
            assert_eq!(
                data(role, &[len as u8], len),
                [Seen::Binary(alloc::vec![0; len])]
            );
        }
        for len in [126, 127, 65_534, 65_535_usize] {
            let [a, b] = (len as u16).to_be_bytes();
            assert_eq!(
                data(role, &[126, a, b], len),
                [Seen::Binary(alloc::vec![0; len])]
            );
        }
        for len in [65_536, 65_537, 70_000_usize] {
            let form = [&[127][..], &(len as u64).to_be_bytes()].concat();
            assert_eq!(data(role, &form, len), [Seen::Binary(alloc::vec![0; len])]);
        }
        for len in [0, 1, 125_u16] {
            let form = [&[126][..], &len.to_be_bytes()].concat();
            assert!(
                fails(Violation::LengthEncoding)(&data(role, &form, 0)),
                "{len}"
            );
        }
        for len in [0, 125, 126, 65_535, 1 << 63, u64::MAX] {
            let form = [&[127][..], &len.to_be_bytes()].concat();
            assert!(
                fails(Violation::LengthEncoding)(&data(role, &form, 0)),
                "{len}"
            );
        }
        // Legal lengths beyond the limit fail before any payload is there.
        for len in [70_001, 1 << 32, (1 << 63) - 1] {
            let form = [&[127][..], &u64::to_be_bytes(len)].concat();
            assert!(fails(Violation::TooBig)(&data(role, &form, 0)), "{len}");
        }
    }
}

//! Output: the order of the wire, whatever is written at a time.

use proptest::prelude::*;

use super::*;
use crate::{MessageKind, Outgoing, OutputBuffer, OwnedMessage};

#[derive(Clone, Debug)]
enum Act {
    Send(usize),
    Ping(u8),
    Write(usize),
}

proptest! {
    #[test]
    fn any_writes_give_whole_frames_in_order(
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        acts in proptest::collection::vec(
            prop_oneof![
                3 => prop_oneof![0_usize..200, 3000_usize..20_000].prop_map(Act::Send),
                1 => any::<u8>().prop_map(Act::Ping),
                4 => prop_oneof![0_usize..10, 0_usize..30_000].prop_map(Act::Write),
            ],
            0..40,
        ),
    ) {
        let mut bench = Bench::new(role);
        let (mut sent, mut out) = (Vec::new(), Vec::new());
        let mut pings = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Send(len) => {
                    let payload = alloc::vec![number as u8; len];
                    bench.connection.sender().send(&payload[..]).expect("below the mark");
                    sent.push(payload);
                }
                Act::Ping(byte) => {
                    bench.connection.sender().ping(&[byte]).expect("open");
                    pings.push(alloc::vec![byte]);
                }
                Act::Write(len) => {
                    let Some(Transmit::Write(output)) = bench.connection.poll_transmit() else { continue };
                    prop_assert!(output.slices().all(|slice| !slice.is_empty()));
                    prop_assert_eq!(output.is_single(), output.slices().count() == 1);
                    let written: Vec<u8> = output.slices().flatten().copied().take(len).collect();
                    bench.connection.handle_written(written.len(), bench.now);
                    out.extend(written);
                }
            }
        }
        out.extend(bench.output());
        let frames = decode(role, &out);
        let data: Vec<Vec<u8>> = frames
            .iter()
            .filter(|(opcode, _)| *opcode == Opcode::Binary)
            .map(|(_, payload)| payload.clone())
            .collect();
        prop_assert_eq!(data, sent);
        // Pings are those asked for, or a subsequence with the newest if too many waited.
        let on_wire: Vec<&Vec<u8>> =
            frames.iter().filter(|(opcode, _)| *opcode == Opcode::Ping).map(|(_, payload)| payload).collect();
        prop_assert_eq!(on_wire.last().copied(), pings.last());
        let mut asked = pings.iter();
        prop_assert!(on_wire.iter().all(|ping| asked.any(|other| other == *ping)));
        prop_assert_eq!(bench.connection.sender().buffered(), 0);
    }
}

#[test]
fn a_short_message_leaves_without_what_lay_behind_it_when_it_was_read() {
    let read: Vec<u8> = (b'A'..=b'z').collect();
    for role in [Role::Server, Role::Client] {
        for kind in [MessageKind::Text, MessageKind::Binary] {
            let mut bench = Bench::new(role);
            let short = (0..32).map(|len| OwnedMessage::unmasked(kind, &read, len, [0; 4]));
            for inline in short.map(|inline| inline.expect("short and ASCII")) {
                let message = OwnedMessage::short(kind, inline);
                bench.connection.sender().send(message).expect("open");
            }
            let expected = (0..32).map(|len| (kind.into(), read[..len].to_vec()));
            assert_eq!(bench.frames(), expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn a_message_that_was_taken_out_is_sent_whole() {
    let large = alloc::vec![7; 5000];
    for payload in [&b"short"[..], &large] {
        let mut bench = Bench::new(Role::Server);
        let mut message = Outgoing::from(OwnedMessage::from(payload));
        bench
            .connection
            .sender()
            .send(message.take())
            .expect("open");
        assert_eq!(bench.frames(), [(Opcode::Binary, payload.to_vec())]);
    }
}

#[test]
fn a_large_answer_that_is_lent_leaves_in_one_slice_if_nothing_is_before_it() {
    let payload = [7; 16 << 10];
    for (before, slices) in [(0, 1), (1, 3)] {
        let mut bench = Bench::new(Role::Server);
        for _ in 0..before {
            bench.connection.sender().send("before").expect("open");
        }
        bench.connection.sender().send(&payload[..]).expect("open");
        let Some(Transmit::Write(output)) = bench.connection.poll_transmit() else {
            panic!("nothing to write")
        };
        assert_eq!(output.slices().count(), slices);
        let frames = bench.frames();
        assert_eq!(frames.last(), Some(&(Opcode::Binary, payload.to_vec())));
    }
}

#[test]
fn small_frames_leave_in_one_slice_and_large_payloads_by_reference() {
    let mut bench = Bench::new(Role::Server);
    for _ in 0..100 {
        bench.connection.sender().send("small").expect("open");
    }
    let Some(Transmit::Write(output)) = bench.connection.poll_transmit() else {
        panic!("no output")
    };
    assert!(output.is_single());
    let large = bytes::Bytes::from(alloc::vec![9; 10_000]);
    let place = large.as_ptr();
    bench.connection.sender().send(large).expect("open");
    let Some(Transmit::Write(output)) = bench.connection.poll_transmit() else {
        panic!("no output")
    };
    assert!(output.slices().any(|slice| slice.as_ptr() == place));
}

#[test]
fn a_lent_buffer_is_used_and_comes_back() {
    let mut bench = Bench::new(Role::Server);
    bench.connection.lend(OutputBuffer::with_capacity(1000));
    bench.connection.sender().send("hello").expect("open");
    assert!(bench.connection.reclaim().is_none(), "it is in use");
    bench.output();
    let buffer = bench.connection.reclaim();
    assert_eq!(buffer.map(|buffer| buffer.capacity()), Some(1000));
    assert!(bench.connection.reclaim().is_none());
}

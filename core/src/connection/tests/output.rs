//! Output: the order of the wire, whatever is written at a time.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::{MessageKind, Outgoing, OutputBuffer, OwnedMessage};

#[derive(Clone, Debug)]
enum Act {
    Send(usize, Payload),
    Ping(u8),
    Write(usize),
}

#[derive(Clone, Copy, Debug)]
enum Payload {
    Lent,
    Owned,
    Shared,
}

fn payload() -> impl Strategy<Value = Payload> {
    prop_oneof![
        Just(Payload::Lent),
        Just(Payload::Owned),
        Just(Payload::Shared)
    ]
}

proptest! {
    #[test]
    fn any_writes_give_whole_frames_in_order(
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
        acts in proptest::collection::vec(
            prop_oneof![
                3 => (prop_oneof![0_usize..200, 3000_usize..20_000], payload())
                    .prop_map(|(len, payload)| Act::Send(len, payload)),
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
                Act::Send(len, how) => {
                    let payload = alloc::vec![number as u8; len];
                    let shared = Bytes::from(payload.clone());
                    let sender = bench.connection.sender();
                    let queued = match how {
                        Payload::Lent => sender.send(&payload[..]),
                        Payload::Owned => sender.send(payload.clone()),
                        Payload::Shared => sender.send(shared.clone()),
                    };
                    queued.expect("below the mark");
                    prop_assert_eq!(&shared, &payload, "it is another's as well");
                    sent.push(payload);
                }
                Act::Ping(byte) => {
                    bench.connection.sender().ping(&[byte]).expect("open");
                    pings.push(alloc::vec![byte]);
                }
                Act::Write(len) => {
                    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else { continue };
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

proptest! {
    #[test]
    fn buffers_that_go_from_one_to_another_take_nothing_along(
        acts in proptest::collection::vec(
            (any::<bool>(), 0_usize..6, prop_oneof![0_usize..200, 3000_usize..20_000], payload()),
            0..80,
        ),
    ) {
        let mut benches = [Bench::new(Role::Server), Bench::new(Role::Client)];
        let mut sent = [(); 2].map(|()| Vec::new());
        let mut out = [(); 2].map(|()| Vec::new());
        let mut spare = None;
        for (number, (which, act, len, how)) in acts.into_iter().enumerate() {
            let bench = &mut benches[usize::from(which)];
            let before = bench.connection.sender().buffered();
            match act {
                0..=2 => {
                    if bench.connection.wants_buffer() && let Some(buffer) = spare.take() {
                        bench.connection.lend(buffer);
                    }
                    let payload = alloc::vec![number as u8; len];
                    let shared = Bytes::from(payload.clone());
                    let sender = bench.connection.sender();
                    match how {
                        Payload::Lent => sender.send(&payload[..]),
                        Payload::Owned => sender.send(payload.clone()),
                        Payload::Shared => sender.send(shared.clone()),
                    }.expect("below the mark");
                    let header = match len { 0..126 => 2, 126..0x1_0000 => 4, _ => 10 };
                    let key = if which { 4 } else { 0 };
                    prop_assert_eq!(sender.buffered(), before + header + key + len);
                    sent[usize::from(which)].push(payload);
                }
                3 => bench.connection.sender().ping(&alloc::vec![1; len.min(125)]).expect("open"),
                _ => {
                    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else { continue };
                    let written: Vec<u8> = output.slices().flatten().copied().take(len * 3).collect();
                    bench.connection.handle_written(written.len(), bench.now);
                    out[usize::from(which)].extend(written);
                }
            }
            let waits = |bench: &mut Bench| match transmit(&mut bench.connection) {
                Some(Transmit::Write(output)) => output.slices().map(<[u8]>::len).sum(),
                _ => 0,
            };
            let before = waits(bench);
            spare = bench.connection.reclaim().or(spare);
            prop_assert_eq!(waits(bench), before);
        }
        for ((mut bench, sent), mut out) in benches.into_iter().zip(sent).zip(out) {
            bench.connection.sender().close(crate::CloseCode::NORMAL, "").expect("open");
            out.extend(bench.output());
            let mut frames = decode(bench.role, &out);
            frames.retain(|(opcode, _)| *opcode != Opcode::Ping);
            prop_assert_eq!(frames.pop().map(|(opcode, _)| opcode), Some(Opcode::Close));
            prop_assert_eq!(frames.into_iter().map(|(_, payload)| payload).collect::<Vec<_>>(), sent);
            prop_assert_eq!(bench.connection.sender().buffered(), 0);
        }
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
fn a_large_payload_that_is_copied_goes_behind_little_and_not_behind_much() {
    let payload = [7; 16 << 10];
    for role in [Role::Server, Role::Client] {
        for (before, slices) in [(0, 1), (1, 1), (4000, 1), (4200, 2)] {
            let mut bench = Bench::new(role);
            let sender = bench.connection.sender();
            while sender.buffered() < before {
                sender.send("before").expect("open");
            }
            sender.send(&payload[..]).expect("open");
            let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
                panic!("nothing to write")
            };
            assert_eq!(output.slices().count(), slices, "{before}");
            let frames = bench.frames();
            assert_eq!(frames.last(), Some(&(Opcode::Binary, payload.to_vec())));
        }
    }
}

#[test]
fn a_client_masks_in_place_only_what_nobody_else_holds() {
    for (others, in_place) in [(0, true), (1, false)] {
        let mut bench = Bench::new(Role::Client);
        let payload = Bytes::from(alloc::vec![9; 20_000]);
        let place = payload.as_ptr();
        let others = alloc::vec![payload.clone(); others];
        bench.connection.sender().send(payload).expect("open");
        let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
            panic!("no output")
        };
        let is_there = output.slices().any(|slice| slice.as_ptr() == place);
        assert_eq!(is_there, in_place);
        assert!(others.iter().all(|other| other == &[9; 20_000][..]));
        assert_eq!(bench.frames(), [(Opcode::Binary, alloc::vec![9; 20_000])]);
    }
}

/// Where the segments lie that four messages make, which are then written.
fn places(bench: &mut Bench) -> Vec<*const u8> {
    for _ in 0..4 {
        let sender = bench.connection.sender();
        sender.send(&[7; 16 << 10][..]).expect("open");
    }
    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
        panic!("no output")
    };
    let mut places: Vec<_> = output.slices().map(<[u8]>::as_ptr).collect();
    places.sort_unstable();
    bench.output();
    places
}

#[test]
fn the_next_segments_lie_where_those_lay_that_are_written() {
    let mut bench = Bench::new(Role::Server);
    let first = places(&mut bench);
    assert_eq!(first.len(), 4);
    assert_eq!(places(&mut bench), first);
    // Another connection has them with the buffer.
    let buffer = bench.connection.reclaim().expect("nothing is in it");
    assert!(buffer.capacity() >= 4 * (16 << 10));
    let mut other = Bench::new(Role::Client);
    other.connection.lend(buffer);
    assert_eq!(places(&mut other), first);
}

#[test]
fn what_waits_for_a_slow_peer_keeps_no_empty_buffers() {
    let large = alloc::vec![7; 16 << 10];
    let waiting: [&[&[u8]]; 2] = [&[b"small"], &[&large, &large]];
    for messages in waiting {
        let mut bench = Bench::new(Role::Server);
        places(&mut bench);
        for message in messages {
            bench.connection.sender().send(*message).expect("open");
        }
        bench.connection.handle_written(1, bench.now);
        bench.output();
        let buffer = bench.connection.reclaim().expect("nothing is in it");
        assert!(buffer.capacity() < (messages.len() + 1) * (16 << 10));
    }
}

#[test]
fn what_was_lent_to_whom_a_slow_peer_keeps_waiting_goes_back_if_nothing_is_in_it() {
    let mut bench = Bench::new(Role::Server);
    let large = Bytes::from(alloc::vec![9; 10_000]);
    bench.connection.sender().send(large).expect("open");
    bench.connection.lend(OutputBuffer::with_capacity(40_000));
    bench.connection.handle_written(0, bench.now);
    let buffer = bench.connection.reclaim().expect("nothing is in it");
    assert!(buffer.capacity() >= 40_000);
    assert!(bench.connection.wants_buffer());
    assert!(bench.connection.reclaim().is_none());
    assert_eq!(bench.frames().len(), 1);
}

#[test]
fn small_frames_leave_in_one_slice_and_large_payloads_by_reference() {
    let mut bench = Bench::new(Role::Server);
    for _ in 0..100 {
        bench.connection.sender().send("small").expect("open");
    }
    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
        panic!("no output")
    };
    assert!(output.is_single());
    let large = Bytes::from(alloc::vec![9; 10_000]);
    let place = large.as_ptr();
    bench.connection.sender().send(large).expect("open");
    let Some(Transmit::Write(output)) = transmit(&mut bench.connection) else {
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

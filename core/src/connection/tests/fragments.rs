//! RFC 6455 §5.4: fragmentation and assembly.

use super::*;
use crate::message::{Lent, Text};
use crate::{Binary, SendError};

#[test]
fn fragments_come_together_and_may_be_empty() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let bytes = [
            bench.frame(false, Opcode::Binary, b""),
            bench.frame(false, Opcode::Continuation, b"ab"),
            bench.frame(false, Opcode::Continuation, b""),
            bench.frame(true, Opcode::Continuation, b""),
        ]
        .concat();
        assert_eq!(bench.feed(&bytes), [Seen::Binary(b"ab".to_vec())]);
    }
}

#[test]
fn a_character_may_be_cut_by_fragments() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let bytes = [
            bench.frame(false, Opcode::Text, b"\xf0\x9d"),
            bench.frame(true, Opcode::Continuation, b"\x84\x9e"),
        ]
        .concat();
        assert_eq!(bench.feed(&bytes), [Seen::Text("𝄞".into())]);
    }
}

#[test]
fn a_text_that_ends_inside_a_character_fails() {
    for role in ROLES {
        for fragmented in [false, true] {
            let mut bench = Bench::new(role);
            let mut bytes = bench.frame(!fragmented, Opcode::Text, b"\xf0\x9d\x84");
            if fragmented {
                bytes.extend(bench.frame(true, Opcode::Continuation, b""));
            }
            let seen = bench.feed(&bytes);
            assert!(matches!(&seen[..], [Seen::Closed(closed)] if closed.code.as_u16() == 1007));
        }
    }
}

#[test]
fn the_first_bad_byte_of_a_text_fails_before_the_frame_is_whole() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let mut text = alloc::vec![b'x'; 1000];
        text[500] = 0xff;
        let bytes = bench.whole(Opcode::Text, &text);
        let header = bytes.len() - text.len();
        assert_eq!(bench.feed(&bytes[..header + 500]), []);
        let seen = bench.feed(&bytes[header + 500..=header + 500]);
        assert!(matches!(&seen[..], [Seen::Closed(closed)] if closed.code.as_u16() == 1007));
    }
}

#[test]
fn a_whole_frame_is_lent_from_the_input_and_a_cut_one_is_handed_over() {
    let mut bench = Bench::new(Role::Client);
    let mut bytes = b"\x82\x04lent\x81\x04c\xc3\xbbt".to_vec();
    let place = bytes[2..].as_ptr();
    let mut input = Input::new(&mut bytes[..10]);
    match bench.connection.poll_event(&mut input, bench.now) {
        Some((Event::Message(Message::Binary(Binary(Lent::Input(payload)))), _)) => {
            assert_eq!(payload.as_ptr(), place);
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.connection.poll_event(&mut input, bench.now).is_none());
    let mut input = Input::new(&mut bytes[10..]);
    match bench.connection.poll_event(&mut input, bench.now) {
        Some((Event::Message(Message::Text(Text(Lent::Assembled(text)))), _)) => {
            assert_eq!(core::mem::take(text), "cût");
        }
        other => panic!("{other:?}"),
    };
}

/// Receives a message of 300,000 bytes, and says how long each place to read to was, beside
/// how much had arrived.
#[cfg(feature = "std")]
fn read_straight(role: Role) -> Vec<(usize, usize)> {
    let payload: Vec<u8> = (0..300_000_u32).map(|i| (i * 7) as u8).collect();
    let mut bench = Bench::new(role);
    let bytes = bench.whole(Opcode::Binary, &payload);
    let (start, mut rest) = bytes.split_at(16 << 10);
    assert!(bench.connection.read_target().is_none());
    assert_eq!(bench.feed(start), []);
    assert!(
        bench.connection.read_target().is_none(),
        "16 KiB less the header have arrived"
    );
    assert_eq!(bench.feed(&rest[..14]), []);
    rest = &rest[14..];
    let mut targets = Vec::new();
    let mut direct = 0;
    while let Some(target) = bench.connection.read_target() {
        targets.push((target.len(), payload.len() - rest.len()));
        // Reads come short, too.
        let n = target.len().min(rest.len()).min(50_000);
        target[..n].copy_from_slice(&rest[..n]);
        bench.connection.handle_read(n, bench.now);
        rest = &rest[n..];
        direct += n;
        if !rest.is_empty() {
            assert_eq!(bench.events(), []);
        }
    }
    assert!(direct > 250_000, "{direct}");
    assert_eq!(bench.feed(rest), [Seen::Binary(payload)]);
    targets
}

#[cfg(feature = "std")]
#[test]
fn a_large_binary_message_can_be_read_straight_into_its_buffer() {
    for role in ROLES {
        // A thread that has kept nothing.
        let targets = std::thread::spawn(move || read_straight(role));
        for (target, received) in targets.join().expect("received") {
            assert!(target <= received, "more than was paid for");
        }
    }
}

#[cfg(feature = "std")]
#[test]
fn a_buffer_that_is_there_already_is_read_to_as_far_as_it_stays_in_the_cache() {
    for role in ROLES {
        crate::buffers::recycle(alloc::vec![9; 300_000]);
        let targets = read_straight(role);
        assert_eq!(targets[0].0, 256 << 10);
    }
}

#[test]
fn messages_that_are_read_both_ways_follow_each_other() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let payload: Vec<u8> = (0..1_048_576_u32).map(|i| (i * 7) as u8).collect();
        let bytes = bench.whole(Opcode::Binary, &payload).repeat(4);
        let mut rest = &bytes[..];
        let mut seen = Vec::new();
        while !rest.is_empty() {
            if let Some(target) = bench.connection.read_target() {
                let (read, behind) = rest.split_at(target.len().min(rest.len()));
                target[..read.len()].copy_from_slice(read);
                bench.connection.handle_read(read.len(), bench.now);
                rest = behind;
                seen.extend(bench.events());
            } else {
                let (read, behind) = rest.split_at(rest.len().min(16 << 10));
                rest = behind;
                seen.extend(bench.feed(read));
            }
        }
        assert!(seen == core::array::from_fn::<_, 4, _>(|_| Seen::Binary(payload.clone())));
    }
}

#[test]
fn fragments_are_sent_as_one_message() {
    for role in ROLES {
        let mut bench = Bench::new(role);
        let sender = bench.connection.sender();
        assert_eq!(sender.append(b"x"), Err(SendError::Fragmenting));
        sender.begin(crate::MessageKind::Text).expect("open");
        assert_eq!(
            sender.begin(crate::MessageKind::Text),
            Err(SendError::Fragmenting)
        );
        assert_eq!(sender.send("between"), Err(SendError::Fragmenting));
        sender.append(b"frag").expect("begun");
        sender.ping(b"").expect("control frames may come between");
        sender.append(&[b'm'; 5000]).expect("begun");
        sender.finish(b"ent").expect("begun");
        sender.send("next").expect("open");
        let frames = bench.frames();
        let order: Vec<Opcode> = frames.iter().map(|(opcode, _)| *opcode).collect();
        use Opcode::{Continuation, Ping, Text};
        assert_eq!(order, [Ping, Text, Continuation, Continuation, Text]);
        assert_eq!(frames[3].1, b"ent");
    }
}

#[test]
fn a_frame_is_encoded_once_for_servers_and_masked_for_clients() {
    for len in [0, 5, 125, 126, 5000, 70_000] {
        let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
        let frame = crate::Frame::new(&payload[..]);
        assert_eq!(frame.payload(), payload);
        for role in ROLES {
            let mut bench = Bench::new(role);
            bench.connection.sender().send_frame(&frame).expect("open");
            assert_eq!(bench.frames(), [(Opcode::Binary, payload.clone())]);
        }
    }
}

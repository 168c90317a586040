//! The header codec, and a connection that is fed with raw bytes.

use sockeye_core::{Connection, Endpoint, Header, Messages, ReadBuffer, Role, SharedConfig, Time};

use crate::connection::{Seen, events, opposite};

/// Any bytes as frame headers, and as the input of a connection, in both roles.
pub fn frame(data: &[u8]) {
    for role in [Role::Server, Role::Client] {
        decode(data, role);
        connect(data, role);
    }
}

/// What decodes encodes to the same bytes, and each prefix is either not enough or shows the same
/// fault.
fn decode(data: &[u8], role: Role) {
    let data = data.get(..Header::MAX_ENCODED).unwrap_or(data);
    let whole = Header::decode(data, role);
    for len in 0..data.len() {
        let prefix = Header::decode(&data[..len], role);
        match (prefix, whole) {
            (Ok(None), _) => {}
            (Err(early), Err(late)) => assert_eq!(early, late),
            (Ok(Some(early)), Ok(Some(late))) => {
                assert_eq!(early, late);
                assert!(early.1 <= len);
            }
            mismatch => panic!("{len} bytes say another thing than all: {mismatch:?}"),
        }
    }
    match whole {
        Ok(Some((header, len))) => {
            let mut encoded = Vec::new();
            header.encode(&mut encoded);
            assert_eq!(encoded, data[..len]);
            assert_eq!(header.mask.is_some(), role == Role::Server);
            assert!(header.fin || !header.opcode.is_control());
            assert!(header.len <= 125 || !header.opcode.is_control());
            assert!(header.len < 1 << 63);
            // Nobody else may take it.
            assert!(Header::decode(data, opposite(role)).is_err());
        }
        Ok(None) => assert!(data.len() < Header::MAX_ENCODED),
        Err(_) => {}
    }
}

/// The bytes give the same events, in one piece and one by one.
fn connect(data: &[u8], role: Role) {
    let run = |width: usize| -> Vec<Seen> {
        let mut connection = open(role);
        let pieces = data.chunks(width.max(1));
        pieces
            .flat_map(|piece| events(&mut connection, piece))
            .collect()
    };
    let whole = run(data.len());
    for width in [1, 3, 7] {
        // Long inputs are for what they say, not for each of their bytes.
        let width = width + data.len() / 500;
        assert_eq!(run(width), whole, "in pieces of {width}");
        assert_eq!(
            items(data, role, width),
            whole,
            "as items, of pieces of {width}"
        );
    }
    let ends = whole.iter().filter(|seen| matches!(seen, Seen::Closed(_)));
    let last = matches!(whole.last(), Some(Seen::Closed(_)));
    assert_eq!(ends.count(), usize::from(last), "{whole:?}");
}

/// The same through the endpoint that gives one owned message at a time.
fn items(data: &[u8], role: Role, width: usize) -> Vec<Seen> {
    let mut messages = Messages::new(open(role), Vec::new());
    let mut items = Vec::new();
    let mut buffer = ReadBuffer::new(width);
    let mut data = data;
    loop {
        assert!(messages.wants_input());
        let target = buffer.target_for(&mut messages);
        let (piece, rest) = data.split_at(target.len().min(data.len()));
        target[..piece.len()].copy_from_slice(piece);
        data = rest;
        // At the end what was cut is taken, too.
        let mut item = match piece.len() {
            0 => buffer.give_rest(&mut messages, Time::ZERO),
            n => buffer.give(n, &mut messages, Time::ZERO),
        };
        while let Some(some) = item {
            items.push(some);
            item = messages.poll_item(Time::ZERO);
        }
        assert!(!messages.holds_input());
        if piece.is_empty() {
            break;
        }
    }
    items.into_iter().map(Seen::from).collect()
}

fn open(role: Role) -> Connection {
    crate::connection::open(role, &SharedConfig::default(), Time::ZERO)
}

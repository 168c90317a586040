//! How frames come into the queue: appended in place, copied, or by reference.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::queue::{BY_REFERENCE, SEGMENT, append_masked, encode_masked};
use super::{CLIENT, Sender};
use crate::close::CloseCode;
use crate::frame::{First, Header, MAX_CONTROL, Opcode};
use crate::mask::Key;
use crate::message::{Inline, Payload};

impl Sender {
    #[inline(always)]
    pub(super) fn put_encoded(&mut self, frame: &Bytes) {
        if frame.len() <= BY_REFERENCE {
            self.queue.tail().extend_from_slice(frame);
        } else {
            self.queue.push_encoded(frame.clone());
        }
        self.queued();
    }

    /// RFC 6455 §5.3: a client masks each frame with a new key, and a server none.
    #[inline(always)]
    pub(super) fn next_key(&mut self) -> Option<Key> {
        if self.flags & CLIENT == 0 {
            return None;
        }
        let keys = self.rare.as_mut()?.keys.as_mut()?;
        Some(keys.next_key())
    }

    #[inline(always)]
    pub(super) fn put(&mut self, first: First, payload: Payload<'_>) {
        if let Payload::Inline(inline) = &payload
            && self.flags & CLIENT == 0
        {
            return self.put_inline(first, inline);
        }
        let bytes = payload.as_slice();
        if bytes.len() > BY_REFERENCE {
            return self.put_large(first, payload);
        }
        self.put_copy(first, bytes);
    }

    /// Appends all words that there is room for in place, and lets go of what is too much:
    /// how many they are the compiler knows, and writes them from where they are.
    #[inline(always)]
    fn put_inline(&mut self, first: First, inline: &Inline) {
        let len = inline.len();
        let tail = self.queue.tail();
        tail.reserve(size_of::<Inline>() + Header::MAX_ENCODED);
        first.encode_short(len, tail);
        let end = tail.len() + len;
        for word in inline.words() {
            tail.extend_from_slice(&word);
        }
        tail.truncate(end);
        self.queued();
    }

    #[inline(never)]
    fn put_copy(&mut self, first: First, bytes: &[u8]) {
        let key = self.next_key();
        let tail = self.queue.tail();
        tail.reserve(bytes.len() + Header::MAX_ENCODED);
        first.encode(key, bytes.len() as u64, tail);
        append_masked(tail, key, bytes);
        self.queued();
    }

    #[inline(never)]
    fn put_large(&mut self, first: First, payload: Payload<'_>) {
        let bytes = match payload {
            // A client masks it where it is, if nobody else holds it.
            Payload::Owned(bytes) if self.flags & CLIENT == 0 || bytes.is_unique() => bytes,
            payload => return self.put_large_copy(first, payload.as_slice()),
        };
        match self.next_key() {
            None => self.queue.push(first, None, bytes),
            Some(key) => self.queue.push(first, Some(key), masked(bytes, key)),
        }
        self.queued();
    }

    /// What must be copied anyway goes to where there is room already, unless it is long: then
    /// that would stay long.
    fn put_large_copy(&mut self, first: First, bytes: &[u8]) {
        if bytes.len() <= SEGMENT {
            self.queue.separate(bytes.len() + Header::MAX_ENCODED);
            return self.put_copy(first, bytes);
        }
        let key = self.next_key();
        let mut copy = Vec::with_capacity(bytes.len());
        append_masked(&mut copy, key, bytes);
        self.queue.push(first, key, copy.into());
        self.queued();
    }

    pub(super) fn put_close(&mut self, code: CloseCode, reason: &str) {
        let mut payload = [0; MAX_CONTROL];
        let len = match code {
            CloseCode::NO_STATUS => 0,
            _ => 2 + reason.len().min(MAX_CONTROL - 2),
        };
        let bytes = code
            .as_u16()
            .to_be_bytes()
            .into_iter()
            .chain(reason.bytes());
        payload
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = from);
        let key = self.next_key();
        let payload = payload.get(..len).unwrap_or_default();
        encode_masked(self.queue.tail(), Opcode::Close, key, payload);
    }

    pub(super) fn put_urgent(&mut self, opcode: Opcode, payload: &[u8]) {
        let key = self.next_key();
        self.queue.push_urgent(opcode, key, payload);
    }
}

/// Masks a payload that nobody else holds.
fn masked(bytes: Bytes, key: Key) -> Bytes {
    let mut bytes = BytesMut::from(bytes);
    crate::mask::apply(&mut bytes, key);
    bytes.freeze()
}

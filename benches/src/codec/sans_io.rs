//! websocket-sans-io: frames, which it neither validates nor puts together to messages.

use websocket_sans_io::{FrameInfo, Opcode, WebsocketFrameDecoder, WebsocketFrameEncoder};
use websocket_sans_io::{WebsocketFrameDecoderAddDataResult, WebsocketFrameEvent};

use super::Contender;
use super::job::{Content, Job, Material, Role, Tally, Task};
use super::memory::{Memory, READ};

pub struct SansIo;

/// Payloads above this are written where they lie.
const LARGE: usize = 4 << 10;

impl Contender for SansIo {
    fn name(&self) -> &'static str {
        "websocket-sans-io, frames only"
    }

    fn can(&self, job: &Job) -> bool {
        // Text is bytes to it.
        job.content == Content::Binary
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        match material.job.task {
            Task::Receive => receive(material, memory, false),
            Task::Echo => receive(material, memory, true),
            Task::Send { role, per_flush } => Some(send(role, per_flush, material, memory)),
        }
    }
}

fn receive(material: &Material, memory: &mut Memory<'_>, answers: bool) -> Option<Tally> {
    let mut decoder = WebsocketFrameDecoder::new();
    let mut encoder = WebsocketFrameEncoder::new();
    let mut buffer = vec![0; READ + 4096];
    let buffer = &mut buffer[material.offset()..][..READ];
    let mut output = Vec::new();
    let mut tally = Tally::default();
    let mut remaining = 0;
    loop {
        let mut input = match memory.fetch(buffer) {
            0 => return Some(tally),
            n => &mut buffer[..n],
        };
        loop {
            let WebsocketFrameDecoderAddDataResult {
                consumed_bytes,
                event,
            } = decoder.add_data(input).ok()?;
            let (used, rest) = input.split_at_mut(consumed_bytes);
            input = rest;
            match event {
                Some(WebsocketFrameEvent::Start { frame_info, .. }) => {
                    if !frame_info.is_reasonable() || frame_info.mask.is_none() {
                        return None;
                    }
                    remaining = frame_info.payload_length;
                    if answers {
                        let answer = FrameInfo {
                            mask: None,
                            ..frame_info
                        };
                        output.extend_from_slice(&encoder.start_frame(&answer));
                    }
                }
                Some(WebsocketFrameEvent::PayloadChunk { .. }) => {
                    remaining -= used.len() as u64;
                    tally.add_piece(used, remaining == 0);
                    if answers && used.len() > LARGE {
                        memory.store_all([&output[..], used]);
                        output.clear();
                    } else if answers {
                        output.extend_from_slice(used);
                    }
                }
                Some(WebsocketFrameEvent::End { .. }) => {}
                None if used.is_empty() => break,
                None => {}
            }
        }
        // Once for all that the read brought.
        if !output.is_empty() {
            memory.store(&output);
            output.clear();
        }
    }
}

fn send(role: Role, per_flush: usize, material: &Material, memory: &mut Memory<'_>) -> Tally {
    let mut encoder = WebsocketFrameEncoder::new();
    let mut output = Vec::new();
    // Keys are the caller's: what a generator of them costs is not in this row.
    let mut key = 0x9e37_79b9_u32;
    for (i, payload) in (1..).zip(material.all()) {
        key = key.wrapping_mul(5).wrapping_add(1);
        let frame = FrameInfo {
            opcode: Opcode::Binary,
            payload_length: payload.len() as u64,
            mask: (role == Role::Client).then_some(key.to_ne_bytes()),
            fin: true,
            reserved: 0,
        };
        output.extend_from_slice(&encoder.start_frame(&frame));
        if role == Role::Server && payload.len() > LARGE {
            memory.store_all([&output[..], payload]);
            output.clear();
            continue;
        }
        let start = output.len();
        output.extend_from_slice(payload);
        encoder.transform_frame_payload(&mut output[start..]);
        if i % per_flush == 0 {
            memory.store(&output);
            output.clear();
        }
    }
    if !output.is_empty() {
        memory.store(&output);
    }
    Tally::default()
}

//! fastwebsockets, with the collector of fragments that makes messages of its frames.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use fastwebsockets::{FragmentCollector, Frame, Payload, Role as Side, WebSocket};

use super::Contender;
use super::job::{Job, Material, Role, Tally, Task};
use super::memory::Memory;
use crate::wire::Kind;

pub struct Fastwebsockets;

impl Contender for Fastwebsockets {
    fn name(&self) -> &'static str {
        "fastwebsockets"
    }

    /// Every frame is a write of its own.
    fn can(&self, job: &Job) -> bool {
        !matches!(job.task, Task::Send { per_flush: 2.., .. })
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        match material.job.task {
            Task::Receive => ready(receive(material, memory)),
            Task::Echo => ready(echo(material, memory)),
            Task::Send { role, .. } => ready(send(role, material, memory)),
        }
    }
}

fn open<'m, 's>(side: Side, memory: &'m mut Memory<'s>) -> FragmentCollector<&'m mut Memory<'s>> {
    FragmentCollector::new(WebSocket::after_handshake(memory, side))
}

async fn receive(material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
    let mut socket = open(Side::Server, memory);
    let mut tally = Tally::default();
    while tally.messages < material.job.messages {
        tally.add(&socket.read_frame().await.ok()?.payload);
    }
    Some(tally)
}

async fn echo(material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
    let mut socket = open(Side::Server, memory);
    let mut tally = Tally::default();
    while tally.messages < material.job.messages {
        let frame = socket.read_frame().await.ok()?;
        tally.add(&frame.payload);
        socket.write_frame(frame).await.ok()?;
    }
    Some(tally)
}

async fn send(role: Role, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
    let side = match role {
        Role::Server => Side::Server,
        Role::Client => Side::Client,
    };
    let mut socket = open(side, memory);
    for payload in material.all() {
        let payload = Payload::Borrowed(payload);
        let frame = match material.job.content.kind() {
            Kind::Binary => Frame::binary(payload),
            Kind::Text => Frame::text(payload),
        };
        socket.write_frame(frame).await.ok()?;
    }
    Some(Tally::default())
}

/// Runs a future that never has to wait, because its transport is in memory.
fn ready<T>(future: impl Future<Output = Option<T>>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => None,
    }
}

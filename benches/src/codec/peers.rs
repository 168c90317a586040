//! The peers that work over asynchronous streams, in the loop that their documentation shows.

use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Waker};

use super::Contender;
use super::job::{Content, Job, Material, Tally, Task};
use super::memory::Memory;
use crate::peers::Peer;

impl Contender for Peer {
    fn name(&self) -> &'static str {
        Self::name(*self)
    }

    fn can(&self, job: &Job) -> bool {
        // These leave the validation of text to the caller.
        let validates = !matches!(self, Self::WebSocket | Self::Soketto);
        !matches!(job.task, Task::Send { .. }) && (validates || job.content == Content::Binary)
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        // Some of them look for timers.
        static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
        let build = || {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
        };
        let _guard = RUNTIME.get_or_init(|| build().expect("a runtime")).enter();
        let answers = material.job.task == Task::Echo;
        let mut tally = Tally::default();
        let polled = {
            let conversation = pin!(self.converse(memory, |payload| {
                tally.add(payload);
                answers
            }));
            conversation.poll(&mut Context::from_waker(Waker::noop()))
        };
        // How it ends is each one's own: there is no Close.
        polled.is_ready().then_some(tally)
    }
}

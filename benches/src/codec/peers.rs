//! The peers that work over asynchronous streams, in the loop that their documentation shows.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Wake, Waker};

use super::Contender;
use super::job::{Content, Job, Material, Tally, Task};
use super::memory::Memory;
use crate::peers::Peer;

impl Contender for Peer {
    fn name(&self) -> &'static str {
        match self {
            Self::Sockeye => "sockeye on tokio, plain loop",
            _ => Self::name(*self),
        }
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
        {
            let mut conversation = pin!(self.converse(memory, |payload| {
                tally.add(payload);
                answers
            }));
            let woken = Arc::new(Woken::default());
            let waker = Waker::from(Arc::clone(&woken));
            let mut cx = Context::from_waker(&waker);
            // How it ends is each one's own: there is no Close.
            while conversation.as_mut().poll(&mut cx).is_pending() {
                // Who only gives way to others has woken itself; nobody else would.
                if !woken.0.swap(false, Ordering::Relaxed) {
                    return None;
                }
            }
        }
        Some(tally)
    }
}

/// Whether a task has been woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

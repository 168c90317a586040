//! The floor: the copies from and to the transport alone, without a protocol.

use super::Contender;
use super::job::{Material, Tally, Task};
use super::memory::{Memory, READ};

pub struct Memcpy;

impl Contender for Memcpy {
    fn name(&self) -> &'static str {
        "memcpy"
    }

    fn is_floor(&self) -> bool {
        true
    }

    fn run(&self, material: &Material, memory: &mut Memory<'_>) -> Option<Tally> {
        let mut buffer = vec![0; READ + 4096];
        let buffer = &mut buffer[material.offset()..][..READ];
        match material.job.task {
            Task::Receive => while memory.fetch(buffer) > 0 {},
            Task::Echo => loop {
                match memory.fetch(buffer) {
                    0 => break,
                    n => memory.store(&buffer[..n]),
                }
            },
            Task::Send { per_flush, .. } => {
                let mut queue = Vec::new();
                for (i, payload) in (1..).zip(material.all()) {
                    queue.extend_from_slice(payload);
                    if i % per_flush == 0 {
                        memory.store(&queue);
                        queue.clear();
                    }
                }
            }
        }
        Some(Tally::default())
    }
}

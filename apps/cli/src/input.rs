//! What is to be sent: lines of a terminal, a pipe or a file.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::thread;

use async_channel::{Receiver, Sender};

use crate::failure::Failure;

/// Lines that are read ahead of being sent.
const AHEAD: usize = 64;

/// What was entered.
#[derive(Debug)]
pub(crate) enum Entered {
    /// A line, without its end.
    Line(Vec<u8>),
    /// There is no more.
    End,
    /// It cannot be read.
    Failed(Failure),
}

/// Where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Nothing is read.
    Nothing,
    /// Lines of standard input.
    Lines,
    /// All of standard input.
    Whole,
    /// Lines of a file.
    File(PathBuf),
}

/// What was entered, in order, numbered by lines.
pub(crate) struct Input {
    entered: Receiver<Entered>,
    unsent: Option<Vec<u8>>,
    number: usize,
}

pub(crate) fn channel() -> (Sender<Entered>, Input) {
    let (sender, entered) = async_channel::bounded(AHEAD);
    let input = Input {
        entered,
        unsent: None,
        number: 0,
    };
    (sender, input)
}

impl Input {
    /// Reads `source` on a thread of its own, which ends with the process: nothing
    /// can interrupt a read of standard input.
    pub(crate) fn start(source: Source) -> Result<Self, Failure> {
        let (sender, input) = channel();
        let read: Box<dyn FnOnce() + Send> = match source {
            Source::Nothing => {
                // There is room for it.
                let _ = sender.try_send(Entered::End);
                return Ok(input);
            }
            Source::Lines => Box::new(move || {
                read_lines(io::stdin().lock(), Path::new("standard input"), &sender);
            }),
            Source::Whole => Box::new(move || {
                let mut all = Vec::new();
                let _ = match io::stdin().lock().read_to_end(&mut all) {
                    Ok(_) => {
                        let _ = sender.send_blocking(Entered::Line(all));
                        sender.send_blocking(Entered::End)
                    }
                    Err(error) => {
                        let failure = Failure::read(Path::new("standard input"), error);
                        sender.send_blocking(Entered::Failed(failure))
                    }
                };
            }),
            Source::File(file) => {
                let opened = File::open(&file).map_err(|error| Failure::read(&file, error))?;
                Box::new(move || read_lines(BufReader::new(opened), &file, &sender))
            }
        };
        let thread = thread::Builder::new().name("input".into()).spawn(read);
        thread.map(|_| input).map_err(|error| Failure::System {
            what: "start a thread",
            error,
        })
    }

    /// The next of it, with the number of its line. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Entered {
        if let Some(unsent) = self.unsent.take() {
            return Entered::Line(unsent);
        }
        // If the thread is gone, it had nothing more to say.
        let entered = self.entered.recv().await.unwrap_or(Entered::End);
        self.number += 1;
        entered
    }

    /// The number of the line that `next` gave last.
    pub(crate) fn number(&self) -> usize {
        self.number
    }

    /// `next` gives this line again: it could not be sent on this connection.
    pub(crate) fn put_back(&mut self, line: Vec<u8>) {
        self.unsent = Some(line);
    }
}

fn read_lines(mut source: impl BufRead, name: &Path, sender: &Sender<Entered>) {
    loop {
        let mut line = Vec::new();
        let entered = match source.read_until(b'\n', &mut line) {
            Ok(0) => Entered::End,
            Ok(_) => {
                if line.last() == Some(&b'\n') {
                    line.pop();
                    if line.last() == Some(&b'\r') {
                        line.pop();
                    }
                }
                Entered::Line(line)
            }
            Err(error) => Entered::Failed(Failure::read(name, error)),
        };
        let is_last = !matches!(entered, Entered::Line(_));
        if sender.send_blocking(entered).is_err() || is_last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_on_any_system_or_with_the_input() {
        let (sender, mut input) = channel();
        read_lines(&b"a\r\n\nb\rc\nlast"[..], Path::new("test"), &sender);
        for expected in [&b"a"[..], b"", b"b\rc", b"last"] {
            match async_io::block_on(input.next()) {
                Entered::Line(line) => assert_eq!(line, expected),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(async_io::block_on(input.next()), Entered::End));
    }
}

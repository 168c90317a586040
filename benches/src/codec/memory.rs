//! The transport in memory that every contender reads from and writes to.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one read brings, as from a socket.
pub const READ: usize = 16 << 10;

/// What the peer's end of the transport holds of our output.
const WINDOW: usize = 64 << 10;

/// A transport: reads copy out of a prepared stream that repeats, writes copy into a window that
/// repeats too, or are kept.
pub struct Memory<'a> {
    stream: &'a [u8],
    at: usize,
    /// Bytes that are still to come.
    remaining: usize,
    /// Whether a read that brought something is followed by one that would wait.
    waits: bool,
    must_wait: bool,
    window: &'a mut Window,
    at_window: usize,
    pub written: usize,
    pub calls: Calls,
}

/// How often the transport was asked.
#[derive(Clone, Copy, Default)]
pub struct Calls {
    pub reads: u64,
    pub writes: u64,
}

/// Where writes go.
pub enum Window {
    /// Into a fixed place, as into a socket's buffer.
    Fixed(Box<[u8]>),
    /// Into a record, to be looked at.
    Record(Vec<u8>),
}

impl Window {
    pub fn fixed() -> Self {
        Self::Fixed(vec![0; WINDOW].into())
    }
}

impl<'a> Memory<'a> {
    /// A transport over which `remaining` bytes will come, out of `stream` repeated.
    pub fn new(stream: &'a [u8], remaining: usize, window: &'a mut Window) -> Self {
        Self {
            stream,
            at: 0,
            remaining,
            waits: false,
            must_wait: false,
            window,
            at_window: 0,
            written: 0,
            calls: Calls::default(),
        }
    }

    /// Lets every second read say that it would wait: for those who write when it does.
    pub fn wait_between_reads(&mut self) {
        self.waits = true;
    }

    /// One read, into at most [`READ`] bytes of `buffer`; 0 at the end.
    pub fn fetch(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        self.read_with(buffer.len(), |bytes| {
            buffer[filled..filled + bytes.len()].copy_from_slice(bytes);
            filled += bytes.len();
        });
        filled
    }

    /// One read of at most `room` bytes, which `copy` takes in one or more pieces.
    fn read_with(&mut self, room: usize, mut copy: impl FnMut(&[u8])) {
        self.calls.reads += 1;
        let mut rest = room.min(READ).min(self.remaining);
        self.remaining -= rest;
        while rest > 0 {
            let n = rest.min(self.stream.len() - self.at);
            copy(&self.stream[self.at..self.at + n]);
            rest -= n;
            self.at = (self.at + n) % self.stream.len();
        }
    }

    /// One write, of which everything is taken.
    pub fn store(&mut self, bytes: &[u8]) {
        self.calls.writes += 1;
        self.take(bytes);
    }

    /// One write of several slices.
    pub fn store_all<'s>(&mut self, slices: impl IntoIterator<Item = &'s [u8]>) {
        self.calls.writes += 1;
        slices.into_iter().for_each(|slice| self.take(slice));
    }

    fn take(&mut self, mut bytes: &[u8]) {
        self.written += bytes.len();
        match self.window {
            Window::Record(record) => record.extend_from_slice(bytes),
            Window::Fixed(window) => {
                while !bytes.is_empty() {
                    let n = bytes.len().min(window.len() - self.at_window);
                    let (now, later) = bytes.split_at(n);
                    window[self.at_window..self.at_window + n].copy_from_slice(now);
                    bytes = later;
                    self.at_window = (self.at_window + n) % window.len();
                }
            }
        }
    }
}

impl Read for Memory<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.must_wait {
            self.must_wait = false;
            self.calls.reads += 1;
            return Err(ErrorKind::WouldBlock.into());
        }
        self.must_wait = self.waits;
        Ok(self.fetch(buffer))
    }
}

impl Write for Memory<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.store(bytes);
        Ok(bytes.len())
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let before = self.written;
        self.store_all(slices.iter().map(|slice| &**slice));
        Ok(self.written - before)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory<'_> {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let room = buffer.remaining();
        self.get_mut()
            .read_with(room, |bytes| buffer.put_slice(bytes));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory<'_> {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write(self.get_mut(), bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Write::write_vectored(self.get_mut(), slices))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

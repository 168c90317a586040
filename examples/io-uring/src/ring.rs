//! Sockets on io_uring, with the unsafe code that it takes.
//!
//! What makes it sound: the kernel is given pointers into memory of this module only. A buffer
//! that is being sent stays in its slot until the kernel has said that it is done, and neither
//! those nor the buffers for input are ever freed before the process ends, should a ring be
//! dropped while the kernel still uses them.

#![expect(
    unsafe_code,
    reason = "submissions are pointers that the kernel uses later"
)]

use std::alloc::{Layout, alloc_zeroed, handle_alloc_error};
use std::collections::VecDeque;
use std::io;
use std::mem::ManuallyDrop;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Bytes of one read, as the adapters have it.
const READ: usize = 16 << 10;

/// Reads that may wait to be looked at; a power of two.
const READS: u16 = 1024;

/// Of the buffers for input.
const GROUP: u16 = 0;

/// A short send goes on by itself (`MSG_WAITALL`), and nobody is killed by it (`MSG_NOSIGNAL`).
const SEND_FLAGS: i32 = 0x100 | 0x4000;

/// What the kernel has done.
pub enum Done {
    /// There is a new connection in this place.
    Accepted(u32),
    /// This place has received: see [`Ring::input`], and then [`Ring::recycle`].
    Received(u32, Piece),
    /// No more will be received, unless [`Ring::receive`] is called again: it was cancelled, or
    /// there was no buffer.
    Paused(u32),
    /// The peer's bytes have ended.
    Ended(u32),
    /// The socket has failed.
    Failed(u32),
    /// What was sent has left.
    Sent(u32),
    /// Somebody has written to the other end of the bell.
    Rung,
}

/// Bytes that were received.
pub struct Piece {
    buffer: u16,
    len: usize,
}

/// What a completion is of.
#[derive(Clone, Copy)]
enum Kind {
    Accept,
    Receive,
    Send,
    Cancel,
    Bell,
}

struct Socket {
    stream: TcpStream,
    is_receiving: bool,
    /// The kernel reads from it while `is_sending`.
    output: ManuallyDrop<Vec<u8>>,
    is_sending: bool,
    is_closing: bool,
}

/// A ring, and everything that the kernel works on.
pub struct Ring {
    // The first, so that it is closed first.
    uring: IoUring,
    listener: TcpListener,
    bell: UnixStream,
    sockets: Vec<Option<Socket>>,
    vacant: Vec<u32>,
    input: Input,
    done: VecDeque<cqueue::Entry>,
}

impl Ring {
    /// Accepts from `listener`, and listens to `bell`.
    pub fn new(listener: TcpListener, bell: UnixStream) -> io::Result<Self> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_cqsize(16 << 10)
            .build(4096)?;
        let input = Input::new(&uring)?;
        let mut this = Self {
            uring,
            listener,
            bell,
            sockets: Vec::new(),
            vacant: Vec::new(),
            input,
            done: VecDeque::new(),
        };
        this.accept()?;
        this.listen_to_bell()?;
        Ok(this)
    }

    /// Hands over what is to be done, and waits until something was done or `timeout` is over.
    pub fn wait(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        let timeout = timeout.map(Timespec::from);
        let mut args = SubmitArgs::new();
        if let Some(timeout) = &timeout {
            args = args.timespec(timeout);
        }
        match self.uring.submitter().submit_with_args(1, &args) {
            // ETIME, EINTR, and EBUSY: there are completions to be taken first.
            Err(error) if matches!(error.raw_os_error(), Some(62 | 4 | 16)) => {}
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        self.done.extend(self.uring.completion());
        Ok(())
    }

    /// What was done next.
    pub fn next(&mut self) -> io::Result<Option<Done>> {
        while let Some(entry) = self.done.pop_front() {
            if let Some(done) = self.take(&entry)? {
                return Ok(Some(done));
            }
        }
        Ok(None)
    }

    fn take(&mut self, entry: &cqueue::Entry) -> io::Result<Option<Done>> {
        let (kind, place) = unpack(entry.user_data());
        let (result, has_more) = (entry.result(), cqueue::more(entry.flags()));
        match kind {
            Kind::Accept => {
                if !has_more {
                    self.accept()?;
                }
                if result < 0 {
                    return Ok(None);
                }
                // SAFETY: the kernel has made this descriptor for us, and nobody else knows it.
                let descriptor = unsafe { OwnedFd::from_raw_fd(result) };
                Ok(Some(Done::Accepted(self.add(descriptor.into()))))
            }
            Kind::Receive => Ok(self.received(place, entry)),
            Kind::Send => {
                let Some(socket) = self.socket(place) else {
                    return Ok(None);
                };
                socket.is_sending = false;
                let is_whole = usize::try_from(result) == Ok(socket.output.len());
                socket.output.clear();
                if socket.is_closing {
                    self.forget(place);
                    return Ok(None);
                }
                Ok(Some(if is_whole {
                    Done::Sent(place)
                } else {
                    Done::Failed(place)
                }))
            }
            Kind::Bell => {
                if let Some(buffer) = cqueue::buffer_select(entry.flags()) {
                    self.input.recycle(buffer);
                }
                if !has_more {
                    self.listen_to_bell()?;
                }
                Ok(Some(Done::Rung))
            }
            Kind::Cancel => Ok(None),
        }
    }

    fn received(&mut self, place: u32, entry: &cqueue::Entry) -> Option<Done> {
        let buffer = cqueue::buffer_select(entry.flags());
        let socket = self.sockets.get_mut(place as usize)?.as_mut()?;
        socket.is_receiving = cqueue::more(entry.flags());
        if socket.is_closing {
            if let Some(buffer) = buffer {
                self.input.recycle(buffer);
            }
            self.forget(place);
            return None;
        }
        let len = usize::try_from(entry.result()).unwrap_or(0);
        match (buffer, entry.result()) {
            (Some(buffer), 1..) => Some(Done::Received(place, Piece { buffer, len })),
            (Some(buffer), _) => {
                self.input.recycle(buffer);
                Some(Done::Ended(place))
            }
            (None, 0) => Some(Done::Ended(place)),
            // ENOBUFS and ECANCELED.
            (None, -105 | -125) => Some(Done::Paused(place)),
            (None, _) => Some(Done::Failed(place)),
        }
    }

    /// What was received, to be changed at will.
    pub fn input(&mut self, piece: &Piece) -> &mut [u8] {
        &mut self.input.buffer(piece.buffer)[..piece.len]
    }

    /// Lets the kernel have the buffer again.
    pub fn recycle(&mut self, piece: Piece) {
        self.input.recycle(piece.buffer);
    }

    /// A connection's socket, to look at.
    pub fn stream(&self, place: u32) -> Option<&TcpStream> {
        Some(&self.sockets.get(place as usize)?.as_ref()?.stream)
    }

    /// Receives until it is paused, ended or failed.
    pub fn receive(&mut self, place: u32) -> io::Result<()> {
        let Some(socket) = self.socket(place).filter(|socket| !socket.is_receiving) else {
            return Ok(());
        };
        socket.is_receiving = true;
        let descriptor = Fd(socket.stream.as_raw_fd());
        let receive = opcode::RecvMulti::new(descriptor, GROUP).build();
        self.push(receive, Kind::Receive, place)
    }

    /// Receives no more; what has come already still comes.
    pub fn pause(&mut self, place: u32) -> io::Result<()> {
        if self.socket(place).is_none_or(|socket| !socket.is_receiving) {
            return Ok(());
        }
        let cancel = opcode::AsyncCancel::new(pack(Kind::Receive, place)).build();
        self.push(cancel, Kind::Cancel, place)
    }

    /// Whether what was given to [`send`](Self::send) is still under way.
    pub fn is_sending(&mut self, place: u32) -> bool {
        self.socket(place).is_some_and(|socket| socket.is_sending)
    }

    /// Sends what `fill` puts into a buffer. Not while something else is under way.
    pub fn send(&mut self, place: u32, fill: impl FnOnce(&mut Vec<u8>)) -> io::Result<()> {
        let Some(socket) = self.socket(place).filter(|socket| !socket.is_sending) else {
            return Ok(());
        };
        fill(&mut socket.output);
        socket.is_sending = true;
        let descriptor = Fd(socket.stream.as_raw_fd());
        let (bytes, len) = (socket.output.as_ptr(), socket.output.len() as u32);
        let send = opcode::Send::new(descriptor, bytes, len)
            .flags(SEND_FLAGS)
            .build();
        self.push(send, Kind::Send, place)
    }

    /// Says that no more will be sent.
    pub fn shut_down(&mut self, place: u32) {
        if let Some(socket) = self.socket(place) {
            // A socket that cannot be shut down has no peer any more.
            let _ = socket.stream.shutdown(Shutdown::Write);
        }
    }

    /// Closes a connection; nothing more is heard of it, and its place is given to another once
    /// the kernel is done with it.
    pub fn close(&mut self, place: u32) -> io::Result<()> {
        let Some(socket) = self.socket(place) else {
            return Ok(());
        };
        socket.is_closing = true;
        // Ends whatever is under way.
        let _ = socket.stream.shutdown(Shutdown::Both);
        self.pause(place)?;
        self.forget(place);
        Ok(())
    }

    fn forget(&mut self, place: u32) {
        let Some(slot) = self.sockets.get_mut(place as usize) else {
            return;
        };
        let is_done = |socket: &mut Socket| !socket.is_receiving && !socket.is_sending;
        if let Some(mut socket) = slot.take_if(is_done) {
            // SAFETY: nothing is being sent from it, and the socket is dropped without a look.
            unsafe { ManuallyDrop::drop(&mut socket.output) };
            self.vacant.push(place);
        }
    }

    fn add(&mut self, stream: TcpStream) -> u32 {
        // Nagle's algorithm waits for more to come; what leaves here is a whole batch.
        let _ = stream.set_nodelay(true);
        let socket = Some(Socket {
            stream,
            is_receiving: false,
            output: ManuallyDrop::new(Vec::new()),
            is_sending: false,
            is_closing: false,
        });
        let place = self.vacant.pop().unwrap_or(self.sockets.len() as u32);
        match self.sockets.get_mut(place as usize) {
            Some(slot) => *slot = socket,
            None => self.sockets.push(socket),
        }
        place
    }

    fn socket(&mut self, place: u32) -> Option<&mut Socket> {
        let slot = self.sockets.get_mut(place as usize)?;
        slot.as_mut().filter(|socket| !socket.is_closing)
    }

    fn accept(&mut self) -> io::Result<()> {
        let descriptor = Fd(self.listener.as_raw_fd());
        self.push(
            opcode::AcceptMulti::new(descriptor).build(),
            Kind::Accept,
            0,
        )
    }

    fn listen_to_bell(&mut self) -> io::Result<()> {
        let descriptor = Fd(self.bell.as_raw_fd());
        self.push(
            opcode::RecvMulti::new(descriptor, GROUP).build(),
            Kind::Bell,
            0,
        )
    }

    fn push(&mut self, entry: squeue::Entry, kind: Kind, place: u32) -> io::Result<()> {
        let entry = entry.user_data(pack(kind, place));
        // SAFETY: all that an entry of this module points to is the buffer of a send, which stays
        // as it is until that is done.
        while unsafe { self.uring.submission().push(&entry) }.is_err() {
            self.uring.submit()?;
        }
        Ok(())
    }
}

/// The buffers that the kernel receives into, and the ring by which it gets them.
struct Input {
    /// A page-aligned ring of `READS` entries, for the rest of the process.
    ring: &'static mut [BufRingEntry],
    /// `READS` buffers of `READ` bytes, for the rest of the process: those that the kernel has are
    /// not looked at.
    bytes: *mut u8,
    tail: u16,
}

impl Input {
    fn new(uring: &IoUring) -> io::Result<Self> {
        const PAGE: usize = 4096;
        let entries = usize::from(READS);
        let allocate = |len: usize| {
            let layout = Layout::from_size_align(len, PAGE).map_err(io::Error::other)?;
            // SAFETY: its size is not zero.
            let memory = unsafe { alloc_zeroed(layout) };
            if memory.is_null() {
                handle_alloc_error(layout);
            }
            Ok::<_, io::Error>(memory)
        };
        let ring = allocate(entries * size_of::<BufRingEntry>())?.cast::<BufRingEntry>();
        let bytes = allocate(entries * READ)?;
        // SAFETY: it is a page of zeroes, which are entries, and is never freed.
        unsafe {
            uring
                .submitter()
                .register_buf_ring_with_flags(ring as u64, READS, GROUP, 0)?;
        }
        // SAFETY: as above; the kernel reads what is before the tail, and we write behind it.
        let ring = unsafe { std::slice::from_raw_parts_mut(ring, entries) };
        let mut this = Self {
            ring,
            bytes,
            tail: 0,
        };
        (0..READS).for_each(|buffer| this.recycle(buffer));
        Ok(this)
    }

    /// A buffer that the kernel has handed out.
    fn buffer(&mut self, buffer: u16) -> &mut [u8] {
        assert!(buffer < READS, "one of ours");
        // SAFETY: it lies in our memory; the kernel has given it up until it is recycled, for
        // which this loan has to end.
        unsafe {
            let start = self.bytes.add(usize::from(buffer) * READ);
            std::slice::from_raw_parts_mut(start, READ)
        }
    }

    fn recycle(&mut self, buffer: u16) {
        let address = self.bytes as u64 + (usize::from(buffer) * READ) as u64;
        let entry = &mut self.ring[usize::from(self.tail % READS)];
        entry.set_addr(address);
        entry.set_len(READ as u32);
        entry.set_bid(buffer);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the tail is a part of the first entry that has no other use, aligned to two
        // bytes; the kernel only reads it.
        unsafe {
            let tail = BufRingEntry::tail(self.ring.as_ptr()).cast_mut();
            AtomicU16::from_ptr(tail).store(self.tail, Ordering::Release);
        }
    }
}

const fn pack(kind: Kind, place: u32) -> u64 {
    (kind as u64) << 32 | place as u64
}

fn unpack(data: u64) -> (Kind, u32) {
    let kind = match data >> 32 {
        0 => Kind::Accept,
        1 => Kind::Receive,
        2 => Kind::Send,
        3 => Kind::Cancel,
        _ => Kind::Bell,
    };
    (kind, data as u32)
}

//! The load generator: one thread, raw frames, the same for every server.

use std::io::{self, ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::idle::clients::{self, Wish};
use crate::wire::{self, Kind};

/// What it does.
#[derive(Clone, Copy)]
pub struct Load {
    pub connections: usize,
    /// Bytes of each payload.
    pub len: usize,
    /// Messages that a connection has under way.
    pub depth: usize,
    pub time: Duration,
}

const WARM_UP: Duration = Duration::from_millis(200);

struct Client {
    socket: TcpStream,
    /// Bytes of frames that are still to be written.
    owed: usize,
    /// Where in the prepared frames the next byte is.
    at: usize,
    /// Bytes of the echo that is under way.
    partial: usize,
    sent: Instant,
}

/// Says `begin` once the server is warm, and at the end how many echoes came, in how many
/// nanoseconds, the median and the 99th of 100 round trips, and the CPU time it took itself.
pub fn run(port: u16, load: Load) -> io::Result<()> {
    let mut frames = Vec::new();
    let payload: Vec<u8> = (0..load.len).map(|n| n as u8).collect();
    for n in 0..load.depth.max(2) {
        let key = ((n as u32).wrapping_mul(0x9e37_79b9) | 1).to_ne_bytes();
        wire::encode(Kind::Binary, Some(key), &payload, &mut frames);
    }
    let frame = frames.len() / load.depth.max(2);
    // Without the key.
    let echo = frame - 4;
    let mut poll = Poll::new()?;
    let mut clients = (0..load.connections)
        .map(|number| {
            let stream = clients::open(clients::connect(port, number, None)?, Wish::Nothing)?;
            stream.set_nonblocking(true)?;
            let mut socket = TcpStream::from_std(stream);
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry()
                .register(&mut socket, Token(number), interest)?;
            Ok(Client {
                socket,
                owed: frame * load.depth,
                at: 0,
                partial: 0,
                sent: Instant::now(),
            })
        })
        .collect::<io::Result<Vec<_>>>()?;
    let (mut events, mut buffer) = (Events::with_capacity(1024), vec![0; 256 << 10]);
    let mut trips: Vec<u32> = Vec::new();
    let mut count = 0;
    for client in &mut clients {
        client.write(&frames)?;
    }
    let (mut began, mut cpu) = (Instant::now(), crate::measure::cpu_time());
    let mut is_warm = false;
    loop {
        poll.poll(&mut events, Some(WARM_UP))?;
        for event in &events {
            let client = &mut clients[event.token().0];
            let came = client.read(&mut buffer, echo, load.depth * echo)?;
            if came > 0 {
                count += came;
                if load.depth == 1 {
                    trips.push(client.sent.elapsed().as_nanos() as u32);
                    client.sent = Instant::now();
                }
                client.owed += came * frame;
            }
            client.write(&frames)?;
        }
        let passed = began.elapsed();
        if !is_warm && passed >= WARM_UP {
            println!("begin");
            is_warm = true;
            (began, cpu) = (Instant::now(), crate::measure::cpu_time());
            count = 0;
            trips.clear();
        } else if is_warm && passed >= load.time {
            let cpu = crate::measure::cpu_time() - cpu;
            trips.sort_unstable();
            let at = |part: usize| trips.get(trips.len() * part / 100).copied().unwrap_or(0);
            println!(
                "{count} {} {} {} {}",
                passed.as_nanos(),
                at(50),
                at(99),
                cpu.as_nanos()
            );
            return Ok(());
        }
    }
}

impl Client {
    /// Reads what there is; how many echoes are whole with it.
    fn read(&mut self, buffer: &mut [u8], echo: usize, most: usize) -> io::Result<usize> {
        let before = self.partial;
        loop {
            match self.socket.read(buffer) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    self.partial += n;
                    if n < buffer.len() || self.partial - before >= most {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        let whole = self.partial / echo;
        self.partial %= echo;
        Ok(whole)
    }

    /// Writes what it owes, as far as the socket takes it.
    fn write(&mut self, frames: &[u8]) -> io::Result<()> {
        while self.owed > 0 {
            let rest = &frames[self.at..];
            match self.socket.write(&rest[..rest.len().min(self.owed)]) {
                Ok(n) => {
                    self.owed -= n;
                    self.at = (self.at + n) % frames.len();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

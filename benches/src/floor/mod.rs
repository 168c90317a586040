//! Servers that do the least work which still holds connections and echoes messages: lower
//! bounds, not products. They know the upgrade and whole data frames, and nothing else.

mod asynchronous;
mod mio;
mod secure;

use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;

use sockeye_core::handshake::{Accept, HttpLimits, Request};

use crate::wire;
pub use asynchronous::{listen_on_tokio, tokio_runtime};
use secure::{Config, Layer};

/// What a floor stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Mio,
    Tokio,
    AsyncStd,
    Smol,
}

impl Ground {
    pub const ALL: [Self; 4] = [Self::Mio, Self::Tokio, Self::AsyncStd, Self::Smol];

    /// As the programs' `--adapter` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mio => "mio",
            Self::Tokio => "tokio",
            Self::AsyncStd => "async-std",
            Self::Smol => "smol",
        }
    }
}

/// What the program of a floor was told.
pub struct Options {
    pub ground: Ground,
    /// The certificate and the key, in PEM.
    pub tls: Option<(PathBuf, PathBuf)>,
    /// As many as there are processors if not given; on mio it is one.
    pub threads: Option<usize>,
}

/// Serves until the process is ended.
pub fn run(options: &Options) -> io::Result<()> {
    let tls = options.tls.as_ref();
    let tls = tls.map(|(certificate, key)| secure::config(certificate, key));
    match options.ground {
        Ground::Mio => mio::run(tls),
        Ground::Tokio => asynchronous::on_tokio(tls, options.threads),
        Ground::AsyncStd => asynchronous::on_async_std(tls),
        Ground::Smol => asynchronous::on_smol(tls, options.threads),
    }
}

/// The line that the programs print, too.
pub fn announce(address: SocketAddr, tls: Option<&Config>) {
    let scheme = if tls.is_some() { "wss" } else { "ws" };
    println!("listening on {scheme}://{address}");
}

/// One read, as the adapters make them.
const READ: usize = 16 << 10;

/// The other side of a connection, without its socket.
struct Conversation {
    tls: Layer,
    echo: Echo,
    /// What the socket did not take.
    output: Vec<u8>,
}

impl Conversation {
    fn new(tls: Option<&Config>) -> Self {
        Self {
            tls: Layer::new(tls),
            echo: Echo::default(),
            output: Vec::new(),
        }
    }

    /// Reads and answers until there is no more to read. Whether it is over.
    fn turn(&mut self, socket: &mut (impl Read + Write), buffers: &mut Buffers) -> bool {
        match self.converse(socket, buffers) {
            Err(error) => error.kind() != ErrorKind::WouldBlock,
            Ok(()) => true,
        }
    }

    fn converse(
        &mut self,
        socket: &mut (impl Read + Write),
        buffers: &mut Buffers,
    ) -> io::Result<()> {
        let Buffers { input, output } = buffers;
        loop {
            while !self.output.is_empty() {
                let n = self.tls.write(socket, &self.output)?;
                self.output.drain(..n);
            }
            let n = self.tls.read(socket, input)?;
            if n == 0 {
                return Ok(());
            }
            output.clear();
            self.echo.handle(&mut input[..n], output)?;
            let mut rest = &output[..];
            while !rest.is_empty() {
                match self.tls.write(socket, rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(error) => {
                        self.output = rest.to_vec();
                        return Err(error);
                    }
                }
            }
            self.output = Vec::new();
        }
    }
}

/// Of a thread.
struct Buffers {
    input: Vec<u8>,
    output: Vec<u8>,
}

impl Buffers {
    fn new() -> Self {
        Self {
            input: vec![0; READ],
            output: Vec::new(),
        }
    }
}

/// What is read and what is to be written.
#[derive(Default)]
struct Echo {
    is_open: bool,
    /// What is not whole yet.
    input: Vec<u8>,
}

impl Echo {
    /// Takes one read over, and appends the answers to `output`.
    ///
    /// An error is a peer that is not served any longer.
    fn handle(&mut self, bytes: &mut [u8], output: &mut Vec<u8>) -> io::Result<()> {
        if self.input.is_empty() {
            let used = self.answer(bytes, output)?;
            self.input.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut input = std::mem::take(&mut self.input);
        input.extend_from_slice(bytes);
        let used = self.answer(&input, output)?;
        if used < input.len() {
            input.drain(..used);
            self.input = input;
        }
        Ok(())
    }

    /// How many bytes were answered.
    fn answer(&mut self, bytes: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        let mut used = 0;
        if !self.is_open {
            let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
                return Ok(0);
            };
            used = end + 4;
            upgrade(&bytes[..used], output)?;
            self.is_open = true;
        }
        while let Some(frame) = wire::Frame::parse(&bytes[used..])? {
            wire::head(frame.first, None, frame.payload.len(), output);
            unmasked(frame.payload, frame.key, output);
            used += frame.len;
        }
        Ok(used)
    }
}

/// Answers a request as our own servers do.
pub fn upgrade(head: &[u8], output: &mut Vec<u8>) -> io::Result<()> {
    let request = Request::parse(head, &HttpLimits::default()).map_err(io::Error::other)?;
    let upgrade = request.upgrade().map_err(io::Error::other)?;
    let response = upgrade.response(&Accept::new()).map_err(io::Error::other)?;
    response.encode(output);
    Ok(())
}

/// Copies and unmasks in one pass.
fn unmasked(payload: &[u8], key: [u8; 4], output: &mut Vec<u8>) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let start = output.len();
    output.resize(start + payload.len(), 0);
    let (words, rest) = payload.as_chunks::<8>();
    let (to_words, to_rest) = output[start..].as_chunks_mut::<8>();
    for (to, word) in to_words.iter_mut().zip(words) {
        *to = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for ((to, byte), key) in to_rest.iter_mut().zip(rest).zip(wide.to_ne_bytes()) {
        *to = byte ^ key;
    }
}

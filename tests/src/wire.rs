//! A client that knows no more of WebSocket than the bytes of RFC 6455.

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Opcodes (RFC 6455 §5.2).
pub const CONTINUATION: u8 = 0x0;
/// Text.
pub const TEXT: u8 = 0x1;
/// Binary.
pub const BINARY: u8 = 0x2;
/// Close.
pub const CLOSE: u8 = 0x8;
/// The bit of a compressed message (RFC 7692 §6).
pub const RSV1: u8 = 0x40;
/// Ping.
pub const PING: u8 = 0x9;
/// Pong.
pub const PONG: u8 = 0xa;
/// The bit of the last fragment.
pub const FIN: u8 = 0x80;

/// After this long a test that waits for its peer has failed.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// An upgrade that is as it should be.
pub const UPGRADE: &str = "GET /path HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// A received frame.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    /// The first byte: FIN and opcode.
    pub first: u8,
    /// The payload.
    pub payload: Vec<u8>,
}

/// A connection whose client side is written by hand.
pub struct Raw(pub TcpStream);

impl Raw {
    /// Connects, and says nothing.
    pub fn silent(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_nodelay(true).expect("a socket");
        Self(stream)
    }

    /// Connects and upgrades.
    pub fn open(address: SocketAddr) -> Self {
        let mut raw = Self::silent(address);
        raw.write(UPGRADE.as_bytes());
        let head = raw.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Connects and upgrades to compression with these parameters, and returns those that
    /// the server answered.
    pub fn open_deflated(address: SocketAddr, offered: &str) -> (Self, String) {
        Self::deflated(address, UPGRADE, offered)
    }

    /// The same on this path, as `localhost`, and for this subprotocol.
    pub fn open_path_deflated(address: SocketAddr, path: &str, protocol: &str) -> Self {
        let host = format!("Host: localhost\r\nSec-WebSocket-Protocol: {protocol}");
        let request = UPGRADE.replace("/path", path).replace("Host: test", &host);
        Self::deflated(address, &request, "").0
    }

    fn deflated(address: SocketAddr, request: &str, offered: &str) -> (Self, String) {
        let mut raw = Self::silent(address);
        let extension =
            format!("\r\nSec-WebSocket-Extensions: permessage-deflate{offered}\r\n\r\n");
        raw.write(request.replace("\r\n\r\n", &extension).as_bytes());
        let head = raw.read_head();
        let answered = head
            .lines()
            .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: permessage-deflate"));
        let answered = answered.expect("the server compresses").to_owned();
        (raw, answered)
    }

    /// Connects and upgrades on this path, as `localhost`.
    pub fn open_path(address: SocketAddr, path: &str) -> Self {
        let mut raw = Self::silent(address);
        let request = UPGRADE.replace("/path", path);
        raw.write(request.replace("Host: test", "Host: localhost").as_bytes());
        let head = raw.read_head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        raw
    }

    /// Writes bytes as they are.
    pub fn write(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("the server reads");
    }

    /// Sends a masked frame; `first` is FIN and opcode.
    pub fn send(&mut self, first: u8, payload: &[u8]) {
        self.write(&frame(first, payload));
    }

    /// Half-closes.
    pub fn finish(&mut self) {
        self.0.shutdown(Shutdown::Write).expect("open");
    }

    /// The head of the server's response.
    pub fn read_head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).expect("a whole head");
            head.push(byte[0]);
        }
        String::from_utf8(head).expect("text")
    }

    /// The next frame, which carries no mask.
    pub fn read(&mut self) -> Frame {
        self.try_read().expect("a frame")
    }

    /// The next frame, or how reading failed.
    ///
    /// # Errors
    ///
    /// Of the socket.
    pub fn try_read(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head)?;
        assert!(head[1] < 0x80, "a server does not mask");
        let mut length = [0; 8];
        let length = match head[1] {
            126 => {
                self.0.read_exact(&mut length[6..])?;
                u64::from_be_bytes(length)
            }
            127 => {
                self.0.read_exact(&mut length)?;
                u64::from_be_bytes(length)
            }
            short => short.into(),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a test's message")];
        self.0.read_exact(&mut payload)?;
        Ok(Frame {
            first: head[0],
            payload,
        })
    }

    /// Reads a Close frame with this code.
    pub fn read_close(&mut self, code: u16) {
        let close = self.read();
        assert_eq!(close.first, FIN | CLOSE, "{close:?}");
        assert_eq!(close.payload.get(..2), Some(&code.to_be_bytes()[..]));
    }

    /// Expects the end of the server's bytes, by an end or by a reset.
    pub fn read_end(&mut self) {
        match self.0.read(&mut [0]) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("{other:?} instead of the end"),
        }
    }

    /// Sends a Close with this code.
    pub fn send_close(&mut self, code: u16) {
        self.send(FIN | CLOSE, &code.to_be_bytes());
    }

    /// Answers the Close that was read, and waits for the end.
    pub fn close(mut self, code: u16) {
        self.send_close(code);
        self.read_end();
    }
}

/// A client's frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = vec![first];
    match payload.len() {
        short @ 0..=125 => frame.push(0x80 | short as u8),
        medium @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((medium as u16).to_be_bytes());
        }
        long => {
            frame.push(0x80 | 127);
            frame.extend((long as u64).to_be_bytes());
        }
    }
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(b, k)| b ^ k));
    frame
}

//! How a server wants to be spoken to.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::load::frame;
use crate::wire::{self, Kind};

/// What the members say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Objects in JSON: ours, and that of the server on `ws`.
    Chat,
    /// Events of Socket.IO 4 over Engine.IO 4.
    SocketIo,
}

impl Dialect {
    pub const ALL: [Self; 2] = [Self::Chat, Self::SocketIo];

    pub fn name(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::SocketIo => "socketio",
        }
    }

    /// The request that opens a connection.
    fn request(self) -> String {
        let (path, more) = match self {
            Self::Chat => ("/talking", "Sec-WebSocket-Protocol: chat.v1.json\r\n"),
            Self::SocketIo => ("/socket.io/?EIO=4&transport=websocket", ""),
        };
        format!(
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n{more}\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
    }

    /// Makes the upgrade, logs in and joins the room, one step after the other.
    pub fn enter(self, stream: &mut TcpStream, name: &str) -> io::Result<()> {
        stream.write_all(self.request().as_bytes())?;
        let mut head = Vec::new();
        // What follows the head is left where it is.
        while !head.ends_with(b"\r\n\r\n") {
            head.push(one(stream)?);
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            return Err(io::Error::other("the server refused"));
        }
        if self == Self::SocketIo {
            // Engine.IO is open; so is the namespace then.
            hear(stream, "0{")?;
            say(stream, "40")?;
            hear(stream, "40{")?;
        }
        say(
            stream,
            &self.event("login", &format!("\"nickname\":\"{name}\"")),
        )?;
        hear(stream, "hello")?;
        say(stream, &self.event("join", "\"room\":\"hall\""))?;
        hear(stream, "\"ok\"")
    }

    /// The message to the room.
    pub fn message(self, text: &str) -> String {
        self.event("msg", &format!("\"room\":\"hall\",\"text\":\"{text}\""))
    }

    fn event(self, kind: &str, members: &str) -> String {
        match self {
            Self::Chat => format!("{{\"type\":\"{kind}\",{members}}}"),
            Self::SocketIo => format!("42[\"{kind}\",{{{members}}}]"),
        }
    }
}

fn say(stream: &mut TcpStream, text: &str) -> io::Result<()> {
    let mut out = Vec::new();
    wire::encode(Kind::Text, Some([1, 2, 3, 4]), text.as_bytes(), &mut out);
    stream.write_all(&out)
}

fn one(stream: &mut TcpStream) -> io::Result<u8> {
    let mut byte = [0];
    stream.read_exact(&mut byte)?;
    Ok(byte[0])
}

/// Reads frames until one has this in it. What comes behind it is left where it is.
fn hear(stream: &mut TcpStream, needle: &str) -> io::Result<()> {
    loop {
        let mut bytes = Vec::new();
        while frame(&bytes).is_none() {
            bytes.push(one(stream)?);
        }
        let text = String::from_utf8_lossy(&bytes);
        if text.contains(needle) {
            return Ok(());
        }
        if bytes[0] == 0x88 || text.contains("\"err\"") {
            return Err(io::Error::other(text.into_owned()));
        }
    }
}

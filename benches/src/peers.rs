//! Other crates' servers, each used as its documentation says, after an upgrade made elsewhere:
//! receive, and send back.

use std::io;

use fastwebsockets::{FragmentCollector, OpCode, Role};
use futures_util::{SinkExt, StreamExt};
use sockeye_core::handshake::Accept;
use sockeye_core::{Config, Connection, SharedConfig};
use sockeye_tokio::{Alarm, Clock, MaybeTls, Stream, TokioClock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::floor;

/// A crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    TokioTungstenite,
    Fastwebsockets,
    TokioWebsockets,
    Sockudo,
    Yawc,
    WebSocket,
    Soketto,
    /// Ours, in the same plain loop. As a server it makes its own upgrade.
    Sockeye,
}

/// Larger than all that is sent here.
const LIMIT: usize = 64 << 20;

impl Peer {
    pub const ALL: [Self; 8] = [
        Self::TokioTungstenite,
        Self::Fastwebsockets,
        Self::TokioWebsockets,
        Self::Sockudo,
        Self::Yawc,
        Self::WebSocket,
        Self::Soketto,
        Self::Sockeye,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::TokioTungstenite => "tokio-tungstenite",
            Self::Fastwebsockets => "fastwebsockets",
            Self::TokioWebsockets => "tokio-websockets",
            Self::Sockudo => "sockudo-ws",
            Self::Yawc => "yawc",
            Self::WebSocket => "web-socket",
            Self::Soketto => "soketto",
            Self::Sockeye => "sockeye-loop",
        }
    }

    /// Receives until the end, and hands each payload to `see`; if that says so, sends it back.
    pub async fn converse<S>(self, stream: S, see: impl FnMut(&[u8]) -> bool) -> io::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        match self {
            Self::TokioTungstenite => tokio_tungstenite(stream, see).await,
            Self::Fastwebsockets => fastwebsockets(stream, see).await,
            Self::TokioWebsockets => tokio_websockets(stream, see).await,
            Self::Sockudo => sockudo(stream, see).await,
            Self::Yawc => yawc(stream, see).await,
            Self::WebSocket => web_socket(stream, see).await,
            Self::Soketto => soketto(stream, see).await,
            Self::Sockeye => sockeye(stream, see).await,
        }
    }
}

async fn tokio_tungstenite<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use tokio_tungstenite::WebSocketStream;
    use tungstenite::Message;
    use tungstenite::protocol::{Role, WebSocketConfig};
    // Its default of 128 KiB is zeroed before each read.
    let config = WebSocketConfig::default().read_buffer_size(16 << 10);
    let mut ws = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    while let Some(message) = ws.next().await {
        let message = message.map_err(io::Error::other)?;
        let answers = match &message {
            Message::Binary(payload) => see(payload),
            Message::Text(text) => see(text.as_bytes()),
            _ => false,
        };
        if answers {
            ws.send(message).await.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

async fn fastwebsockets<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    let mut ws = fastwebsockets::WebSocket::after_handshake(stream, Role::Server);
    ws.set_max_message_size(LIMIT);
    let mut ws = FragmentCollector::new(ws);
    loop {
        let frame = ws.read_frame().await.map_err(io::Error::other)?;
        let is_data = matches!(frame.opcode, OpCode::Text | OpCode::Binary);
        if is_data && see(&frame.payload) {
            ws.write_frame(frame).await.map_err(io::Error::other)?;
        }
    }
}

async fn tokio_websockets<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use tokio_websockets::{Limits, ServerBuilder};
    let limits = Limits::default().max_payload_len(Some(LIMIT));
    let mut ws = ServerBuilder::new().limits(limits).serve(stream);
    while let Some(message) = ws.next().await {
        let message = message.map_err(io::Error::other)?;
        let is_data = message.is_text() || message.is_binary();
        if is_data && see(message.as_payload()) {
            ws.send(message).await.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

async fn sockudo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use sockudo_ws::{Config, Message, WebSocketStream};
    let config = Config::builder()
        .max_message_size(LIMIT)
        .max_frame_size(LIMIT)
        .build();
    let mut ws = WebSocketStream::server(stream, config);
    while let Some(message) = ws.next().await {
        let message = message.map_err(io::Error::other)?;
        let answers = match &message {
            Message::Binary(payload) | Message::Text(payload) => see(payload),
            _ => false,
        };
        if answers {
            ws.send(message).await.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

async fn yawc<S: AsyncRead + AsyncWrite + Unpin + Send>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use yawc::{OpCode, Options, Role, WebSocket};
    let options = Options::default().with_utf8().with_max_payload_read(LIMIT);
    let mut ws = WebSocket::from_stream(stream, Role::Server, options).map_err(io::Error::other)?;
    loop {
        let frame = ws.next_frame().await.map_err(io::Error::other)?;
        let is_data = matches!(frame.opcode(), OpCode::Text | OpCode::Binary);
        if is_data && see(frame.payload()) {
            ws.send(frame).await.map_err(io::Error::other)?;
        }
    }
}

async fn web_socket<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use web_socket::{DataType, Event, MessageType, WebSocket};
    // It makes a read for each part of a frame.
    let mut ws = WebSocket::server(tokio::io::BufReader::with_capacity(16 << 10, stream));
    loop {
        match ws.recv().await? {
            Event::Data { ty, data } => {
                let DataType::Complete(ty) = ty else {
                    return Err(io::ErrorKind::Unsupported.into());
                };
                if see(&data) {
                    match ty {
                        MessageType::Binary => ws.send(&data[..]).await?,
                        MessageType::Text => {
                            let text = std::str::from_utf8(&data).map_err(io::Error::other)?;
                            ws.send(text).await?;
                        }
                    }
                }
            }
            Event::Ping(data) => ws.send_pong(data).await?,
            Event::Pong(_) => {}
            Event::Error(_) | Event::Close { .. } => return Ok(()),
        }
    }
}

async fn soketto<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    use soketto::Data;
    use soketto::connection::{Builder, Mode};
    let (mut sender, mut receiver) = Builder::new(stream.compat(), Mode::Server).finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        let kind = receiver.receive_data(&mut message).await;
        let kind = kind.map_err(io::Error::other)?;
        if !see(&message) {
            continue;
        }
        match kind {
            Data::Binary(_) => sender.send_binary_mut(&mut message).await,
            Data::Text(_) => {
                let text = std::str::from_utf8(&message).map_err(io::Error::other)?;
                sender.send_text(text).await
            }
        }
        .map_err(io::Error::other)?;
        sender.flush().await.map_err(io::Error::other)?;
    }
}

async fn sockeye<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    let connection = Connection::server(&sockeye_config()?, TokioClock::now());
    let stream = MaybeTls::plain(Stream::new(stream));
    let ws = sockeye_tokio::WebSocket::new(connection, Vec::new(), stream, Alarm::default());
    sockeye_loop(ws, see).await
}

async fn sockeye_loop<S: AsyncRead + AsyncWrite + Unpin>(
    mut ws: sockeye_tokio::WebSocket<S>,
    mut see: impl FnMut(&[u8]) -> bool,
) -> io::Result<()> {
    while let Some(message) = ws.recv().await {
        if see(message.as_bytes()) {
            ws.send(message).await.map_err(io::Error::other)?;
        }
    }
    Ok(())
}

fn sockeye_config() -> io::Result<SharedConfig> {
    let mut config = Config::default();
    config.max_message = LIMIT;
    config.share().map_err(io::Error::other)
}

/// Serves the echo of one of them on tokio, until the process is ended.
pub fn serve(peer: Peer, threads: Option<usize>) -> io::Result<()> {
    floor::tokio_runtime(threads)?.block_on(async {
        let listener = floor::listen_on_tokio()?;
        floor::announce(listener.local_addr()?, None);
        loop {
            let (mut stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                if peer == Peer::Sockeye {
                    return serve_sockeye(stream).await;
                }
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    if stream.read_buf(&mut head).await? == 0 {
                        return Ok(());
                    }
                }
                let mut answer = Vec::new();
                floor::upgrade(&head, &mut answer)?;
                stream.write_all(&answer).await?;
                drop((head, answer));
                peer.converse(stream, |_| true).await
            });
        }
    })
}

/// Ours makes its own upgrade.
async fn serve_sockeye(stream: tokio::net::TcpStream) -> io::Result<()> {
    let accepted = sockeye_tokio::accept(stream, &sockeye_config()?, |_| Ok(Accept::new())).await;
    sockeye_loop(accepted.map_err(io::Error::other)?, |_| true).await
}

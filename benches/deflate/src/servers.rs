//! Echo servers on one thread of tokio, each a plain loop as its documentation shows it.

use std::io;

use futures_util::{SinkExt, StreamExt};
use sockeye_core::handshake::{Accept, HttpLimits, Request};
use sockeye_core::{Config, Deflate};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::Server;

pub fn serve(server: Server, takeover: bool) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(async move {
                match server {
                    Server::Sockeye => sockeye(stream, takeover, 12).await,
                    Server::SockeyeWide => sockeye(stream, takeover, 15).await,
                    Server::Sockudo => sockudo(stream, takeover).await,
                    Server::Yawc => yawc(stream, takeover).await,
                    Server::Ws | Server::Soketto => Err(io::ErrorKind::Unsupported.into()),
                }
            });
        }
    })
}

fn settings(takeover: bool, bits: u8) -> Config {
    let mut deflate = Deflate::default();
    deflate.min_size = 1;
    for window in [&mut deflate.send, &mut deflate.receive] {
        window.bits = bits;
        window.takeover = takeover;
    }
    let mut config = Config::default();
    config.deflate = Some(deflate);
    config
}

async fn sockeye(stream: TcpStream, takeover: bool, bits: u8) -> io::Result<()> {
    let config = settings(takeover, bits).share().map_err(io::Error::other)?;
    let accepted = sockeye_tokio::accept(stream, &config, |_| Ok(Accept::new())).await;
    let mut ws = accepted.map_err(io::Error::other)?;
    while let Some(message) = ws.recv().await {
        ws.send(message).await.map_err(io::Error::other)?;
    }
    Ok(())
}

/// The upgrade for those whose own is for another HTTP stack: what was agreed on.
async fn upgrade(stream: &mut TcpStream, takeover: bool) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let request = Request::parse(&head, &HttpLimits::default()).map_err(io::Error::other)?;
    let upgrade = request.upgrade().map_err(io::Error::other)?;
    let accepted = upgrade
        .accept(&Accept::new(), &settings(takeover, 15))
        .map_err(io::Error::other)?;
    let agreed = accepted.response.value("Sec-WebSocket-Extensions");
    let agreed = String::from_utf8_lossy(agreed.unwrap_or_default()).into_owned();
    let mut answer = Vec::new();
    accepted.response.encode(&mut answer);
    stream.write_all(&answer).await?;
    Ok(agreed)
}

async fn sockudo(mut stream: TcpStream, takeover: bool) -> io::Result<()> {
    use sockudo_ws::CompressedWebSocketStream;
    use sockudo_ws::deflate::DeflateConfig;
    upgrade(&mut stream, takeover).await?;
    let deflate = DeflateConfig {
        server_no_context_takeover: !takeover,
        client_no_context_takeover: !takeover,
        compression_level: 1,
        compression_threshold: 0,
        ..DeflateConfig::default()
    };
    let config = sockudo_ws::Config::default();
    let mut ws = CompressedWebSocketStream::server(stream, config, deflate);
    while let Some(message) = ws.next().await {
        let message = message.map_err(io::Error::other)?;
        ws.send(message).await.map_err(io::Error::other)?;
    }
    Ok(())
}

async fn yawc(mut stream: TcpStream, takeover: bool) -> io::Result<()> {
    use yawc::{CompressionLevel, OpCode, Options, Role, WebSocket};
    let agreed = upgrade(&mut stream, takeover).await?;
    let options = Options::default()
        .with_utf8()
        .with_compression_level(CompressionLevel::new(1));
    let ws = WebSocket::from_stream_with_extensions(stream, Role::Server, Some(&agreed), options);
    let mut ws = ws.map_err(io::Error::other)?;
    loop {
        let frame = ws.next_frame().await.map_err(io::Error::other)?;
        if matches!(frame.opcode(), OpCode::Text | OpCode::Binary) {
            ws.send(frame).await.map_err(io::Error::other)?;
        }
    }
}

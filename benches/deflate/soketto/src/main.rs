//! An echo server on soketto that compresses. It begins anew with each message, whatever was asked for.
#![forbid(unsafe_code)]

use std::io;

use soketto::Data;
use soketto::connection::Mode;
use soketto::extension::deflate::Deflate;
use soketto::handshake::server::{Response, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::compat::TokioAsyncReadCompatExt;

fn main() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(echo(stream));
        }
    })
}

async fn echo(stream: TcpStream) -> io::Result<()> {
    let mut server = Server::new(stream.compat());
    server.add_extension(Box::new(Deflate::new(Mode::Server)));
    let request = server.receive_request().await.map_err(io::Error::other)?;
    let key = request.key();
    let accept = Response::Accept {
        key,
        protocol: None,
    };
    server
        .send_response(&accept)
        .await
        .map_err(io::Error::other)?;
    let (mut sender, mut receiver) = server.into_builder().finish();
    let mut message = Vec::new();
    loop {
        message.clear();
        let kind = receiver.receive_data(&mut message).await;
        match kind.map_err(io::Error::other)? {
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

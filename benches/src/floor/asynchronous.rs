//! The floors on the asynchronous runtimes: one task for each connection, one read buffer for
//! each thread.

use std::cell::RefCell;
use std::future::Future;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_executor::Executor;
use async_io::Async;
use futures_io::{AsyncRead as _, AsyncWrite as _};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::secure::Config;
use super::{Buffers, Conversation, announce};

const LOCAL: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    0,
));

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::new(Buffers::new());
}

/// A stream of a runtime.
trait Stream: Unpin {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;
    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>>;
}

impl Stream for tokio::net::TcpStream {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(Pin::new(self).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write(cx, bytes)
    }
}

/// Of async-std, or of smol below its `TcpStream`, which adds a shared pointer.
struct Futures<S>(S);

impl Stream for Futures<async_std::net::TcpStream> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
}

impl Stream for Futures<Async<std::net::TcpStream>> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }
}

/// A stream that is polled, as a socket that does not block.
struct Polled<'a, 'c, S>(&'a mut S, &'a mut Context<'c>);

impl<S: Stream> Read for Polled<'_, '_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        or_blocked(self.0.poll_read(self.1, buffer))
    }
}

impl<S: Stream> Write for Polled<'_, '_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        or_blocked(self.0.poll_write(self.1, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn or_blocked(polled: Poll<io::Result<usize>>) -> io::Result<usize> {
    match polled {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

/// The task of one connection.
struct Connection<S>(S, Conversation);

impl<S: Stream> Connection<S> {
    fn new(stream: S, tls: Option<&Config>) -> Self {
        Self(stream, Conversation::new(tls))
    }
}

impl<S: Stream> Future for Connection<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self(stream, conversation) = self.get_mut();
        let mut socket = Polled(stream, cx);
        match BUFFERS.with_borrow_mut(|buffers| conversation.turn(&mut socket, buffers)) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

/// As the programs have it.
pub fn tokio_runtime(threads: Option<usize>) -> io::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(threads) = threads {
        builder.worker_threads(threads);
    }
    builder.enable_all().build()
}

pub fn listen_on_tokio() -> io::Result<tokio::net::TcpListener> {
    let socket = tokio::net::TcpSocket::new_v4()?;
    socket.bind(LOCAL)?;
    socket.listen(4096)
}

pub fn on_tokio(tls: Option<Config>, threads: Option<usize>) -> io::Result<()> {
    tokio_runtime(threads)?.block_on(async {
        let listener = listen_on_tokio()?;
        announce(listener.local_addr()?, tls.as_ref());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            tokio::spawn(Connection::new(stream, tls.as_ref()));
        }
    })
}

pub fn on_async_std(tls: Option<Config>) -> io::Result<()> {
    async_std::task::block_on(async {
        let listener = Async::<std::net::TcpListener>::bind(LOCAL)?;
        rustix::net::listen(listener.get_ref(), 4096)?;
        let listener = async_std::net::TcpListener::from(listener.into_inner()?);
        announce(listener.local_addr()?, tls.as_ref());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            async_std::task::spawn(Connection::new(Futures(stream), tls.as_ref()));
        }
    })
}

pub fn on_smol(tls: Option<Config>, threads: Option<usize>) -> io::Result<()> {
    let executor = Arc::new(Executor::new());
    let threads =
        threads.map_or_else(|| std::thread::available_parallelism().map(usize::from), Ok)?;
    // This one is one of them.
    for _ in 1..threads {
        let executor = Arc::clone(&executor);
        let run = move || async_io::block_on(executor.run(std::future::pending::<()>()));
        std::thread::Builder::new().spawn(run)?;
    }
    async_io::block_on(executor.run(async {
        let listener = Async::<std::net::TcpListener>::bind(LOCAL)?;
        rustix::net::listen(listener.get_ref(), 4096)?;
        announce(listener.get_ref().local_addr()?, tls.as_ref());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.get_ref().set_nodelay(true)?;
            let connection = Connection::new(Futures(stream), tls.as_ref());
            executor.spawn(connection).detach();
        }
    }))
}

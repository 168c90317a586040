//! smol.

use core::future::{Future, pending};
use std::sync::OnceLock;
use std::thread;

use async_executor::Executor;
use async_io::Async;
use async_net::TcpStream;
use sockeye_async::{ConnectOptions, MaybeTls, ServeOptions};
use sockeye_async_std::smol as adapter;
use sockeye_async_std::{IoSleep, Stream};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_handler::Service;
use sockeye_tokio::TlsServer;

use super::asynchronous::{Blocking, BlockingServer, Runtime};
use super::{Adapter, Failure};

/// smol.
pub struct Smol;

/// Two threads for all servers of the process.
fn executor() -> &'static Executor<'static> {
    static EXECUTOR: Executor<'static> = Executor::new();
    static THREADS: OnceLock<()> = OnceLock::new();
    THREADS.get_or_init(|| {
        for _ in 0..2 {
            thread::spawn(|| async_io::block_on(EXECUTOR.run(pending::<()>())));
        }
    });
    &EXECUTOR
}

impl Runtime for Smol {
    type Transport = MaybeTls<Stream<TcpStream>>;
    type Sleep = IoSleep;

    fn block_on<F: Future>(future: F) -> F::Output {
        async_io::block_on(future)
    }
}

impl Adapter for Smol {
    type WebSocket = Blocking<Self>;
    type Server = BlockingServer<Self>;

    fn serve(service: impl Service, options: &ServeOptions) -> BlockingServer<Self> {
        Self::block_on(async {
            let listener = adapter::listen("127.0.0.1:0").await.expect("a port");
            let server = adapter::serve(listener, service, options, executor());
            BlockingServer::new(server.expect("a listener"))
        })
    }

    fn connect(url: &str, options: &ConnectOptions) -> Result<Blocking<Self>, Failure> {
        Blocking::connected(Self::block_on(adapter::connect(url, options)))
    }

    fn accept(
        stream: std::net::TcpStream,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Blocking<Self>, Failure> {
        Blocking::accepted(Self::block_on(async {
            let stream = TcpStream::from(Async::new(stream).expect("a socket"));
            adapter::accept(stream, config, decide).await
        }))
    }

    fn accept_tls(
        stream: std::net::TcpStream,
        tls: &TlsServer,
        config: &SharedConfig,
        decide: impl FnOnce(&Request<'_>) -> Result<Accept, Response>,
    ) -> Result<Blocking<Self>, Failure> {
        Blocking::accepted(Self::block_on(async {
            let stream = TcpStream::from(Async::new(stream).expect("a socket"));
            adapter::accept_tls(stream, tls, config, decide).await
        }))
    }
}

//! async-std.

use core::future::Future;

use async_std::net::TcpStream;
use sockeye_async::{ConnectOptions, MaybeTls, ServeOptions};
use sockeye_async_std::async_std as adapter;
use sockeye_async_std::{IoSleep, Stream};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_handler::Service;
use sockeye_tokio::TlsServer;

use super::asynchronous::{Blocking, BlockingServer, Runtime};
use super::{Adapter, Failure};

/// async-std.
pub struct AsyncStd;

impl Runtime for AsyncStd {
    type Transport = MaybeTls<Stream<TcpStream>>;
    type Sleep = IoSleep;

    fn block_on<F: Future>(future: F) -> F::Output {
        async_std::task::block_on(future)
    }
}

impl Adapter for AsyncStd {
    type WebSocket = Blocking<Self>;
    type Server = BlockingServer<Self>;

    fn serve(service: impl Service, options: &ServeOptions) -> BlockingServer<Self> {
        Self::block_on(async {
            let listener = adapter::listen("127.0.0.1:0").await.expect("a port");
            let server = adapter::serve(listener, service, options);
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
            let stream = TcpStream::from(stream);
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
            let stream = TcpStream::from(stream);
            adapter::accept_tls(stream, tls, config, decide).await
        }))
    }
}

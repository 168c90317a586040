//! tokio.

use core::future::Future;
use std::sync::OnceLock;

use sockeye_async::{ConnectOptions, MaybeTls, ServeOptions};
use sockeye_core::SharedConfig;
use sockeye_core::handshake::{Accept, Request, Response};
use sockeye_handler::Service;
use sockeye_tokio as adapter;
use sockeye_tokio::{Stream, TlsServer, TokioSleep};
use tokio::net::TcpStream;

use super::asynchronous::{Blocking, BlockingServer, Runtime};
use super::{Adapter, Failure};

/// tokio.
pub struct Tokio;

/// Two threads for all servers and clients of the process.
fn runtime() -> &'static tokio::runtime::Runtime {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build();
        runtime.expect("a runtime")
    })
}

impl Runtime for Tokio {
    type Transport = MaybeTls<Stream<TcpStream>>;
    type Sleep = TokioSleep;

    fn block_on<F: Future>(future: F) -> F::Output {
        runtime().block_on(future)
    }
}

impl Adapter for Tokio {
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
            stream.set_nonblocking(true).expect("a socket");
            let stream = TcpStream::from_std(stream).expect("a socket");
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
            stream.set_nonblocking(true).expect("a socket");
            let stream = TcpStream::from_std(stream).expect("a socket");
            adapter::accept_tls(stream, tls, config, decide).await
        }))
    }
}

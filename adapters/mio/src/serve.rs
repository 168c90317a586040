//! A server: threads with an event loop each.

use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::num::NonZeroUsize;
use std::io;
use std::net::TcpListener;
use std::thread::{self, JoinHandle};

#[cfg(feature = "tls")]
use sockeye_common::tls::TlsServer;
use sockeye_common::{Gate, ServerState, Shutdown};
use sockeye_core::SharedConfig;
use sockeye_handler::Service;

use crate::listen::listeners;
use crate::mailbox::Mailbox;
use crate::worker::{Bench, Shared, Worker};

/// What a server is told besides its service.
///
/// A plain value: change the fields of [`ServeOptions::default`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// Limits and time-outs of each connection.
    pub config: SharedConfig,
    /// Connections at a time; 10,000. Upgrades beyond that are answered with 503.
    pub max_connections: usize,
    /// Threads; as many as there are processors.
    pub threads: NonZeroUsize,
    /// The certificate and the key to serve `wss` with; without them it is `ws`.
    #[cfg(feature = "tls")]
    pub tls: Option<TlsServer>,
}

impl Default for ServeOptions {
    fn default() -> Self {
        Self {
            config: SharedConfig::default(),
            max_connections: 10_000,
            threads: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

/// Serves `service` to everybody who connects to `listener`.
///
/// It starts the threads and returns; the server runs until the [`Server`] is shut down
/// or dropped. Each thread has its own event loop, and a connection stays on the thread
/// that accepted it, where all calls of its handler are made: a handler that blocks holds
/// up the other connections of its thread.
///
/// Each thread listens on a socket of its own that shares the port of `listener`
/// (`SO_REUSEPORT`), where the system knows that.
///
/// # Errors
///
/// What the system does not give: listeners, event queues, threads.
pub fn serve<S: Service>(
    listener: TcpListener,
    service: S,
    options: &ServeOptions,
) -> io::Result<Server> {
    let local_addr = listener.local_addr()?;
    let state = Arc::new(ServerState::new(options.max_connections));
    let benches: Vec<Bench> = listeners(listener, options.threads.get())?
        .into_iter()
        .map(Bench::new)
        .collect::<io::Result<_>>()?;
    let mailboxes = benches.iter().map(|bench| Arc::clone(&bench.mailbox));
    let shared = Arc::new(Shared {
        service: Arc::new(Gate::new(service, Arc::clone(&state))),
        config: options.config.clone(),
        #[cfg(feature = "tls")]
        tls: options.tls.clone(),
        state: Arc::clone(&state),
        mailboxes: mailboxes.collect(),
    });
    let mut server = Server {
        local_addr,
        state,
        mailboxes: Arc::clone(&shared.mailboxes),
        threads: Vec::with_capacity(benches.len()),
    };
    for (number, bench) in benches.into_iter().enumerate() {
        let worker = Worker::new(bench, Arc::clone(&shared));
        // Should one not start, those that did end with `server`.
        let thread = thread::Builder::new()
            .name(format!("sockeye-{number}"))
            .spawn(|| worker.run())?;
        server.threads.push(thread);
    }
    Ok(server)
}

/// A running server. Dropping it drops its connections, without waiting for that.
#[must_use = "a server that is dropped ends"]
pub struct Server {
    local_addr: SocketAddr,
    state: Arc<ServerState>,
    mailboxes: Arc<[Arc<Mailbox>]>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Where it listens, with the real port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Connections that have not ended yet.
    pub fn connections(&self) -> usize {
        self.state.connections()
    }

    /// Ends the server: after the time that `shutdown` gives the service for it, no more is
    /// accepted, every connection is closed with its code, and what has not ended by its
    /// timeout is dropped.
    ///
    /// Blocks until then, and returns how many had to be dropped. Not for handlers of
    /// this server: it would wait for their own thread.
    pub fn shut_down(&mut self, shutdown: Shutdown) -> usize {
        if self.state.shut_down(shutdown) {
            self.announce();
        }
        for thread in self.threads.drain(..) {
            // The panics of applications are contained: it would be one of ours, and
            // has been reported.
            let _ = thread.join();
        }
        self.state.aborted()
    }

    fn announce(&self) {
        for mailbox in self.mailboxes.iter() {
            mailbox.announce();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.state.abort() {
            self.announce();
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.local_addr)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

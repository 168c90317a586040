//! A runtime of one's own: a whole WebSocket server on one thread, over non-blocking
//! sockets of the standard library and nothing else.
//!
//! ```sh
//! cargo run --example custom-runtime --features handler
//! ```
//!
//! `docs/custom-runtime.md` explains it.

#![forbid(unsafe_code)]
#![expect(
    clippy::std_instead_of_core,
    clippy::std_instead_of_alloc,
    reason = "programs with a standard library name things by it"
)]

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use sockeye::handler::{
    CloseCode, Context, Endpoint, Handler, Message, Service, Session, SharedConfig, Time, Transmit,
    service_fn,
};

/// The application: it knows nothing of what runs it.
struct Echo;

impl Handler for Echo {
    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let _ = cx.send(message); // refused only while the connection closes
    }
}

#[expect(clippy::print_stdout, reason = "a program says where it listens")]
fn main() -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:9001")?;
    println!("listening on ws://{}", listener.local_addr()?);
    let service = service_fn(|_request, _opening| Echo);
    serve(&listener, service, &AtomicBool::new(false))
}

/// Serves `service` until `stop` is set and every connection has ended.
pub(crate) fn serve<S: Service>(
    listener: &TcpListener,
    service: S,
    stop: &AtomicBool,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let (service, config) = (Arc::new(service), SharedConfig::default());
    let epoch = Instant::now();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut buffer = vec![0; 16 << 10]; // one for all connections
    let mut connections: Vec<Connection<S>> = Vec::new();
    loop {
        let now = Time::ZERO + epoch.elapsed();
        let is_stopping = stop.load(Ordering::Relaxed);
        while !is_stopping && let Ok((stream, address)) = listener.accept() {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            let (service, config) = (Arc::clone(&service), config.clone());
            let session = Session::new(service, config, address.into(), now);
            connections.push(Connection { stream, session });
        }
        let mut is_busy = false;
        for connection in &mut connections {
            if is_stopping {
                connection.session.close(CloseCode::GOING_AWAY, "", now);
            }
            is_busy |= connection.turn(&mut buffer, &waker, now);
        }
        connections.retain(|connection| !connection.session.is_finished());
        if is_stopping && connections.is_empty() {
            return Ok(());
        }
        if !is_busy {
            // A real one would wait for its sockets, until the earliest deadline.
            thread::park_timeout(Duration::from_millis(1));
        }
    }
}

struct Connection<S: Service> {
    stream: TcpStream,
    session: Session<S>,
}

impl<S: Service> Connection<S> {
    /// Does what can be done now; whether that was anything.
    fn turn(&mut self, buffer: &mut [u8], waker: &Waker, now: Time) -> bool {
        self.session.handle_wake(now);
        // All that one read has brought is answered by one write.
        let is_busy = self.read(buffer, now) | self.write(now);
        if self.session.poll_timeout().is_some_and(|at| at <= now) {
            self.session.handle_timeout(now);
        }
        self.session.set_waker(waker);
        // Who is idle owns no buffer. A real one would keep it, and lend it to the next.
        drop(self.session.reclaim());
        is_busy
    }

    fn read(&mut self, buffer: &mut [u8], now: Time) -> bool {
        if !self.session.wants_input() {
            return false;
        }
        match self.stream.read(buffer) {
            Ok(0) => self.session.handle_eof(now),
            Ok(n) => {
                // A session handles everything itself: it never hands out an item.
                let None = self.session.handle_input(&mut buffer[..n], now);
            }
            Err(error) if is_temporary(&error) => return false,
            Err(_) => self.session.handle_error(now),
        }
        true
    }

    fn write(&mut self, now: Time) -> bool {
        let mut is_busy = false;
        while let Some(transmit) = self.session.poll_transmit() {
            let written = match transmit {
                Transmit::Write(output) => self.stream.write(output.first()),
                Transmit::Shutdown => {
                    let _ = self.stream.shutdown(Shutdown::Write);
                    self.session.handle_shutdown(now);
                    continue;
                }
            };
            match written {
                Ok(n) => self.session.handle_written(n, now),
                Err(error) if is_temporary(&error) => {
                    // It is under way: from here on its deadline runs.
                    self.session.handle_written(0, now);
                    return is_busy;
                }
                Err(_) => self.session.handle_error(now),
            }
            is_busy = true;
        }
        is_busy
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}

/// Wakes the loop when another thread sends through a `Peer`.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

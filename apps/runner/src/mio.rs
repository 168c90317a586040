//! The programs on mio: event loops for servers, plain threads for clients.

use core::num::NonZeroUsize;
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use sockeye_handler::{CloseCode, OwnedMessage, Service};
use sockeye_mio::{ConnectError, ConnectOptions, RecvHalf, SendHalf, ServeOptions, WebSocket};

use crate::failure::Failure;
use crate::{Args, Ending, announce, signals};

pub(crate) fn serve<S: Service>(args: &Args, service: S, ending: Ending) -> Result<(), Failure> {
    let mut options = ServeOptions::default();
    options.config = args.config()?;
    options.max_connections = args.max_connections;
    let threads = args.threads.map(usize::from).and_then(NonZeroUsize::new);
    options.threads = threads.unwrap_or(options.threads);
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_server()?;
    }
    let cannot_listen = |error| Failure::Listen {
        address: args.listen.clone(),
        error,
    };
    let (_, stopped) = events()?;
    let listener = TcpListener::bind(&args.listen).map_err(cannot_listen)?;
    let mut server =
        sockeye_mio::serve(listener, service, &options).map_err(|error| Failure::System {
            what: "start the server",
            error,
        })?;
    announce(args, server.local_addr());
    // The other end waits for signals as long as the process lives.
    let _ = stopped.recv();
    tracing::info!(connections = server.connections(), "closing");
    match server.shut_down(ending.shutdown(args)) {
        0 => tracing::info!("closed"),
        dropped => tracing::warn!(dropped, "closed, but not in time"),
    }
    Ok(())
}

/// What a program waits for.
enum Event {
    /// The first signal.
    Stop,
    /// A client has its connection, or none.
    Connected(Box<Result<WebSocket, ConnectError>>),
}

fn events() -> Result<(Sender<Event>, Receiver<Event>), Failure> {
    let (sender, events) = channel();
    let stop = sender.clone();
    let stop = move || {
        // Nobody waits any more if the program is about to end by itself.
        let _ = stop.send(Event::Stop);
    };
    signals::on_stop(stop).map_err(|error| Failure::System {
        what: "wait for signals",
        error,
    })?;
    Ok((sender, events))
}

pub(crate) fn connect(
    args: &Args,
    url: &str,
    subprotocols: &[String],
    answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    let mut options = ConnectOptions::default();
    options.config = args.config()?;
    options.subprotocols = subprotocols.to_vec();
    #[cfg(feature = "tls")]
    {
        options.tls = args.tls_client()?;
    }
    let (sender, events) = events()?;
    let target = url.to_owned();
    // Not waited for, if a signal comes first.
    thread::spawn(move || {
        let connected = sockeye_mio::connect(&target, &options);
        let _ = sender.send(Event::Connected(Box::new(connected)));
    });
    let ws = match events.recv() {
        Ok(Event::Connected(connected)) => (*connected).map_err(Failure::Connect)?,
        Ok(Event::Stop) | Err(_) => return Err(Failure::Interrupted { url: url.into() }),
    };
    let (sender, receiver) = ws.split();
    let closer = sender.clone();
    thread::spawn(move || {
        if events.recv().is_ok() {
            // The code and the empty reason can be sent.
            let _ = closer.close(CloseCode::GOING_AWAY, "");
        }
    });
    run_client(url, &sender, receiver, answer)
}

fn run_client(
    url: &str,
    sender: &SendHalf,
    mut receiver: RecvHalf,
    mut answer: impl FnMut(OwnedMessage) -> Option<OwnedMessage>,
) -> Result<(), Failure> {
    while let Some(message) = receiver.recv() {
        if let Some(answer) = answer(message) {
            // If it is too late for this, `recv` will say so.
            let _ = sender.send(answer);
        }
    }
    match receiver.closed() {
        Some(closed) if !closed.is_clean() => Err(Failure::Ended {
            url: url.into(),
            closed: closed.clone(),
        }),
        _ => Ok(()),
    }
}

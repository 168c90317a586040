//! The floor on bare epoll, as mio gives it.

use std::io;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use super::secure::Config;
use super::{Buffers, Conversation, announce};

const LISTENER: Token = Token(usize::MAX);

pub fn run(tls: Option<Config>) -> io::Result<()> {
    let mut poll = Poll::new()?;
    let mut listener = TcpListener::bind("127.0.0.1:0".parse().expect("an address"))?;
    rustix::net::listen(&listener, 4096)?;
    poll.registry()
        .register(&mut listener, LISTENER, Interest::READABLE)?;
    announce(listener.local_addr()?, tls.as_ref());
    let mut connections: Vec<Option<(TcpStream, Conversation)>> = Vec::new();
    let mut vacant = Vec::new();
    let mut events = Events::with_capacity(1024);
    let mut buffers = Buffers::new();
    loop {
        poll.poll(&mut events, None)?;
        for event in &events {
            if event.token() == LISTENER {
                while let Ok((mut socket, _)) = listener.accept() {
                    socket.set_nodelay(true)?;
                    let place = vacant.pop().unwrap_or(connections.len());
                    if place == connections.len() {
                        connections.push(None);
                    }
                    let interest = Interest::READABLE | Interest::WRITABLE;
                    poll.registry()
                        .register(&mut socket, Token(place), interest)?;
                    connections[place] = Some((socket, Conversation::new(tls.as_ref())));
                }
                continue;
            }
            let place = event.token().0;
            let Some((socket, conversation)) = &mut connections[place] else {
                continue;
            };
            if conversation.turn(socket, &mut buffers) {
                connections[place] = None;
                vacant.push(place);
            }
        }
    }
}

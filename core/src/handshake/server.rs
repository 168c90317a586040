use super::{HandshakeError, HttpLimits, Request};
use crate::time::Time;
use alloc::vec::Vec;

/// The server's side of a connection until its first, and only, request is there.
#[derive(Debug)]
pub struct ServerHandshake {
    buffer: Vec<u8>,
    limits: HttpLimits,
    deadline: Time,
}

/// A whole request, and how much of the last input was part of it.
#[derive(Debug)]
pub struct Received<'a> {
    /// The request, with its body if it is plain HTTP.
    pub request: Request<'a>,
    /// How many bytes of the input given last belong to the request. After an upgrade what
    /// follows belongs to the connection; after anything else it is to be discarded.
    pub consumed: usize,
}

impl ServerHandshake {
    /// Waits for a request until `deadline`, which no input extends.
    pub fn new(limits: HttpLimits, deadline: Time) -> Self {
        Self {
            buffer: Vec::new(),
            limits,
            deadline,
        }
    }

    /// Takes the bytes of one read.
    ///
    /// `None`: all of `input` was taken, and more is needed. A request is returned once; after
    /// it, or after an error, further input is discarded: there is no second request.
    pub fn handle_input<'a>(
        &'a mut self,
        input: &'a [u8],
    ) -> Result<Option<Received<'a>>, HandshakeError> {
        let _ = (input, &self.buffer, &self.limits);
        todo!()
    }

    /// The peer will send nothing more.
    ///
    /// An error if it had begun a request; `Ok` if there is nobody to answer.
    pub fn handle_eof(&mut self) -> Result<(), HandshakeError> {
        todo!()
    }

    /// Ends the handshake if its deadline has come. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), HandshakeError> {
        let _ = now;
        todo!()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout): the deadline, until the request is there.
    pub fn poll_timeout(&self) -> Option<Time> {
        Some(self.deadline)
    }
}

//! One server connection from its first byte to its last.

use alloc::sync::Arc;
use core::convert::Infallible;
use core::task::Waker;

use sockeye_core::{CloseCode, Endpoint, SharedConfig, Time, Transmit};

use crate::address::Address;
use crate::handler::Service;

/// One server connection from its first byte to its last: HTTP head, answer or upgrade,
/// connection, handler.
pub struct Session<S: Service> {
    service: Arc<S>,
    config: SharedConfig,
}

impl<S: Service> Session<S> {
    /// A connection that was accepted at `now`, before TLS: the handshake deadline counts
    /// from there.
    #[must_use]
    pub fn new(service: Arc<S>, config: SharedConfig, address: Address, now: Time) -> Self {
        let _ = (address, now);
        Self { service, config }
    }

    /// Ends the session in good order, as a server that shuts down does.
    ///
    /// An open connection closes with `code` and `reason`; a request that is not decided
    /// is answered with 503; an answer under way is finished.
    pub fn close(&mut self, code: CloseCode, reason: &str, now: Time) {
        let _ = (code, reason, now, &self.service, &self.config);
        todo!()
    }

    /// Whether the handshake is over and the connection has not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        todo!()
    }
}

impl<S: Service> Endpoint for Session<S> {
    type Item = Infallible;

    fn handle_input(&mut self, bytes: &mut [u8], now: Time) -> Option<Infallible> {
        let _ = (bytes, now);
        todo!()
    }
    fn poll_item(&mut self, now: Time) -> Option<Infallible> {
        let _ = now;
        None
    }
    fn holds_input(&self) -> bool {
        false
    }
    fn read_target(&mut self) -> Option<&mut [u8]> {
        todo!()
    }
    fn handle_read(&mut self, n: usize, now: Time) {
        let _ = (n, now);
        todo!()
    }
    fn handle_eof(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    fn handle_error(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    fn handle_timeout(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    fn poll_timeout(&self) -> Option<Time> {
        todo!()
    }
    fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        todo!()
    }
    fn handle_written(&mut self, n: usize, now: Time) {
        let _ = (n, now);
        todo!()
    }
    fn handle_shutdown(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
    fn wants_flush(&self) -> bool {
        todo!()
    }
    fn wants_input(&self) -> bool {
        todo!()
    }
    fn is_drained(&self) -> bool {
        todo!()
    }
    fn lend(&mut self, buffer: Vec<u8>) {
        let _ = buffer;
        todo!()
    }
    fn reclaim(&mut self) -> Option<Vec<u8>> {
        todo!()
    }
    fn set_waker(&mut self, waker: &Waker) {
        let _ = waker;
        todo!()
    }
    fn handle_wake(&mut self, now: Time) {
        let _ = now;
        todo!()
    }
}

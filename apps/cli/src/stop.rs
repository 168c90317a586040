//! Ctrl-C and signals, for whoever waits at the moment.

use async_channel::{Receiver, Sender};

use crate::failure::Failure;

/// Told once for each time that somebody wants the program to end.
pub(crate) struct Stop {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Stop {
    /// A second signal ends the process at once.
    pub(crate) fn on_signal() -> Result<Self, Failure> {
        let (sender, receiver) = async_channel::bounded(2);
        let stop = Self { sender, receiver };
        sockeye_runner::on_stop(stop.trigger()).map_err(|error| Failure::System {
            what: "wait for signals",
            error,
        })?;
        Ok(stop)
    }

    /// What stops it.
    pub(crate) fn trigger(&self) -> impl FnOnce() + Send + 'static {
        let sender = self.sender.clone();
        move || {
            // Two are as good as three.
            let _ = sender.try_send(());
        }
    }

    pub(crate) async fn wait(&self) {
        // A sender is kept, so that there is always one to wait for.
        let _ = self.receiver.recv().await;
    }
}

//! A handler whose behaviour is a script, and which notes what happens to it.

use alloc::sync::Arc;
use std::sync::Mutex;

use sockeye_handler::{Closed, Context, Handler, Message, Opening, Request, Service, service_fn};

/// What has happened, in order. Shared by all handlers of a server.
#[derive(Clone, Debug, Default)]
pub(crate) struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub(crate) fn push(&self, note: impl Into<String>) {
        self.0
            .lock()
            .expect("no test panics here")
            .push(note.into());
    }

    /// Takes all notes so far.
    pub(crate) fn take(&self) -> Vec<String> {
        core::mem::take(&mut self.0.lock().expect("no test panics here"))
    }

    /// How many notes begin so.
    pub(crate) fn count(&self, start: &str) -> usize {
        let notes = self.0.lock().expect("no test panics here");
        notes.iter().filter(|note| note.starts_with(start)).count()
    }
}

type OnMessage = dyn Fn(&str, &mut Context<'_>) + Send + Sync;

/// Notes everything, and gives each message to a function.
pub(crate) struct Probe {
    pub(crate) notes: Notes,
    pub(crate) on_message: Arc<OnMessage>,
}

impl Handler for Probe {
    fn on_open(&mut self, _: &mut Context<'_>) {
        self.notes.push("open");
    }

    fn on_message(&mut self, message: Message<'_>, cx: &mut Context<'_>) {
        let text = String::from_utf8_lossy(message.as_bytes()).into_owned();
        self.notes.push(format!("message {text}"));
        (self.on_message)(&text, cx);
    }

    fn on_ping(&mut self, payload: &[u8], _: &mut Context<'_>) {
        self.notes
            .push(format!("ping {}", String::from_utf8_lossy(payload)));
    }

    fn on_pong(&mut self, payload: &[u8], _: &mut Context<'_>) {
        self.notes
            .push(format!("pong {}", String::from_utf8_lossy(payload)));
    }

    fn on_timer(&mut self, key: u64, cx: &mut Context<'_>) {
        self.notes.push(format!("timer {key}"));
        (self.on_message)(&format!("timer {key}"), cx);
    }

    fn on_wake(&mut self, cx: &mut Context<'_>) {
        self.notes.push("wake");
        (self.on_message)("wake", cx);
    }

    fn on_writable(&mut self, cx: &mut Context<'_>) {
        self.notes.push("writable");
        (self.on_message)("writable", cx);
    }

    fn on_close(&mut self, closed: &Closed) {
        self.notes
            .push(format!("close {} {:?}", closed.code, closed.initiator));
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.notes.push("drop");
    }
}

/// A service whose handlers give each message, timer and wake-up to `on_message`.
pub(crate) fn probe(
    on_message: impl Fn(&str, &mut Context<'_>) + Send + Sync + 'static,
) -> (impl Service, Notes) {
    let notes = Notes::default();
    let service = {
        let notes = notes.clone();
        let on_message: Arc<OnMessage> = Arc::new(on_message);
        service_fn(move |_: &Request<'_>, _: &mut Opening<'_>| Probe {
            notes: notes.clone(),
            on_message: Arc::clone(&on_message),
        })
    };
    (service, notes)
}

/// Sends everything back.
pub(crate) fn echo() -> (impl Service, Notes) {
    probe(|text, cx| {
        if text != "writable" {
            let _ = cx.send(text);
        }
    })
}

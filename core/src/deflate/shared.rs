//! A message that is compressed once for many connections.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::codec::{Deflater, End};
use super::{Deflate, Pool, Window};
use crate::frame::{First, encode};
use crate::message::{Compression, MessageKind};

/// The compressed forms of one message, by what made them.
pub(crate) struct Shared {
    compression: Compression,
    forms: Mutex<alloc::vec::Vec<Form>>,
}

/// As a server sends it; `None` where the plain form is shorter.
type Form = ((u8, u8), Option<Bytes>);

impl Shared {
    pub(crate) const fn new(compression: Compression) -> Self {
        Self {
            compression,
            forms: Mutex::new(alloc::vec::Vec::new()),
        }
    }

    pub(crate) fn compression(&self) -> Compression {
        self.compression
    }

    /// The frame for every connection that sends with this window and level, and without
    /// takeover.
    ///
    /// Made by whoever is first; meanwhile others wait, since that is less work than to
    /// make another.
    pub(crate) fn get(
        &self,
        kind: MessageKind,
        payload: &[u8],
        window: Window,
        config: &Deflate,
    ) -> Option<Bytes> {
        let wanted = Deflater::kind_of(window, config.level);
        // Forms are added whole or not at all, so a poisoned lock is as good.
        let mut forms = self.forms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, form)) = forms.iter().find(|(kind, _)| *kind == wanted) {
            return form.clone();
        }
        let form = make(kind, payload, window, config);
        forms.push((wanted, form.clone()));
        form
    }
}

#[cfg(test)]
impl Shared {
    /// How many forms were made.
    pub(crate) fn forms(&self) -> usize {
        self.forms.lock().map_or(0, |forms| forms.len())
    }
}

fn make(kind: MessageKind, payload: &[u8], window: Window, config: &Deflate) -> Option<Bytes> {
    Pool::with(|pool| {
        let mut deflater = pool.deflater(window, config);
        let compressed = deflater.compress(payload, End::Message, pool.piece())?;
        let compressed = compressed.as_slice();
        let first = First::whole(kind.into()).compressed();
        let frame = (compressed.len() < payload.len()).then(|| encode(first, compressed));
        pool.put_deflater(deflater);
        frame
    })
}

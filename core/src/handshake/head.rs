//! Where an HTTP head ends.

/// Bounds on the HTTP message that begins a connection, in bytes and in fields.
///
/// They bound what a peer can make this side hold, and look at, before there is a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest request line or status line, without its CRLF: 4 KiB, room for a token in the
    /// query. Beyond it a server answers 414.
    pub line: usize,
    /// The most header fields: 64. Beyond it a server answers 431.
    pub fields: usize,
    /// The longest head, from its first byte to its last line feed: 16 KiB, room for cookies and
    /// a token of 4 KiB. Beyond it a server answers 431.
    pub head: usize,
    /// The longest body: 64 KiB. A server answers 413 to a longer one; a client keeps as much of
    /// it.
    pub body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            line: 4 * 1024,
            fields: 64,
            head: 16 * 1024,
            body: 64 * 1024,
        }
    }
}

/// Finds the end of a head as its bytes arrive, each looked at once, and enforces the limits.
///
/// What it answers depends on the bytes alone, not on how they were cut.
#[derive(Clone, Debug, Default)]
pub(super) struct HeadScanner {
    /// Bytes seen of the head, or of all heads since the first.
    scanned: usize,
    /// Bytes seen of the line that has not ended yet.
    partial: usize,
    /// Whether the last of these is a CR.
    after_cr: bool,
    /// Lines that have ended; the first is the request or status line.
    lines: usize,
    #[cfg(test)]
    pub(super) looked_at: usize,
}

/// Which limit, or which rule, the bytes of a head have broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeadFault {
    BareLineFeed,
    LineTooLong,
    TooManyFields,
    TooLong,
}

impl HeadScanner {
    /// Looks at the next bytes. If the head ends among them: how many of them belong to it.
    ///
    /// Not to be called again after an end or a fault.
    pub(super) fn scan(
        &mut self,
        input: &[u8],
        limits: &HttpLimits,
    ) -> Result<Option<usize>, HeadFault> {
        let room = limits.head.saturating_sub(self.scanned);
        let window = input.get(..room).unwrap_or(input);
        let mut at = 0;
        while let Some(length) = self.find_line_feed(&window[at..]) {
            let line_feed = at + length;
            let after_cr = match length {
                0 => self.after_cr,
                _ => window[line_feed - 1] == b'\r',
            };
            let line = self.partial + length - usize::from(after_cr);
            at = line_feed + 1;
            self.partial = 0;
            self.after_cr = false;
            if self.lines == 0 && line > limits.line {
                return Err(HeadFault::LineTooLong);
            }
            if !after_cr {
                return Err(HeadFault::BareLineFeed);
            }
            match (line, self.lines) {
                // RFC 9112 §2.2: ignore empty lines before the request line.
                (0, 0) => {}
                (0, _) => {
                    self.scanned += at;
                    return Ok(Some(at));
                }
                (_, fields) if fields > limits.fields => return Err(HeadFault::TooManyFields),
                _ => self.lines += 1,
            }
        }
        let rest = &window[at..];
        self.scanned += window.len();
        self.partial += rest.len();
        self.after_cr = match rest.last() {
            Some(byte) => *byte == b'\r',
            None => self.after_cr,
        };
        if self.lines == 0 && self.partial - usize::from(self.after_cr) > limits.line {
            return Err(HeadFault::LineTooLong);
        }
        if self.scanned >= limits.head {
            return Err(HeadFault::TooLong);
        }
        Ok(None)
    }

    /// Begins with the next head; the limit of bytes goes on counting.
    pub(super) fn next_head(&mut self) {
        self.partial = 0;
        self.after_cr = false;
        self.lines = 0;
    }

    /// How many bytes were seen.
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// The number of fields, once the end was found.
    pub(super) fn fields(&self) -> usize {
        self.lines.saturating_sub(1)
    }

    fn find_line_feed(&mut self, bytes: &[u8]) -> Option<usize> {
        let found = position_of_line_feed(bytes);
        #[cfg(test)]
        {
            self.looked_at += found.map_or(bytes.len(), |at| at + 1);
        }
        found
    }
}

/// Blocks without an early exit are compared by vector instructions: half of the time.
fn position_of_line_feed(bytes: &[u8]) -> Option<usize> {
    let is_line_feed = |byte: &u8| *byte == b'\n';
    let (blocks, _) = bytes.as_chunks::<16>();
    let without = blocks.iter().take_while(|block| {
        !block
            .iter()
            .fold(false, |any, byte| any | is_line_feed(byte))
    });
    let skipped = without.count() * 16;
    Some(skipped + bytes[skipped..].iter().position(is_line_feed)?)
}

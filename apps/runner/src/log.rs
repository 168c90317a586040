//! Logs on standard error.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Args;
use crate::escape::Escaped;

/// From here on, what is logged is written.
pub(crate) fn start(args: &Args) {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(OneLine(io::stderr));
    // In a test somebody else may have been first.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(args.log.clone())
        .try_init();
}

/// Writes each event as one line, whatever a peer has put into it.
struct OneLine<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = OneLineWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        OneLineWriter(self.0.make_writer())
    }
}

struct OneLineWriter<W>(W);

impl<W: Write> Write for OneLineWriter<W> {
    /// An event comes as one call, with the line feed that ends it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        writeln!(self.0, "{}", Escaped(line))?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let mut out = Vec::new();
        let event = "room=\x1b[2J\u{9b}x\r\nforged é\n";
        let written = OneLineWriter(&mut out).write(event.as_bytes());
        assert_eq!(written.expect("a vector"), event.len());
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "room=\\u{1b}[2J\\u{9b}x\\r\\nforged é\n"
        );
    }
}

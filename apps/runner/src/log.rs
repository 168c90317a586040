//! Logs on standard error.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::Args;

/// From here on, what is logged is written.
pub(crate) fn start(args: &Args) {
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(Escaped(io::stderr));
    // In a test somebody else may have been first.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(args.log.clone())
        .try_init();
}

/// Writes each event as one line, whatever a peer has put into it.
///
/// Control characters could rewrite the operator's terminal, and line feeds could
/// forge lines.
struct Escaped<M>(M);

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for Escaped<M> {
    type Writer = EscapedWriter<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        EscapedWriter(self.0.make_writer())
    }
}

struct EscapedWriter<W>(W);

impl<W: Write> Write for EscapedWriter<W> {
    /// An event comes as one call, with the line feed that ends it.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        if line.chars().any(char::is_control) {
            let escaped: String = line
                .chars()
                .flat_map(|c| {
                    let (plain, escape) = if c.is_control() {
                        (None, Some(c.escape_default()))
                    } else {
                        (Some(c), None)
                    };
                    plain.into_iter().chain(escape.into_iter().flatten())
                })
                .collect();
            writeln!(self.0, "{escaped}")?;
        } else {
            self.0.write_all(event)?;
        }
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
        let written = EscapedWriter(&mut out).write(event.as_bytes());
        assert_eq!(written.expect("a vector"), event.len());
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "room=\\u{1b}[2J\\u{9b}x\\r\\nforged é\n"
        );
    }
}

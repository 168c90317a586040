/// Bounds on the HTTP message that begins a connection, in bytes and fields.
///
/// They bound what a peer can make this side hold and look at before a connection exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpLimits {
    /// The longest request or status line, without its CRLF: 4 KiB, room for a token in the
    /// query. Beyond it a server answers 414.
    pub line: usize,
    /// The most header fields: 64. Beyond it a server answers 431.
    pub fields: usize,
    /// The longest head, from its first byte to its last line feed: 16 KiB, room for cookies
    /// and a token of 4 KiB. Beyond it a server answers 431.
    pub head: usize,
    /// The longest body: 64 KiB. A server answers 413 to a longer one; a client keeps the
    /// beginning of it.
    pub body: usize,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            line: 4096,
            fields: 64,
            head: 16 * 1024,
            body: 64 * 1024,
        }
    }
}

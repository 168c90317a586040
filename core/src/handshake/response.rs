use super::InvalidField;
use alloc::{borrow::Cow, vec::Vec};
use bytes::Bytes;

/// An HTTP response: one to send, or one that a client has received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    reason: Cow<'static, str>,
    body: Bytes,
}

impl Response {
    /// A response without fields and body.
    ///
    /// A status outside 200 to 599 becomes 500: the others are no final answers.
    pub fn new(status: u16) -> Self {
        let _ = status;
        todo!()
    }
    /// A response with a body of plain text.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        let _ = (status, body);
        todo!()
    }
    /// A response with an HTML page.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        let _ = (status, body);
        todo!()
    }
    /// Adds a field.
    pub fn field(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        let _ = (name, value);
        todo!()
    }
    /// Sets the body and its `Content-Type`.
    pub fn body(self, content_type: &str, body: impl Into<Bytes>) -> Result<Self, InvalidField> {
        let _ = (content_type, body);
        todo!()
    }
    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }
    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }
    /// Every field, in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        core::iter::empty()
    }
    /// The value of the first field of this name (in any case).
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        let _ = name;
        todo!()
    }
    /// The content.
    pub fn content(&self) -> &Bytes {
        &self.body
    }
    /// Appends the whole response as it goes on the wire.
    ///
    /// Everything but 101 says `Content-Length` and `Connection: close`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
    /// Appends the response without its body: the answer to a `HEAD` request.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        let _ = out;
        todo!()
    }
}

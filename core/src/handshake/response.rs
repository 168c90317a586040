use super::{
    InvalidField,
    field::{Fields, is_framing},
};
use alloc::{borrow::Cow, string::ToString, vec::Vec};
use bytes::Bytes;

/// An HTTP response: one to send, or one that a client has received.
///
/// There is one request on a connection, so every response but 101 also ends it:
/// [`encode`](Self::encode) says `Connection: close`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    status: u16,
    reason: Cow<'static, str>,
    fields: Fields,
    content: Bytes,
}

impl Response {
    /// A response without fields and body.
    ///
    /// A `status` outside 200 to 599 is no final answer, and becomes 500.
    pub fn new(status: u16) -> Self {
        let status = if matches!(status, 200..=599) {
            status
        } else {
            500
        };
        Self::with_fields(status, Fields::new())
    }

    /// A response with a body of plain text, in UTF-8.
    pub fn text(status: u16, body: impl Into<Bytes>) -> Self {
        Self::with_known_type(status, b"text/plain; charset=utf-8", body.into())
    }

    /// A response with an HTML page, in UTF-8.
    pub fn html(status: u16, body: impl Into<Bytes>) -> Self {
        Self::with_known_type(status, b"text/html; charset=utf-8", body.into())
    }

    fn with_known_type(status: u16, content_type: &[u8], content: Bytes) -> Self {
        let mut response = Self::new(status);
        response.push_known("Content-Type", content_type);
        response.content = content;
        response
    }

    /// A response of any status, 101 too.
    pub(super) fn with_fields(status: u16, fields: Fields) -> Self {
        Self {
            status,
            reason: Cow::Borrowed(reason(status)),
            fields,
            content: Bytes::new(),
        }
    }

    /// What a client has received so far.
    pub(super) fn received(head: &httparse::Response<'_, '_>) -> Self {
        let bytes = head
            .headers
            .iter()
            .map(|field| field.name.len() + field.value.len() + 4);
        let mut fields = Fields::with_capacity(bytes.sum());
        for field in head.headers.iter() {
            fields.push_known(field.name, field.value);
        }
        Self {
            status: head.code.unwrap_or_default(),
            reason: Cow::Owned(head.reason.unwrap_or_default().into()),
            fields,
            content: Bytes::new(),
        }
    }

    /// Adds a field.
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are reserved.
    pub fn field(mut self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidField> {
        if is_framing(name) {
            return Err(InvalidField::Reserved);
        }
        self.fields.push(name, value.as_ref())?;
        Ok(self)
    }

    /// Sets the body and its `Content-Type`.
    ///
    /// A response that never has a body (204, 304) is sent without it.
    pub fn body(
        mut self,
        content_type: &str,
        body: impl Into<Bytes>,
    ) -> Result<Self, InvalidField> {
        self.fields.remove("Content-Type");
        self.fields.push("Content-Type", content_type.as_bytes())?;
        self.content = body.into();
        Ok(self)
    }

    pub(super) fn push_known(&mut self, name: &str, value: &[u8]) {
        self.fields.push_known(name, value);
    }

    pub(super) fn set_content(&mut self, content: Bytes) {
        self.content = content;
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The reason phrase, which may be empty.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// The fields, in order, without those that [`encode`](Self::encode) adds.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.fields.iter()
    }

    /// The value of the first field of this name, in any case.
    pub fn value(&self, name: &str) -> Option<&[u8]> {
        self.fields.get(name)
    }

    /// The values of all fields of this name, in any case, in order.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let fields = self.fields.iter();
        fields
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// The body.
    pub fn content(&self) -> &Bytes {
        &self.content
    }

    /// Appends the response as it goes on the wire, with `Content-Length` and
    /// `Connection: close` unless it is 101.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_head(out);
        if self.may_have_content() {
            out.extend_from_slice(&self.content);
        }
    }

    /// Like [`encode`](Self::encode), without the body: the answer to a `HEAD` request.
    pub fn encode_head(&self, out: &mut Vec<u8>) {
        let fields = self.fields.as_bytes();
        out.reserve(fields.len() + self.content.len() + 96);
        out.extend_from_slice(b"HTTP/1.1 ");
        out.extend_from_slice(self.status.to_string().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.reason.as_bytes());
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(fields);
        if self.status != SWITCHING_PROTOCOLS {
            if self.may_have_content() {
                out.extend_from_slice(b"Content-Length: ");
                out.extend_from_slice(self.content.len().to_string().as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            // RFC 9110 §7.8: who sends Upgrade also names it in Connection.
            out.extend_from_slice(match self.fields.get("Upgrade") {
                Some(_) => b"Connection: upgrade, close\r\n",
                None => b"Connection: close\r\n".as_slice(),
            });
        }
        out.extend_from_slice(b"\r\n");
    }

    /// RFC 9110 §6.4.1.
    fn may_have_content(&self) -> bool {
        !matches!(self.status, 100..=199 | 204 | 304)
    }
}

pub(super) const SWITCHING_PROTOCOLS: u16 = 101;

const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        411 => "Length Required",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        422 => "Unprocessable Content",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

//! From the flags to a request, before anybody is connected to.

use core::str::FromStr;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sockeye_async::ConnectOptions;
use sockeye_async::tls::TlsClient;
use sockeye_core::Config;
use sockeye_core::handshake::Url;

use crate::args::Request;
use crate::failure::Failure;
use crate::insecure;

/// A header field, or the file that it stands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Given(String, String),
    In(PathBuf),
}

impl FromStr for Field {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(file) = text.strip_prefix('@') {
            return Ok(Self::In(file.into()));
        }
        let (name, value) = parse_field(text).ok_or("not of the form NAME: VALUE")?;
        Ok(Self::Given(name, value))
    }
}

fn parse_field(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().into(), value.trim().into()))
}

/// Whom to connect to, and what to ask for there.
#[derive(Debug)]
pub(crate) struct Target {
    /// Without the credentials that it may have had.
    pub(crate) url: String,
    pub(crate) options: ConnectOptions,
}

impl Target {
    /// `tune` has the last word on limits and time-outs.
    pub(crate) fn new(request: &Request, tune: impl FnOnce(&mut Config)) -> Result<Self, Failure> {
        let given = request.url.as_deref().unwrap_or_default();
        let (url, credentials) = normalize(given);
        let mut options = ConnectOptions::default();
        let mut config = Config::default();
        config.handshake_timeout = request.connect_timeout;
        config.close_timeout = request.close_timeout;
        config.max_message = request.max_message.0;
        config.deflate = request.deflate.map(|given| given.0);
        tune(&mut config);
        options.config = config.share().map_err(Failure::Config)?;
        options.subprotocols.clone_from(&request.subprotocols);
        options.origin.clone_from(&request.origin);
        options.host.clone_from(&request.host);
        for field in &request.fields {
            match field {
                Field::Given(name, value) => add(&mut options, name, value),
                Field::In(file) => add_from(&mut options, file)?,
            }
        }
        if let Some(credentials) = request.auth.clone().or(credentials) {
            let value = format!("Basic {}", STANDARD.encode(credentials));
            options
                .fields
                .push(("Authorization".into(), value.into_bytes()));
        }
        options.tls = if request.insecure {
            Some(insecure::client()?)
        } else {
            let roots = request.tls_roots.as_ref();
            let trusted = roots.map(TlsClient::from_pem_file);
            trusted.transpose().map_err(Failure::Trust)?
        };
        check(&url, &options)?;
        Ok(Self { url, options })
    }
}

/// Finds out now rather than after a look-up what cannot be sent.
fn check(url: &str, options: &ConnectOptions) -> Result<(), Failure> {
    let parsed = Url::parse(url).map_err(|error| Failure::Url {
        url: url.into(),
        error,
    })?;
    options.request(&parsed).map(drop).map_err(Failure::Field)
}

/// Some fields of the handshake are no ordinary ones, but may be written as such.
fn add(options: &mut ConnectOptions, name: &str, value: &str) {
    if name.eq_ignore_ascii_case("Host") {
        options.host = Some(value.into());
    } else if name.eq_ignore_ascii_case("Origin") {
        options.origin = Some(value.into());
    } else if name.eq_ignore_ascii_case("Sec-WebSocket-Protocol") {
        let names = value.split(',').map(|name| name.trim().into());
        options.subprotocols.extend(names);
    } else {
        options.fields.push((name.into(), value.into()));
    }
}

fn add_from(options: &mut ConnectOptions, file: &PathBuf) -> Result<(), Failure> {
    let text = fs::read_to_string(file).map_err(|error| Failure::read(file, error))?;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim().is_empty() {
            continue;
        }
        let (name, value) = parse_field(line).ok_or_else(|| Failure::FieldLine {
            file: file.clone(),
            number,
        })?;
        add(options, &name, &value);
    }
    Ok(())
}

/// The URL as WebSocket wants it, and the credentials that were in it.
fn normalize(given: &str) -> (String, Option<String>) {
    let (scheme, rest) = given.split_once("://").unwrap_or(("ws", given));
    let scheme = match scheme.to_ascii_lowercase().as_str() {
        "http" => "ws".into(),
        "https" => "wss".into(),
        other => String::from(other),
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, resource) = rest.split_at(end);
    let (credentials, host) = match authority.rsplit_once('@') {
        Some((credentials, host)) => (Some(credentials), host),
        None => (None, authority),
    };
    let url = format!("{scheme}://{host}{resource}");
    (url, credentials.map(percent_decoded))
}

/// RFC 3986 §2.1; what is not encoded properly stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        let decoded = match rest {
            [b'%', high, low, ..] => byte(*high, *low),
            _ => None,
        };
        match decoded {
            Some(byte) => {
                bytes.push(byte);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = others;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that two hexadecimal digits stand for.
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |c: u8| char::from(c).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_may_be_written_as_people_write_it() {
        for (given, url) in [
            ("127.0.0.1:9001/talking", "ws://127.0.0.1:9001/talking"),
            ("http://h/", "ws://h/"),
            ("HTTPS://h/?a=b@c", "wss://h/?a=b@c"),
            ("ws://h", "ws://h"),
            ("wss://[::1]:9/@", "wss://[::1]:9/@"),
        ] {
            assert_eq!(normalize(given), (url.into(), None), "{given}");
        }
        let (url, credentials) = normalize("ws://ana:p%40ss%3aw%zz@h:1/x");
        assert_eq!(url, "ws://h:1/x");
        assert_eq!(credentials.as_deref(), Some("ana:p@ss:w%zz"));
    }

    #[test]
    fn the_handshakes_own_fields_may_be_given_as_fields() {
        let mut options = ConnectOptions::default();
        add(&mut options, "host", "example.com");
        add(&mut options, "ORIGIN", "https://example.com");
        add(&mut options, "Sec-WebSocket-Protocol", "a, b");
        add(&mut options, "Cookie", "a=b");
        assert_eq!(options.host.as_deref(), Some("example.com"));
        assert_eq!(options.origin.as_deref(), Some("https://example.com"));
        assert_eq!(options.subprotocols, ["a", "b"]);
        assert_eq!(options.fields, [("Cookie".into(), b"a=b".to_vec())]);
    }

    #[test]
    fn a_field_has_a_name_and_a_value() {
        let field = "X-Y:  z: a ".parse();
        assert_eq!(field, Ok(Field::Given("X-Y".into(), "z: a".into())));
        assert_eq!("@f".parse(), Ok(Field::In("f".into())));
        assert!("nothing".parse::<Field>().is_err());
    }
}

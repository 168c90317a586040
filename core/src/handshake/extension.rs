//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455 §9.1).

use super::field::is_token_byte;

/// One extension with its parameters, as it stands in the field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Extension<'a> {
    pub(crate) name: &'a [u8],
    /// What follows the name, checked: each parameter behind a semicolon.
    params: &'a [u8],
}

/// A parameter, with its value if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) value: Option<Value<'a>>,
}

/// A token, or what stands between quotes and is one without its backslashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Value<'a>(&'a [u8]);

/// The field does not follow the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The extensions of one field, in order. After a mistake there are no more.
pub(crate) fn extensions(value: &[u8]) -> impl Iterator<Item = Result<Extension<'_>, Malformed>> {
    let mut scanner = Scanner(value);
    core::iter::from_fn(move || {
        // RFC 9110 §5.6.1: a list may have empty elements.
        while scanner.sign(b',') {}
        if scanner.is_at_end() {
            return None;
        }
        let extension = scanner.extension();
        if extension.is_err() {
            scanner.0 = b"";
        }
        Some(extension)
    })
}

impl<'a> Extension<'a> {
    /// The parameters, in order.
    pub(crate) fn params(&self) -> impl Iterator<Item = Param<'a>> + use<'a> {
        let mut scanner = Scanner(self.params);
        core::iter::from_fn(move || scanner.sign(b';').then(|| scanner.param()?.ok())?)
    }
}

impl Value<'_> {
    /// The bytes of the token.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = u8> {
        let mut rest = self.0.iter().copied();
        core::iter::from_fn(move || match rest.next() {
            // A token has no backslash, so this one escapes.
            Some(b'\\') => rest.next(),
            byte => byte,
        })
    }
}

/// Looks at each byte once, or twice where a parameter is read again.
struct Scanner<'a>(&'a [u8]);

impl<'a> Scanner<'a> {
    fn extension(&mut self) -> Result<Extension<'a>, Malformed> {
        let name = self.token().ok_or(Malformed)?;
        let start = self.0;
        while self.sign(b';') {
            self.param().ok_or(Malformed)??;
        }
        let len = start.len() - self.0.len();
        match self.skip_space().first() {
            None | Some(b',') => Ok(Extension {
                name,
                params: start.get(..len).unwrap_or_default(),
            }),
            Some(_) => Err(Malformed),
        }
    }

    /// `None`: there is no name.
    fn param(&mut self) -> Option<Result<Param<'a>, Malformed>> {
        let name = self.token()?;
        if !self.sign(b'=') {
            return Some(Ok(Param { name, value: None }));
        }
        let value = if self.sign(b'"') {
            self.quoted()
        } else {
            self.token()
        };
        let value = value.map(Value).ok_or(Malformed);
        Some(value.map(|value| Param {
            name,
            value: Some(value),
        }))
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let rest = self.skip_space();
        let is_end = |byte: &u8| !is_token_byte(*byte);
        let len = rest.iter().position(is_end).unwrap_or(rest.len());
        self.0 = rest.get(len..)?;
        rest.get(..len).filter(|token| !token.is_empty())
    }

    /// Up to the closing quote. RFC 6455 §9.1: without its backslashes it MUST be a token.
    fn quoted(&mut self) -> Option<&'a [u8]> {
        let start = self.0;
        let mut rest = start.iter();
        loop {
            match *rest.next()? {
                b'"' => break,
                b'\\' => is_token_byte(*rest.next()?).then_some(())?,
                byte => is_token_byte(byte).then_some(())?,
            }
        }
        self.0 = rest.as_slice();
        let len = start.len() - self.0.len() - 1;
        start.get(..len).filter(|quoted| !quoted.is_empty())
    }

    /// Takes this byte, and the space before it, if it is next.
    fn sign(&mut self, sign: u8) -> bool {
        match self.skip_space().split_first() {
            Some((first, rest)) if *first == sign => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    fn is_at_end(&mut self) -> bool {
        self.skip_space().is_empty()
    }

    fn skip_space(&mut self) -> &'a [u8] {
        while let [b' ' | b'\t', rest @ ..] = self.0 {
            self.0 = rest;
        }
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    /// As text: `name`, then each parameter as `;name` or `;name=value`.
    fn read(value: &str) -> Result<Vec<String>, Malformed> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let extensions = extensions(value.as_bytes());
        extensions
            .map(|extension| {
                let extension = extension?;
                let mut all = text(extension.name);
                for Param { name, value } in extension.params() {
                    all += ";";
                    all += &text(name);
                    if let Some(value) = value {
                        all += "=";
                        all += &text(&value.bytes().collect::<Vec<_>>());
                    }
                }
                Ok(all)
            })
            .collect()
    }

    #[test]
    fn lists_are_read_as_rfc_6455_writes_them() {
        let matrix: &[(&str, &[&str])] = &[
            ("", &[]),
            (" \t", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (",, a ,\t, b ,", &["a", "b"]),
            ("deflate-stream", &["deflate-stream"]),
            (
                "mux; max-channels=4; flow-control, deflate-stream",
                &["mux;max-channels=4;flow-control", "deflate-stream"],
            ),
            ("private-extension", &["private-extension"]),
            ("a;b;c", &["a;b;c"]),
            ("a ; b\t;\tc ,d", &["a;b;c", "d"]),
            ("a; b = c", &["a;b=c"]),
            ("a; b=\"c\"", &["a;b=c"]),
            ("a; b=\"\\c\\1\"; d", &["a;b=c1;d"]),
            ("a; b=\"c\", d", &["a;b=c", "d"]),
            ("a; b=c; b=c", &["a;b=c;b=c"]),
        ];
        for (value, expected) in matrix {
            assert_eq!(read(value).unwrap(), *expected, "{value:?}");
        }
    }

    #[test]
    fn everything_else_is_malformed() {
        let matrix = [
            ";",
            "a;",
            "a;;b",
            "a;,b",
            "a;=b",
            "a=b",
            "=",
            "a b",
            "a; b c",
            "a; b=",
            "a; b=,c",
            "a; b==c",
            "a; b=c d",
            "\"a\"",
            "a; \"b\"",
            "a; b=\"",
            "a; b=\"c",
            "a; b=\"\"",
            "a; b=\"c d\"",
            "a; b=\"c,d\"",
            "a; b=\"\\\"\"",
            "a; b=\"c\\",
            "a; b=\"c\\\"",
            "a; b=\"c\"d",
            "a; b=c\"d\"",
            "a/b",
            "a; b=c/d",
            "a\0",
            "ä",
            "a; b=é",
            "(a)",
            "{",
        ];
        for value in matrix {
            assert_eq!(read(value), Err(Malformed), "{value:?}");
        }
    }

    #[test]
    fn nothing_comes_after_a_mistake() {
        let mut all = extensions(b"a, b c, d");
        assert!(all.next().unwrap().is_ok());
        assert_eq!(all.next(), Some(Err(Malformed)));
        assert_eq!(all.next(), None);
    }
}

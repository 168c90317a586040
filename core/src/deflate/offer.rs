//! Negotiation (RFC 7692 §5 and §7.1): offers and answers as plain data.

use alloc::vec::Vec;
use core::fmt;

use super::{Agreed, Deflate, Window};
use crate::handshake::extension::{Extension, Param, Value, extensions};

const NAME: &[u8] = b"permessage-deflate";

/// One offer of a client, or the answer of a server: the same four parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<u8>,
    client_max_window_bits: ClientBits,
}

/// In an offer it may come without a value: the client can, and has no wish.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum ClientBits {
    #[default]
    Absent,
    Any,
    Most(u8),
}

/// The well-formed offers of a client, in its order of preference.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers(Vec<Offer>);

impl Offers {
    /// Takes the offers from one field; there may be several.
    ///
    /// What is not for us, or is not well-formed, offers nothing.
    pub(crate) fn read(&mut self, value: &[u8]) {
        let before = self.0.len();
        for extension in extensions(value) {
            match extension {
                Ok(extension) if extension.name == NAME => self.0.extend(Offer::read(&extension)),
                Ok(_) => {}
                // Who knows what was meant.
                Err(_) => return self.0.truncate(before),
            }
        }
    }
}

/// The answer to the first offer, and what it means for us.
pub(crate) fn accept(offers: &Offers, config: &Deflate) -> Option<(Offer, Agreed)> {
    Some(offers.0.first()?.accept(config))
}

/// What a server's answer means for a client, if it is an answer to what was offered.
///
/// `Ok(None)`: it did not accept.
pub(crate) fn check<'a>(
    answer: impl Iterator<Item = &'a [u8]>,
    config: Option<&Deflate>,
) -> Result<Option<Agreed>, NotOffered> {
    let mut agreed = None;
    let mut is_there = false;
    for extension in answer.flat_map(|value| {
        // A field without any element is no answer that could be given (§9.1).
        let is_empty = extensions(value).next().is_none();
        let nothing = is_empty.then_some(Err(NotOffered));
        nothing
            .into_iter()
            .chain(extensions(value).map(|extension| extension.map_err(|_| NotOffered)))
    }) {
        let extension = extension?;
        if extension.name != NAME || is_there {
            return Err(NotOffered);
        }
        is_there = true;
        let config = config.ok_or(NotOffered)?;
        let answer = Offer::read(&extension).ok_or(NotOffered)?;
        let mut offers = Offer::all(config);
        agreed = offers.find_map(|offer| offer.check(&answer, config));
        if agreed.is_none() {
            return Err(NotOffered);
        }
    }
    Ok(agreed)
}

/// The server accepted what was not offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOffered;

impl Offer {
    /// What a client offers.
    ///
    /// The last resort is for servers that cannot choose their window. Without takeover
    /// it matters little.
    pub(crate) fn all(config: &Deflate) -> impl Iterator<Item = Self> + use<> {
        let Deflate { send, receive, .. } = *config;
        let full = Self {
            server_no_context_takeover: !receive.takeover,
            client_no_context_takeover: !send.takeover,
            server_max_window_bits: Some(receive.bits).filter(|bits| *bits < Window::MOST),
            client_max_window_bits: match send.bits {
                Window::MOST => ClientBits::Any,
                bits => ClientBits::Most(bits),
            },
        };
        let resort = full.server_max_window_bits.is_some().then_some(Self {
            server_max_window_bits: None,
            ..full
        });
        core::iter::once(full).chain(resort)
    }

    /// `None`: a parameter that is unknown, repeated, or has a value that it cannot have.
    fn read(extension: &Extension<'_>) -> Option<Self> {
        let mut offer = Self::default();
        for Param { name, value } in extension.params() {
            match (name, value) {
                (b"server_no_context_takeover", None) if !offer.server_no_context_takeover => {
                    offer.server_no_context_takeover = true;
                }
                (b"client_no_context_takeover", None) if !offer.client_no_context_takeover => {
                    offer.client_no_context_takeover = true;
                }
                (b"server_max_window_bits", Some(value))
                    if offer.server_max_window_bits.is_none() =>
                {
                    offer.server_max_window_bits = Some(bits(value)?);
                }
                (b"client_max_window_bits", value)
                    if offer.client_max_window_bits == ClientBits::Absent =>
                {
                    offer.client_max_window_bits = match value {
                        None => ClientBits::Any,
                        Some(value) => ClientBits::Most(bits(value)?),
                    };
                }
                _ => return None,
            }
        }
        Some(offer)
    }

    /// A server's answer (RFC 7692 §7.1). Every well-formed offer can be accepted.
    fn accept(&self, config: &Deflate) -> (Self, Agreed) {
        let send = Window {
            // §7.1.2.1: the same or less. Where that is 8 the window of 9 serves: its
            // compressor never refers further back than 250 bytes.
            bits: self
                .server_max_window_bits
                .map_or(config.send.bits, |most| most.min(config.send.bits)),
            takeover: config.send.takeover && !self.server_no_context_takeover,
        };
        let receive = Window {
            // §7.1.2.2: a client that does not say that it can choose must not be told to.
            bits: match self.client_max_window_bits {
                ClientBits::Absent => Window::MOST,
                ClientBits::Any => config.receive.bits,
                ClientBits::Most(most) => most.min(config.receive.bits),
            },
            takeover: config.receive.takeover && !self.client_no_context_takeover,
        };
        let answer = Self {
            server_no_context_takeover: !send.takeover,
            client_no_context_takeover: !receive.takeover,
            server_max_window_bits: Some(send.bits)
                .filter(|bits| self.server_max_window_bits.is_some() || *bits < Window::MOST),
            client_max_window_bits: match self.client_max_window_bits {
                ClientBits::Absent => ClientBits::Absent,
                ClientBits::Any | ClientBits::Most(_) => ClientBits::Most(receive.bits),
            },
        };
        (answer, Agreed { send, receive })
    }

    /// What the answer to this offer means for its client, if it is one.
    fn check(&self, answer: &Self, config: &Deflate) -> Option<Agreed> {
        // §7.1.1.1: accepting this means to say it, too.
        if self.server_no_context_takeover && !answer.server_no_context_takeover {
            return None;
        }
        let receive_bits = match (self.server_max_window_bits, answer.server_max_window_bits) {
            (None, None) => Window::MOST,
            (None, Some(bits)) => bits,
            (Some(most), Some(bits)) if bits <= most => bits,
            (Some(_), _) => return None,
        };
        let send_bits = match (self.client_max_window_bits, answer.client_max_window_bits) {
            (ClientBits::Absent | ClientBits::Any | ClientBits::Most(_), ClientBits::Absent) => {
                config.send.bits
            }
            (ClientBits::Any, ClientBits::Most(bits)) => bits.min(config.send.bits),
            (ClientBits::Most(most), ClientBits::Most(bits)) if bits <= most => bits,
            // §7.1.2.2: an answer has a value, and not a larger one.
            _ => return None,
        };
        Some(Agreed {
            send: Window {
                bits: send_bits,
                takeover: config.send.takeover && !answer.client_no_context_takeover,
            },
            receive: Window {
                bits: receive_bits,
                takeover: !answer.server_no_context_takeover,
            },
        })
    }
}

/// As it goes into the field.
impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("permessage-deflate")?;
        if self.server_no_context_takeover {
            f.write_str("; server_no_context_takeover")?;
        }
        if self.client_no_context_takeover {
            f.write_str("; client_no_context_takeover")?;
        }
        if let Some(bits) = self.server_max_window_bits {
            write!(f, "; server_max_window_bits={bits}")?;
        }
        match self.client_max_window_bits {
            ClientBits::Absent => Ok(()),
            ClientBits::Any => f.write_str("; client_max_window_bits"),
            ClientBits::Most(bits) => write!(f, "; client_max_window_bits={bits}"),
        }
    }
}

/// §7.1.2: a decimal number from 8 to 15 without leading zeros.
fn bits(value: Value<'_>) -> Option<u8> {
    let mut digits = value.bytes();
    let bits = match (digits.next(), digits.next(), digits.next()) {
        (Some(one @ b'8'..=b'9'), None, None) => one - b'0',
        (Some(b'1'), Some(one @ b'0'..=b'5'), None) => 10 + one - b'0',
        _ => return None,
    };
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::string::{String, ToString};

    fn any() -> Deflate {
        let window = Window {
            bits: 15,
            takeover: true,
        };
        Deflate {
            send: window,
            receive: window,
            ..Deflate::default()
        }
    }

    /// The answer to these fields, and what it means.
    fn answer(fields: &[&str], config: &Deflate) -> Option<(String, Agreed)> {
        let mut offers = Offers::default();
        fields
            .iter()
            .for_each(|field| offers.read(field.as_bytes()));
        accept(&offers, config).map(|(answer, agreed)| (answer.to_string(), agreed))
    }

    /// What a client makes of this answer, if it lets it pass.
    fn checked(answer: &[&str], config: Option<&Deflate>) -> Option<Option<Agreed>> {
        check(answer.iter().map(|field| field.as_bytes()), config).ok()
    }

    /// Whether a list of parameters is accepted by a server, and by a client that offered all.
    fn accepted(params: &str) -> (bool, bool) {
        let field = format!("permessage-deflate{params}");
        let server = answer(&[&field], &any()).is_some();
        let client = checked(&[&field], Some(&any())).is_some();
        (server, client)
    }

    #[test]
    fn a_number_of_bits_is_8_to_15_in_its_only_form() {
        let spellings = (0..=300)
            .map(|number| number.to_string())
            .chain((0..=20).flat_map(|number| {
                [
                    format!("0{number}"),
                    format!("+{number}"),
                    format!("-{number}"),
                    format!("{number}.0"),
                    format!("0x{number:x}"),
                    format!("1{number}"),
                ]
            }))
            .chain(["", "a", "1e1", "٨", "8a", "٠٨", "4294967304"].map(String::from));
        for spelling in spellings {
            let is_valid = matches!(
                &*spelling,
                "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15"
            );
            for name in ["server_max_window_bits", "client_max_window_bits"] {
                for value in [
                    spelling.clone(),
                    format!("\"{spelling}\""),
                    spelling
                        .chars()
                        .map(|c| format!("\\{c}"))
                        .collect::<String>(),
                ] {
                    let is_valid = is_valid && !value.starts_with('\\');
                    let both = accepted(&format!("; {name}={value}"));
                    assert_eq!(both, (is_valid, is_valid), "{name}={value}");
                }
                let escaped: String = spelling.chars().map(|c| format!("\\{c}")).collect();
                let both = accepted(&format!("; {name}=\"{escaped}\""));
                assert_eq!(both, (is_valid, is_valid), "{name}=\"{escaped}\"");
            }
        }
    }

    #[test]
    fn parameters_have_the_values_that_they_may_have_and_come_once() {
        let matrix = [
            ("", true, true),
            ("; server_no_context_takeover", true, true),
            ("; client_no_context_takeover", true, true),
            ("; server_no_context_takeover=1", false, false),
            ("; client_no_context_takeover=\"true\"", false, false),
            ("; server_no_context_takeover=", false, false),
            ("; server_max_window_bits", false, false),
            // RFC 7692 §7.1.2.2: an offer need not have a value, an answer must.
            ("; client_max_window_bits", true, false),
            ("; client_max_window_bits=", false, false),
            (
                "; server_no_context_takeover; server_no_context_takeover",
                false,
                false,
            ),
            (
                "; client_no_context_takeover; client_no_context_takeover",
                false,
                false,
            ),
            (
                "; server_max_window_bits=9; server_max_window_bits=9",
                false,
                false,
            ),
            (
                "; client_max_window_bits=9; client_max_window_bits=9",
                false,
                false,
            ),
            (
                "; client_max_window_bits; client_max_window_bits=9",
                false,
                false,
            ),
            ("; unknown", false, false),
            ("; unknown=1", false, false),
            ("; Server_no_context_takeover", false, false),
            ("; server_max_window_bits=9; unknown", false, false),
            (
                "; client_max_window_bits=8; server_max_window_bits=15; \
                 client_no_context_takeover; server_no_context_takeover",
                true,
                true,
            ),
            (";", false, false),
            (" server_no_context_takeover", false, false),
            ("; server_no_context_takeover;", false, false),
        ];
        for (params, server, client) in matrix {
            assert_eq!(accepted(params), (server, client), "{params}");
        }
    }

    #[test]
    fn the_first_offer_that_is_well_formed_is_accepted() {
        let bad = "permessage-deflate; server_max_window_bits=16";
        let good = "permessage-deflate; server_max_window_bits=10";
        let (expected, _) = answer(&[good], &any()).expect("an offer");
        let both = format!("{bad}, {good}");
        let late = format!("{bad}, x-webkit-deflate-frame, {good}, permessage-deflate");
        let matrix: &[&[&str]] = &[
            &[&both],
            &[bad, good],
            &[&late],
            &["permessage-bzip2; a=1", good],
            // What cannot be read offers nothing, and spoils nothing else.
            &["permessage-deflate; a=\"", good],
            &["permessage-deflate, permessage deflate", good],
            &["", good, ""],
        ];
        for fields in matrix {
            let (answer, agreed) = answer(fields, &any()).expect("an offer");
            assert_eq!(answer, expected, "{fields:?}");
            assert_eq!(agreed.send.bits, 10, "{fields:?}");
        }
        let none: &[&[&str]] = &[
            &[],
            &[""],
            &[bad],
            &["constructor"],
            &["permessage-deflate2"],
            &["Permessage-Deflate"],
            &["permessage-deflate; a=\"b c\", permessage-deflate"],
        ];
        for fields in none {
            assert_eq!(answer(fields, &any()), None, "{fields:?}");
        }
    }

    #[test]
    fn a_server_gives_what_is_asked_and_asks_what_it_may() {
        const BOTH: &str = "server_no_context_takeover; client_no_context_takeover";
        let default = Deflate::default();
        let matrix = [
            // What a browser offers.
            (
                default,
                "; client_max_window_bits",
                format!("; {BOTH}; server_max_window_bits=12; client_max_window_bits=12"),
            ),
            // §7.1.2.2: a client that does not say that it can must not be told to.
            (default, "", format!("; {BOTH}; server_max_window_bits=12")),
            (
                default,
                "; server_max_window_bits=8; client_max_window_bits=9",
                format!("; {BOTH}; server_max_window_bits=8; client_max_window_bits=9"),
            ),
            (
                default,
                "; server_max_window_bits=15; client_max_window_bits=15",
                format!("; {BOTH}; server_max_window_bits=12; client_max_window_bits=12"),
            ),
            (any(), "", String::new()),
            (
                any(),
                "; server_no_context_takeover",
                "; server_no_context_takeover".into(),
            ),
            (
                any(),
                "; client_no_context_takeover; client_max_window_bits; server_max_window_bits=15",
                "; client_no_context_takeover; server_max_window_bits=15; client_max_window_bits=15"
                    .into(),
            ),
        ];
        for (config, params, expected) in matrix {
            let field = format!("permessage-deflate{params}");
            let (answer, _) = answer(&[&field], &config).expect("an offer");
            assert_eq!(answer, format!("permessage-deflate{expected}"), "{params}");
        }
    }

    #[test]
    fn a_client_refuses_what_it_has_not_offered() {
        let mut config = Deflate::default();
        config.send.bits = 11;
        config.receive.bits = 10;
        let full = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; \
                    client_max_window_bits=11";
        let less = "permessage-deflate; server_no_context_takeover; server_max_window_bits=8; \
                    client_max_window_bits=9; client_no_context_takeover";
        let resort = "permessage-deflate; server_no_context_takeover";
        // It has chosen by itself, as it may where it was not asked to.
        let chosen = "permessage-deflate; server_no_context_takeover; server_max_window_bits=11";
        for good in [full, less, resort, chosen] {
            assert!(
                matches!(checked(&[good], Some(&config)), Some(Some(_))),
                "{good}"
            );
        }
        // It accepted nothing.
        assert_eq!(checked(&[], Some(&config)), Some(None));
        assert_eq!(checked(&[], None), Some(None));

        let twice = format!("{resort}, {resort}");
        let bad: &[&[&str]] = &[
            &["permessage-deflate"],
            &["permessage-deflate; server_no_context_takeover; client_max_window_bits=12"],
            &["permessage-deflate; server_no_context_takeover; client_max_window_bits"],
            &["permessage-deflate; server_no_context_takeover; x=1"],
            &["x-webkit-deflate-frame"],
            &[resort, "x-webkit-deflate-frame"],
            &[resort, resort],
            &[&twice],
            &[resort, ""],
            &["permessage-deflate; server_no_context_takeover="],
            &[","],
            &[""],
        ];
        for fields in bad {
            assert_eq!(checked(fields, Some(&config)), None, "{fields:?}");
            assert_eq!(checked(fields, None), None, "{fields:?}");
        }
        assert_eq!(checked(&[full], None), None);
    }

    #[test]
    fn both_sides_draw_the_same_conclusions() {
        let windows =
            || (8..=15).flat_map(|bits| [true, false].map(|takeover| Window { bits, takeover }));
        let configs = || {
            windows().flat_map(|send| {
                windows().map(move |receive| Deflate {
                    send,
                    receive,
                    ..Deflate::default()
                })
            })
        };
        for client in configs().filter(Deflate::has_possible_windows) {
            let offers: Vec<String> = Offer::all(&client).map(|o| o.to_string()).collect();
            let fields: Vec<&str> = offers.iter().map(|offer| &**offer).collect();
            for server in configs().filter(Deflate::has_possible_windows) {
                let (field, at_server) = answer(&fields, &server).expect("an offer");
                let at_client = checked(&[&field], Some(&client)).expect("an answer");
                let mirrored = Agreed {
                    send: at_server.receive,
                    receive: at_server.send,
                };
                assert_eq!(at_client, Some(mirrored), "{fields:?} {field}");
                // Nobody gets more than it can, or than the other side allows.
                assert!(at_server.send.bits <= server.send.bits.min(client.receive.bits));
                assert!(at_server.receive.bits <= server.receive.bits.min(client.send.bits));
                assert!(!at_server.send.takeover || client.receive.takeover);
                assert!(!at_server.receive.takeover || client.send.takeover);
            }
        }
    }
}

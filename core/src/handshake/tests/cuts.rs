//! How the input is cut changes nothing, and no input makes anything panic.

use super::*;
use alloc::vec;
use proptest::{collection, prelude::*, sample};

/// Cuts `input` at these places, in whatever order they are.
fn cut<'a>(input: &'a [u8], cuts: &[sample::Index]) -> Vec<&'a [u8]> {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(input.len() + 1)).collect();
    at.extend([0, input.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect()
}

/// Requests that are well-formed for the most part.
fn request() -> impl Strategy<Value = Vec<u8>> {
    let pieces = sample::select(vec![
        "GET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\n",
        "\r\n",
        "\n",
        "\r",
        ":",
        " ",
        "\0",
        "\t",
        "Host: a\r\n",
        "Upgrade: websocket\r\n",
        "Connection: Upgrade\r\n",
        "Content-Length: 3\r\n",
        "abc",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "Sec-WebSocket-Version: 13\r\n",
        "Transfer-Encoding: chunked\r\n",
        "HTTP/1.1 101 X\r\n",
        "HTTP/1.1 403 X\r\n",
        "HTTP/1.1 100 X\r\n",
        "5\r\n",
        "0\r\n",
        "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
    ]);
    let start = sample::select(vec![
        "",
        "GET / HTTP/1.1\r\n",
        EXAMPLE,
        "HTTP/1.1 403 X\r\n",
        "HTTP/1.1 101 X\r\n",
    ]);
    (start, collection::vec(pieces, 0..12))
        .prop_map(|(start, pieces)| [start.as_bytes(), pieces.concat().as_bytes()].concat())
}

/// [`request`] with some bytes replaced.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let noise = collection::vec((any::<sample::Index>(), any::<u8>()), 0..3);
    (request(), noise).prop_map(|(mut bytes, noise)| {
        for (at, byte) in noise {
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
        }
        bytes
    })
}

const LIMITS: HttpLimits = HttpLimits {
    line: 30,
    fields: 8,
    head: 300,
    body: 4,
};

/// The first outcome, and what a client says to the end of the input after it.
type Outcome = (Option<Result<Answer, ConnectError>>, ConnectError);

/// The subprotocol, and where the server's answer ends.
type Answer = (Option<Box<str>>, usize);

fn connect(pieces: &[&[u8]]) -> Outcome {
    let url = Url::parse("ws://server.example.com/chat").unwrap();
    let mut client = ClientHandshake::new(&ClientRequest::new(&url), NONCE, LIMITS, DEADLINE);
    let mut given = 0;
    for piece in pieces {
        match client.handle_input(piece) {
            Ok(None) => given += piece.len(),
            Ok(Some(opened)) => {
                return (
                    Some(Ok((opened.subprotocol, given + opened.consumed))),
                    client.handle_eof(),
                );
            }
            Err(error) => return (Some(Err(error)), client.handle_eof()),
        }
    }
    (None, client.handle_eof())
}

proptest! {
    #[test]
    fn a_server_answers_the_same_however_the_input_is_cut(
        input in bytes(),
        cuts in collection::vec(any::<sample::Index>(), 0..6),
    ) {
        let whole = receive(&mut server(LIMITS), [&input[..]]);
        prop_assert_eq!(&whole, &receive(&mut server(LIMITS), cut(&input, &cuts)));
        prop_assert_eq!(&whole, &receive(&mut server(LIMITS), input.chunks(1)));
    }

    #[test]
    fn a_client_decides_the_same_however_the_input_is_cut(
        input in bytes(),
        cuts in collection::vec(any::<sample::Index>(), 0..6),
    ) {
        let whole = connect(&[&input]);
        prop_assert_eq!(&whole, &connect(&cut(&input, &cuts)));
        prop_assert_eq!(&whole, &connect(&input.chunks(1).collect::<Vec<_>>()));
    }

    #[test]
    fn whatever_a_server_accepts_ends_where_its_scan_ended(input in bytes()) {
        if let Some(Ok(summary)) = receive(&mut server(HttpLimits::default()), [&input[..]]) {
            let head = &input[..summary.end - summary.body.len()];
            prop_assert!(head.ends_with(b"\r\n\r\n"));
            let request = Request::parse(head, &HttpLimits::default()).unwrap();
            prop_assert_eq!(request.fields().count(), summary.fields.len());
            let line_feeds = head.iter().filter(|byte| **byte == b'\n').count();
            let leading = head.iter().take_while(|byte| byte.is_ascii_whitespace()).count() / 2;
            prop_assert_eq!(line_feeds - leading, summary.fields.len() + 2);
        }
    }

    #[test]
    fn any_url_parses_or_not(url in "(ws|wss|[a-z]*)(://)?[\\PC]{0,20}") {
        if let Ok(parsed) = Url::parse(&url) {
            let again = parsed.to_string();
            let again = Url::parse(&again).unwrap();
            prop_assert_eq!((again.host(), again.port()), (parsed.host(), parsed.port()));
            prop_assert_eq!((again.path(), again.query()), (parsed.path(), parsed.query()));
        }
    }
}

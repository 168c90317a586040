//! A client's opening handshake.

use sockeye_core::Time;
use sockeye_core::handshake::{
    ClientHandshake, ClientRequest, ConnectError, HttpLimits, Response, Url,
};

/// Any bytes as a server's answer, cut anywhere: the connection is open, or not, or nothing yet;
/// and the same however they are cut.
///
/// The first two bytes choose limits and cuts, the rest is the answer. The request has the nonce of
/// the example in RFC 6455 §1.3, so that the answer there is the right one.
pub fn handshake_client(data: &[u8]) {
    let Some(([limits, cuts], answer)) = data.split_first_chunk() else {
        return;
    };
    let limits = match limits % 4 {
        // So small that inputs of a few bytes meet them.
        0 => HttpLimits {
            line: 40,
            fields: 4,
            head: 200,
            body: 3,
        },
        _ => HttpLimits::default(),
    };
    let whole = receive(answer, answer.len(), limits);
    for width in [1, 2 + usize::from(cuts % 64)] {
        let cut = receive(answer, width, limits);
        assert_eq!(cut, whole, "in pieces of {width}");
    }
    if let Outcome::Opened { response, .. } = whole {
        assert_eq!(response.status(), 101);
        let accept = response.value("Sec-WebSocket-Accept");
        assert_eq!(accept, Some(b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".as_slice()));
    }
}

/// What came of the bytes.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// More bytes are needed; this is said if there are none.
    Waits(ConnectError),
    Failed(ConnectError),
    Opened {
        response: Response,
        subprotocol: Option<Box<str>>,
        consumed: usize,
    },
}

fn receive(bytes: &[u8], width: usize, limits: HttpLimits) -> Outcome {
    let url = Url::parse("ws://server.example.com/chat").expect("a URL");
    let request = ClientRequest::new(&url)
        .subprotocol("chat")
        .and_then(|request| request.subprotocol("superchat"))
        .expect("tokens");
    let deadline = Time::from_micros(1);
    let mut handshake = ClientHandshake::new(&request, *b"the sample nonce", limits, deadline);
    let mut before = 0;
    for piece in bytes.chunks(width.max(1)) {
        assert_eq!(handshake.poll_timeout(), Some(deadline));
        match handshake.handle_input(piece) {
            Ok(None) => before += piece.len(),
            Ok(Some(opened)) => {
                assert!(opened.consumed <= piece.len());
                assert_eq!(handshake.poll_timeout(), None);
                return Outcome::Opened {
                    response: opened.response,
                    subprotocol: opened.subprotocol,
                    consumed: before + opened.consumed,
                };
            }
            Err(error) => {
                assert_eq!(handshake.poll_timeout(), None);
                let _ = (error.to_string(), format!("{error:?}"));
                return Outcome::Failed(error);
            }
        }
    }
    Outcome::Waits(handshake.handle_eof())
}

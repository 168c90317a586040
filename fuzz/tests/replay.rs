//! Runs every target on its corpus, without the fuzzer.

use std::path::Path;

fn replay(name: &str, target: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    assert!(
        corpus.read_dir().expect("a corpus").next().is_some(),
        "{} is empty",
        corpus.display()
    );
    sockeye_fuzz::replay(&corpus, target).expect("readable");
}

#[test]
fn frame() {
    replay("frame", sockeye_fuzz::frame);
}

#[test]
fn handshake_server() {
    replay("handshake_server", sockeye_fuzz::handshake_server);
}

#[test]
fn handshake_client() {
    replay("handshake_client", sockeye_fuzz::handshake_client);
}

#[test]
fn deflate() {
    replay("deflate", sockeye_fuzz::deflate);
}

#[test]
fn extensions() {
    replay("extensions", sockeye_fuzz::extensions);
}

#[test]
fn connection() {
    replay("connection", sockeye_fuzz::connection);
}

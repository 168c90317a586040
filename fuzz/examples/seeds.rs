//! Writes the seed corpora: `cargo run --manifest-path fuzz/Cargo.toml --example seeds`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let kilobyte: Vec<u8> = (0..=255).collect();
    let large = kilobyte.repeat(256);
    // RFC 6455 §5.7, then the borders of each length form and the faults of each byte.
    write(
        "frame",
        &[
            ("text", b"\x81\x05Hello"),
            (
                "text_masked",
                b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            ),
            ("text_in_fragments", b"\x01\x03Hel\x80\x02lo"),
            ("ping", b"\x89\x05Hello"),
            (
                "pong_masked",
                b"\x8a\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58",
            ),
            ("binary_256", &[b"\x82\x7e\x01\x00", &*kilobyte].concat()),
            (
                "binary_64k",
                &[b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", &*large].concat(),
            ),
            ("empty", b"\x82\x00"),
            ("empty_masked", b"\x82\x80\x00\x00\x00\x00"),
            (
                "ping_between_fragments",
                b"\x01\x81\0\0\0\0a\x89\x81\0\0\0\0b\x80\x81\0\0\0\0c",
            ),
            ("close", b"\x88\x85\0\0\0\0\x03\xe8bye"),
            ("close_without_code", b"\x88\x00"),
            ("close_of_one_byte", b"\x88\x01\x03"),
            ("close_code_1005", b"\x88\x02\x03\xed"),
            (
                "text_cut_in_a_character",
                b"\x01\x82\0\0\0\0\xe2\x82\x80\x81\0\0\0\0\xac",
            ),
            ("text_not_utf8", b"\x81\x02\xc3\x28"),
            ("length_16_not_shortest", b"\x82\x7e\x00\x7d"),
            (
                "length_64_not_shortest",
                b"\x82\x7f\x00\x00\x00\x00\x00\x00\xff\xff",
            ),
            (
                "length_with_highest_bit",
                b"\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00",
            ),
            (
                "length_beyond_limit",
                b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\x01\x02\x03\x04",
            ),
            ("ping_of_126", b"\x89\x7e\x00\x7e"),
            ("ping_in_fragments", b"\x09\x00"),
            ("reserved_bit", b"\xc1\x00"),
            ("reserved_opcode", b"\x83\x00"),
            ("continuation_of_nothing", b"\x80\x00"),
        ],
    )?;

    // RFC 7692 §7.2.3 as frames of the target: 0 is compressed text, 4 goes on, 0x80 ends.
    write(
        "deflate",
        &[
            ("hello", b"\x02\x07\x80\x07\xf2\x48\xcd\xc9\xc9\x07\x00"),
            (
                "hello_in_fragments",
                b"\x01\x04\x00\x03\xf2\x48\xcd\x84\x04\xc9\xc9\x07\x00",
            ),
            (
                "hello_again",
                b"\x02\x07\x80\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x80\x05\xf2\x00\x11\x00\x00",
            ),
            (
                "hello_stored",
                b"\x00\x07\x82\x0b\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            ),
            (
                "hello_final",
                b"\x0a\x07\x80\x08\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
            ),
            (
                "hello_in_two_blocks",
                b"\x06\x00\x80\x0d\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            ),
            ("empty", b"\x00\x07\x80\x01\x00\x80\x00\x80\x02\x02\x00"),
            (
                "distance_before_the_start",
                b"\x00\x07\x80\x05\xf2\x00\x11\x00\x00",
            ),
            // What is not UTF-8, then what is no block: whole, and in pieces.
            (
                "two_faults",
                b"\x00\x07\x80\x09\x00\x02\x00\xfd\xff\xff?\x07\x00",
            ),
            (
                "two_faults_in_pieces",
                b"\x08\x07\x80\x09\x00\x02\x00\xfd\xff\xff?\x07\x00",
            ),
            (
                "plain_between",
                b"\x22\x07\xc0\x02hi\x80\x07\xf2\x48\xcd\xc9\xc9\x07\x00",
            ),
        ],
    )?;
    write(
        "extensions",
        &[
            ("browser", b"permessage-deflate; client_max_window_bits"),
            (
                "all",
                b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
                  server_max_window_bits=10; client_max_window_bits=\"11\"",
            ),
            (
                "several",
                b"permessage-deflate; server_max_window_bits=16, x; a=\"\\b\", permessage-deflate\n\
                  permessage-deflate; server_no_context_takeover",
            ),
            ("malformed", b"permessage-deflate; a=\"b c\"\npermessage-deflate;;\n,"),
        ],
    )?;

    // RFC 6455 §1.3, behind the two bytes that choose limits and cuts.
    let example = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Origin: http://example.com\r\nSec-WebSocket-Protocol: chat, superchat\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let handshake = |request: &str| [b"\x02\x05", request.as_bytes()].concat();
    write(
        "handshake_server",
        &[
            ("example", &handshake(example)),
            (
                "example_and_a_frame",
                &handshake(&(example.to_owned() + "\u{1}\u{3}Hel")),
            ),
            ("limits", &[b"\x00\x03", example.as_bytes()].concat()),
            ("few_fields", &[b"\x01\x03", example.as_bytes()].concat()),
            ("bare_line_feed", &handshake(&example.replace("\r\n", "\n"))),
            ("version_8", &handshake(&example.replace(": 13", ": 8"))),
            (
                "http_1_0",
                &handshake(&example.replace("HTTP/1.1", "HTTP/1.0")),
            ),
            ("post", &handshake(&example.replacen("GET", "POST", 1))),
            (
                "many_extensions",
                &handshake(&example.replace(
                    "Origin: http://example.com",
                    "Sec-WebSocket-Extensions: permessage-deflate; a=\"\\c\\c\", constructor",
                )),
            ),
            (
                "host_bracket",
                &handshake(&example.replace("server.example.com", "[::")),
            ),
            (
                "host_twice",
                &handshake(&example.replace("Origin:", "Host:")),
            ),
            (
                "folded",
                &handshake(&example.replace("Origin: ", "Origin:\r\n ")),
            ),
            (
                "with_body",
                &handshake(&example.replace("Origin: ", "Content-Length: 3\r\nOrigin: ")),
            ),
            (
                "chunked",
                &handshake(&example.replace("Origin: ", "Transfer-Encoding: chunked\r\nOrigin: ")),
            ),
            (
                "absolute",
                &handshake(&example.replace("/chat", "http://server.example.com/chat?a=b%00")),
            ),
            (
                "plain",
                &handshake(
                    "\r\nGET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; c\r\n\r\nGET / HTTP/1.1\r\n\r\n",
                ),
            ),
            (
                "plain_with_body",
                &handshake("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcd"),
            ),
            ("tls", &handshake("\u{16}\u{3}\u{1}\u{2}")),
            ("cut", &handshake(&example[..60])),
        ],
    )?;

    let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
        Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
        Sec-WebSocket-Protocol: chat\r\n\r\n";
    let refusal = "HTTP/1.1 403 Forbidden\r\nContent-Length: 3\r\n\r\nno!";
    write(
        "handshake_client",
        &[
            ("example", &handshake(answer)),
            (
                "example_and_a_frame",
                &handshake(&(answer.to_owned() + "\u{1}\u{3}Hel")),
            ),
            ("limits", &[b"\x00\x03", answer.as_bytes()].concat()),
            (
                "interim",
                &handshake(&("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n".to_owned() + answer)),
            ),
            ("wrong_key", &handshake(&answer.replace("s3p", "s3q"))),
            (
                "not_offered",
                &handshake(&answer.replace(": chat", ": other")),
            ),
            (
                "extension",
                &handshake(&answer.replace("Protocol: chat", "Extensions: permessage-deflate")),
            ),
            ("refusal", &handshake(refusal)),
            (
                "refusal_until_eof",
                &handshake(&refusal.replace("Content-Length: 3\r\n", "")),
            ),
            (
                "refusal_chunked",
                &handshake(
                    "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nno!\r\n0\r\nT: t\r\n\r\n",
                ),
            ),
            (
                "redirect",
                &handshake("HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
            ),
            ("bare_line_feed", &handshake(&answer.replace("\r\n", "\n"))),
            ("ssh", &handshake("SSH-2.0-OpenSSH\r\n")),
        ],
    )?;

    // Settings (1 client, 2 small limits, 4 chunks, 8 idle time-out, 16 no pings, 32 echo), the
    // way it ends, and operations as `src/connection/operation.rs` reads them.
    write("connection", &[
        ("hello", b"\x20\x00\x02\x83\x05Hello\x14"),
        ("hello_client", b"\x21\x00\x02\x83\x05Hello\x14"),
        ("fragments", b"\x20\x02\x02\x03\x03Hel\x02\x8b\x01p\x02\x80\x02lo\x14"),
        ("raw_frame", b"\x00\x00\x00\x0b\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("raw_frame_cut", b"\x00\x00\x00\x04\x81\x85\x37\xfa\x00\x07\x21\x3d\x7f\x9f\x4d\x51\x58"),
        ("chunks", b"\x04\x00\x02\x03\x03Hel\x02\x80\x02lo"),
        ("large", b"\x20\x00\x06\x87\x9c\x3fa\x14\x14"),
        ("large_client", b"\x21\x00\x06\x87\x9c\x3fa\x14\x14"),
        ("large_in_fragments", b"\x00\x00\x06\x07\x40\x00a\x06\x00\x40\x00b\x06\x80\x40\x00c"),
        ("small_limits", b"\x22\x00\x02\x87\xc8aaaa\x02\x87\xc8bbbb\x14\x02\x07\x01a\x02\x00\x01b\x02\x00\x01c\x02\x00\x01d"),
        ("send_all_ways", b"\x00\x00\x07\x00\x00\x02ab\x07\x01\x01\x02cd\x07\x02\x00\x02ef\x09\x01\x01\x10\x00g\x13\x07\x14"),
        (
                "ping_between_header_and_payload",
                b"\x00\x00\x09\x01\x01\x13\x88g\x13\x04\x0d\x01p\x13\x01\x0e\x01q\x13\x02\x14\x14",
            ),
            ("send_in_fragments", b"\x01\x00\x0a\x00\x0b\x02ab\x0d\x01p\x13\x03\x0c\x02cd\x14"),
        ("close_by_us", b"\x00\x02\x07\x00\x00\x02ab\x0f\x03\xe8\x03bye\x14"),
        ("close_by_peer", b"\x20\x00\x02\x83\x02hi\x02\x8f\x05\x03\xe8bye\x14\x14"),
        ("close_both", b"\x00\x00\x0f\x03\xe8\x00\x02\x8f\x02\x03\xe9\x14"),
        ("pause", b"\x20\x00\x10\x02\x83\x02hi\x02\x83\x02ho\x14\x11\x14"),
        ("pause_and_close", b"\x20\x01\x10\x02\x83\x02hi\x0f\x03\xe8\x00\x02\x83\x02ho"),
        ("keepalive", b"\x08\x01\x16\x13\x00\x16\x17\x14\x02\x8d\x00\x16\x14\x16"),
        ("silence", b"\x00\x01\x15\xff\xff\x16\x16\x16"),
        ("abort", b"\x00\x00\x07\x00\x00\x02ab\x12\x00"),
        ("error", b"\x00\x03\x07\x00\x00\x02ab"),
        ("eof", b"\x00\x00\x02\x03\x03Hel\x12\x02"),
        ("violation", b"\x00\x00\x07\x00\x00\x02ab\x00\x02\xc1\x00\x02\x83\x02hi\x14"),
        ("compressed", b"\x60\x00\x18\x00\x14aaaaaaaaaaaaaaaaaaaa\x18\x03\x0baaaaabbbbbb\x14"),
        ("compressed_client", b"\xe1\x00\x19\x00\x20\x00a\x19\xff\x20\x00a\x14"),
        ("compressed_in_pieces", b"\xc4\x00\x19\x00\x99\x00a\x10\x19\xff\x20\x00a\x11\x14"),
        ("compressed_by_hand", b"\x40\x00\x02\xc3\x07\xf2\x48\xcd\xc9\xc9\x07\x00\x02\xc3\x02\x07\x00"),
        ("compressed_is_too_big", b"\x42\x00\x19\x00\x03\x00a\x14"),
        ("not_utf8", b"\x00\x00\x02\x03\x02\xe2\x82\x02\x8b\x00\x02\x80\x01a"),
    ])
}

fn write(target: &str, seeds: &[(&str, &[u8])]) -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&corpus)?;
    for (name, seed) in seeds {
        fs::write(corpus.join(name), seed)?;
    }
    Ok(())
}

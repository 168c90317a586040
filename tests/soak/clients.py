"""The clients of the soak test, in a process of their own: a process has only so many descriptors.

Told by lines on standard input: `open COUNT` opens that many connections, each of which has an echo, and
`open COUNT deflated` such as compress; `begin` begins a message on each, which stays open after one byte; `close`
ends them in five ways in turn. Each is answered by one line.
"""

from __future__ import annotations

import socket
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent.parent / where) for where in ("support", "cli")]

from wire import CLOSE, DEFLATED, PING, REQUEST, TEXT, frame

FIN, RSV1 = 0x80, 0x40
GREETING = b"hello, " * 100

CLOSE_1000 = struct.pack(">H", 1000)
NOW = struct.pack("ii", 1, 0)
"""A linger of no time: closing resets the connection."""


def main() -> None:
    port = int(sys.argv[1])
    opened: list[socket.socket] = []
    for line in sys.stdin:
        match line.split():
            case ["open", count]:
                opened = [connect(port, number, greet) for number in range(int(count))]
            case ["open", count, "deflated"]:
                opened = [connect(port, number, greet_deflated, DEFLATED) for number in range(int(count))]
            case ["begin", kind]:
                for connection in opened:
                    begin(connection, RSV1 if kind == "deflated" else 0)
            case ["close"]:
                for number, connection in enumerate(opened):
                    end(connection, number)
                opened = []
            case _:
                raise ValueError(line)
        print("done", flush=True)


def connect(port: int, number: int, greet: Callable[..., None], request: bytes = REQUEST) -> socket.socket:
    # Several sources, so that their ports suffice although closed connections keep theirs for a while.
    source = f"127.0.1.{number % 16 + 1}"
    connection = socket.create_connection(("127.0.0.1", port), 30, (source, 0))
    connection.sendall(request)
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(connection)
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert (b"permessage-deflate" in head) == (request == DEFLATED), head
    greet(connection)
    return connection


def greet(connection: socket.socket) -> None:
    connection.sendall(frame(FIN | TEXT, b"hello"))
    expect(connection, b"\x81\x05hello")


def greet_deflated(connection: socket.socket) -> None:
    """RFC 7692 §7.2.1 and §7.2.2, without context takeover."""
    deflate = zlib.compressobj(wbits=-12)
    payload = deflate.compress(GREETING) + deflate.flush(zlib.Z_SYNC_FLUSH)
    connection.sendall(frame(FIN | RSV1 | TEXT, payload.removesuffix(b"\0\0\xff\xff")))
    echo = receive(connection)
    while len(echo) < 2 + echo[1]:
        echo += receive(connection)
    assert echo[0] == FIN | RSV1 | TEXT, echo
    inflate = zlib.decompressobj(wbits=-12)
    assert inflate.decompress(echo[2:] + b"\0\0\xff\xff") == GREETING


def begin(connection: socket.socket, rsv1: int) -> None:
    # A Ping may come in between, and its answer says that the byte has arrived.
    connection.sendall(frame(rsv1 | TEXT, b"\x42") + frame(FIN | PING, b""))
    expect(connection, b"\x8a\x00")


def end(connection: socket.socket, number: int) -> None:
    match number % 5:
        case 0:  # in good order
            connection.sendall(frame(0x80 | CLOSE, CLOSE_1000))
            expect(connection, b"\x88\x02" + CLOSE_1000)
            assert connection.recv(1) == b"", "the server closes first (RFC 6455 §7.1.1)"
        case 1:  # without a word
            pass
        case 2:  # in the middle of a message
            connection.sendall(frame(0x80 | TEXT, b"x" * 100)[:50])
        case 3:  # with a violation
            connection.sendall(b"\x81\x00")
            close = connection.recv(4096)
            assert close[0] == 0x88 and close[2:4] == struct.pack(">H", 1002), close
        case 4:  # by a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
    connection.close()


def expect(connection: socket.socket, wanted: bytes) -> None:
    got = b""
    while len(got) < len(wanted):
        got += receive(connection)
    assert got.startswith(wanted), got


def receive(connection: socket.socket) -> bytes:
    piece = connection.recv(4096)
    assert piece, "the server has closed"
    return piece


if __name__ == "__main__":
    main()

"""RFC 6455 by hand, for what a well-behaved library would not send."""

from __future__ import annotations

import socket
import struct

from echo import PATIENCE

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
DEFLATED = REQUEST.removesuffix(b"\r\n") + (
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
# The answer to the key above: RFC 6455 §1.3.
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

TEXT, BINARY, CLOSE, PING = 0x1, 0x2, 0x8, 0x9


class Peer:
    """A client on a plain socket, after the handshake."""

    def __init__(self, port: int, request: bytes = REQUEST) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._reader = self.socket.makefile("rb")
        self.socket.sendall(request)
        head = b"".join(iter(self._reader.readline, b"\r\n"))
        assert head.startswith(b"HTTP/1.1 101 ") and ACCEPT in head, head

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, opcode: int, payload: bytes) -> None:
        self.socket.sendall(frame(0x80 | opcode, payload))

    def receive(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame, which must be final and unmasked."""
        first, length = self._reader.read(2)
        assert first & 0xF0 == 0x80 and length < 128, (first, length)
        if length >= 126:
            form = ">H" if length == 126 else ">Q"
            (length,) = struct.unpack(form, self._reader.read(struct.calcsize(form)))
        return first & 0x0F, self._reader.read(length)

    def closed_with(self) -> int:
        """The code of the Close frame that comes next."""
        opcode, payload = self.receive()
        assert opcode == CLOSE, (opcode, payload)
        return struct.unpack(">H", payload[:2])[0]

    def ended(self) -> bool:
        """Whether the server closes its side, with nothing more to say."""
        return self._reader.read() == b""

    def echoes(self, payload: bytes = b"still there") -> bool:
        self.send(TEXT, payload)
        return self.receive() == (TEXT, payload)


def frame(first: int, payload: bytes, key: bytes = b"\x37\xfa\x21\x3d") -> bytes:
    """A masked frame with `first` as its first byte, whether or not that is legal."""
    length = len(payload)
    if length < 126:
        head = struct.pack(">BB", first, 0x80 | length)
    elif length < 1 << 16:
        head = struct.pack(">BBH", first, 0x80 | 126, length)
    else:
        head = struct.pack(">BBQ", first, 0x80 | 127, length)
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))

"""Python `websockets` against the echo program, each as server and as client."""

from __future__ import annotations

import ssl
import tempfile
import threading
import unittest
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import certificate
import echo
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory, ServerPerMessageDeflateFactory
from websockets.http11 import Request, Response
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import Server, ServerConnection, serve

MIB = 1 << 20

MESSAGES: list[str | bytes] = [
    "text",
    "žluťoučký kůň 🐟",
    b"binary \x00\xff",
    "",
    b"",
    "é" * (MIB // 2),
    bytes(range(256)) * (MIB // 256),
    "a" * 125,
    "a" * 126,
    b"b" * 65535,
    b"b" * 65536,
]
"""Both kinds, empty, around the borders of the length forms, and 1 MiB of each kind."""

LIMIT = 16 * MIB


def exchange(test: unittest.TestCase, peer: ClientConnection | ServerConnection) -> None:
    """Each message comes back as what it was: `str` is text, `bytes` is binary."""
    for message in MESSAGES:
        peer.send(message)
        answer = peer.recv(timeout=echo.PATIENCE)
        test.assertIs(type(answer), type(message))
        test.assertEqual(answer, message)


class AsClient(unittest.TestCase):
    """Their client, our server."""

    server: echo.Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.enterClassContext(echo.Server())

    def connect(self, **options: Any) -> ClientConnection:
        return connect(self.server.url, max_size=LIMIT, open_timeout=echo.PATIENCE, proxy=None, **options)

    def test_every_message_comes_back_as_it_was(self) -> None:
        with self.connect() as client:
            exchange(self, client)

    def test_a_message_in_fragments_comes_back_whole(self) -> None:
        with self.connect() as client:
            client.send(["fra", "", "gments"])
            self.assertEqual(client.recv(timeout=echo.PATIENCE), "fragments")
            client.send([b"a" * 70_000, b"b"])
            self.assertEqual(client.recv(timeout=echo.PATIENCE), b"a" * 70_000 + b"b")

    def test_pipelined_messages_keep_their_order(self) -> None:
        with self.connect() as client:
            for number in range(1000):
                client.send(str(number))
            answers = [client.recv(timeout=echo.PATIENCE) for _ in range(1000)]
        self.assertEqual(answers, [str(number) for number in range(1000)])

    def test_ping_is_answered(self) -> None:
        with self.connect() as client:
            self.assertTrue(client.ping().wait(echo.PATIENCE))

    def test_the_close_code_is_echoed(self) -> None:
        for code, reason in [(1000, "done"), (1001, ""), (4321, "our own")]:
            with self.subTest(code=code), self.connect() as client:
                client.close(code, reason)
                received = client.protocol.close_rcvd
                self.assertEqual(received.code if received else None, code)

    def test_what_is_too_long_is_refused_with_1009(self) -> None:
        with self.connect() as client:
            client.send(bytes(LIMIT))
            self.assertEqual(len(client.recv(timeout=echo.PATIENCE)), LIMIT)
        with self.connect() as client, self.assertRaises(ConnectionClosed):
            client.send(bytes(LIMIT + 1))
            client.recv(timeout=echo.PATIENCE)
        self.assertEqual(client.close_code, 1009)


class AsClientOverTls(AsClient):
    """The same over wss."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.certificate = certificate.make(Path(cls.enterClassContext(tempfile.TemporaryDirectory())))
        cls.server = cls.enterClassContext(echo.Server(*cls.certificate.flags))

    def connect(self, **options: Any) -> ClientConnection:
        trusted = ssl.create_default_context(cafile=self.certificate.chain)
        return super().connect(ssl=trusted, **options)

    def test_a_server_that_is_not_trusted_is_refused(self) -> None:
        with self.assertRaises(ssl.SSLCertVerificationError):
            super().connect(ssl=ssl.create_default_context())


class AsServer(unittest.TestCase):
    """Their server, our client: it echoes until the server closes."""

    scheme = "ws"
    flags: Sequence[str] = ()
    """What our client is told besides the URL."""
    context: ssl.SSLContext | None = None

    def visit(
        self,
        handler: Callable[[ServerConnection], None],
        *arguments: str,
        path: str = "/",
        **options: Any,
    ) -> tuple[int, str]:
        """Runs our client against `handler`; returns its exit code and what it said on stderr."""
        faults: list[BaseException] = []

        def watched(peer: ServerConnection) -> None:
            try:
                handler(peer)
            except BaseException as fault:
                faults.append(fault)
                raise

        with serve(watched, "127.0.0.1", 0, max_size=LIMIT, ssl=self.context, **options) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                url = f"{self.scheme}://{address(server)}{path}"
                done = echo.run("--connect", url, *self.flags, *arguments)
            finally:
                server.shutdown()
                thread.join()
        self.assertEqual(faults, [])
        self.assertIsNone(echo.crashed(done.returncode, done.stderr), done.stderr)
        return done.returncode, done.stderr

    def test_every_message_comes_back_as_it_was(self) -> None:
        code, stderr = self.visit(lambda peer: exchange(self, peer))
        self.assertEqual(code, 0, stderr)

    def test_the_close_code_is_echoed(self) -> None:
        seen: list[int | None] = []

        def close(peer: ServerConnection) -> None:
            peer.close(1000, "done")
            received = peer.protocol.close_rcvd
            seen.append(received.code if received else None)

        code, stderr = self.visit(close)
        self.assertEqual(code, 0, stderr)
        self.assertEqual(seen, [1000])

    def test_path_and_query_arrive_as_given(self) -> None:
        seen: list[str] = []
        code, stderr = self.visit(lambda peer: seen.append(peer.request.path), path="/runCase?case=1&agent=a%20b")
        self.assertEqual(code, 0, stderr)
        self.assertEqual(seen, ["/runCase?case=1&agent=a%20b"])

    def test_the_subprotocol_is_negotiated(self) -> None:
        seen: list[str | None] = []
        code, stderr = self.visit(
            lambda peer: seen.append(peer.subprotocol), "--subprotocol", "fish.v1", subprotocols=["fish.v1"]
        )
        self.assertEqual(code, 0, stderr)
        self.assertEqual(seen, ["fish.v1"])

    def test_ping_is_answered(self) -> None:
        def ping(peer: ServerConnection) -> None:
            assert peer.ping().wait(echo.PATIENCE)

        code, stderr = self.visit(ping)
        self.assertEqual(code, 0, stderr)

    def test_a_lost_connection_is_a_failure_in_one_sentence(self) -> None:
        code, stderr = self.visit(lambda peer: peer.socket.shutdown(2))
        self.assertNotEqual(code, 0)
        self.assertTrue(stderr.strip())

    def test_a_refusal_shows_status_and_body(self) -> None:
        def refuse(peer: ServerConnection, _: Request) -> Response:
            return peer.respond(403, "members only\n")

        code, stderr = self.visit(lambda peer: None, process_request=refuse)
        self.assertNotEqual(code, 0)
        self.assertIn("403", stderr)
        self.assertIn("members only", stderr)


class AsServerOverTls(AsServer):
    """The same over wss."""

    scheme = "wss"

    @classmethod
    def setUpClass(cls) -> None:
        made = certificate.make(Path(cls.enterClassContext(tempfile.TemporaryDirectory())))
        cls.flags = ["--tls-roots", str(made.chain)]
        cls.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        cls.context.load_cert_chain(made.chain, made.key)


TEXT = "compression finds again what it has seen " * 50
"""What compresses well."""

SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("--deflate", {}),
    ("--deflate=window=9,min=1", {"server_no_context_takeover": True, "client_no_context_takeover": True}),
    ("--deflate=takeover,window=15,min=1", {}),
    ("--deflate=takeover,window=15,level=9", {"server_max_window_bits": 9, "client_max_window_bits": 10}),
    ("--deflate=send-takeover,receive-window=9", {"server_max_window_bits": 9}),
]
"""What our side is told, and what theirs asks for."""


class Compression(unittest.TestCase):
    """Negotiated, used in both directions, and seen on the wire."""

    def check(self, peer: ClientConnection | ServerConnection, flag: str) -> None:
        """RSV1 both ways, and whether either side refers to earlier messages."""
        self.assertEqual([extension.name for extension in peer.protocol.extensions], ["permessage-deflate"])
        received, sent = tap(peer)
        exchange(self, peer)
        received.clear()
        sent.clear()
        for fragments in ([TEXT], [TEXT], [TEXT[:100], "", TEXT[100:]]):
            peer.send(fragments if len(fragments) > 1 else fragments[0])
            self.assertEqual(peer.recv(timeout=echo.PATIENCE), TEXT)
        theirs, ours = frames(sent), frames(received)
        self.assertEqual([first for first, _ in theirs if first & 0x0F], [0xC1, 0xC1, 0x41])
        self.assertEqual([first for first, _ in ours], [0xC1, 0xC1, 0xC1])
        both = "takeover" in flag
        for seen, takeover in [(ours, both), (theirs, both and "send-takeover" not in flag)]:
            lengths = [length for _, length in seen]
            self.assertLess(max(lengths), len(TEXT) // 4)
            if takeover:
                self.assertLess(lengths[1], lengths[0])
            else:
                self.assertEqual(lengths[1], lengths[0])

    def test_their_client(self) -> None:
        for flag, parameters in SETTINGS:
            with self.subTest(flag, **parameters), echo.Server(flag) as server:
                offer = ClientPerMessageDeflateFactory(**{"client_max_window_bits": True, **parameters})
                options = {"max_size": LIMIT, "open_timeout": echo.PATIENCE, "proxy": None}
                with connect(server.url, compression=None, extensions=[offer], **options) as client:
                    self.check(client, flag)

    def test_their_server(self) -> None:
        for flag, parameters in SETTINGS:
            faults: list[BaseException] = []

            def watched(peer: ServerConnection) -> None:
                try:
                    self.check(peer, flag)
                except BaseException as fault:
                    faults.append(fault)
                    raise

            # A server may ask of a client only what that offers.
            accept = ServerPerMessageDeflateFactory(**parameters)
            options = {"max_size": LIMIT, "compression": None, "extensions": [accept]}
            with self.subTest(flag, **parameters), serve(watched, "127.0.0.1", 0, **options) as server:
                thread = threading.Thread(target=server.serve_forever)
                thread.start()
                try:
                    done = echo.run("--connect", f"ws://{address(server)}/", flag)
                finally:
                    server.shutdown()
                    thread.join()
                self.assertEqual(faults, [])
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_who_does_not_ask_is_not_compressed_to(self) -> None:
        with echo.Server("--deflate") as server:
            with connect(server.url, compression=None, proxy=None) as client:
                self.assertEqual(client.protocol.extensions, [])
                received, _ = tap(client)
                client.send(TEXT)
                self.assertEqual(client.recv(timeout=echo.PATIENCE), TEXT)
                self.assertEqual([first for first, _ in frames(received)], [0x81])


def tap(peer: ClientConnection | ServerConnection) -> tuple[bytearray, bytearray]:
    """What the peer receives and sends from here on, as it is on the wire."""
    received, sent = bytearray(), bytearray()
    receive_data, data_to_send = peer.protocol.receive_data, peer.protocol.data_to_send

    def receiving(data: bytes) -> None:
        received.extend(data)
        receive_data(data)

    def sending() -> list[bytes]:
        writes = data_to_send()
        sent.extend(b"".join(writes))
        return writes

    peer.protocol.receive_data, peer.protocol.data_to_send = receiving, sending
    return received, sent


def frames(wire: bytearray) -> list[tuple[int, int]]:
    """The first byte of each frame, and how long its payload is."""
    found, at = [], 0
    while at < len(wire):
        first, second = wire[at], wire[at + 1]
        at += 2
        length = second & 0x7F
        extended = {126: 2, 127: 8}.get(length, 0)
        if extended:
            length = int.from_bytes(wire[at : at + extended])
        at += extended + (4 if second & 0x80 else 0) + length
        found.append((first, length))
    return found


def address(server: Server) -> str:
    host, port = server.socket.getsockname()
    return f"{host}:{port}"


if __name__ == "__main__":
    unittest.main(verbosity=2)

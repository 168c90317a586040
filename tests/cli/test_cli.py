"""What the echo program says and does at its edges: wrong input, signals, hostile peers."""

from __future__ import annotations

import base64
import hashlib
import resource
import select
import signal
import socket
import ssl
import struct
import tempfile
import threading
import time
import unittest
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import certificate
import echo
from wire import BINARY, CLOSE, DEFLATED, REQUEST, TEXT, Peer, frame

ECHO_LIMIT = 16 << 20


# A thousand connections, and the rest; where that is forbidden the test will say so.
_soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
if 0 <= _soft < 4096:
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096 if _hard < 0 else min(_hard, 4096), _hard))


class WrongInput(unittest.TestCase):
    """Each ends in one sentence that names what was wrong, and a code other than 0."""

    def refused(self, *arguments: str) -> str:
        done = echo.run(*arguments)
        self.assertIsNone(echo.crashed(done.returncode, done.stderr), done.stderr)
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(done.stdout, "")
        return done.stderr

    def refused_in_one_line(self, *arguments: str, names: str) -> None:
        stderr = self.refused(*arguments)
        self.assertEqual(len(stderr.splitlines()), 1, stderr)
        self.assertIn(names, stderr)

    def test_a_port_in_use(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            self.refused_in_one_line("--listen", address, names=address)

    def test_a_bad_address(self) -> None:
        for address in ["nonsense", "127.0.0.1:99999", "127.0.0.1", "256.0.0.1:0", ""]:
            with self.subTest(address=address):
                self.refused_in_one_line("--listen", address, names=address)

    def test_an_address_of_another_machine(self) -> None:
        # RFC 5737: TEST-NET-1 belongs to nobody, so not to this machine either.
        self.refused_in_one_line("--listen", "192.0.2.1:0", names="192.0.2.1:0")

    def test_an_unknown_flag(self) -> None:
        self.refused_in_one_line("--no-such-flag", names="--no-such-flag")

    def test_a_flag_without_its_value(self) -> None:
        self.refused_in_one_line("--listen", names="--listen")

    def test_values_that_make_no_sense(self) -> None:
        for flag, value in [
            ("--ping-interval", "-1"),
            ("--ping-interval", "0s"),
            ("--max-connections", "-1"),
            ("--max-message", "16XiB"),
            ("--threads", "0"),
            ("--subprotocol", "a b"),
            ("--subprotocol", "a,b"),
        ]:
            with self.subTest(flag=flag, value=value):
                named = "ping interval" if value == "0s" else flag
                self.refused_in_one_line(flag, value, names=named)

    def test_an_unknown_adapter(self) -> None:
        self.refused_in_one_line("--adapter", "steam", names="steam")

    def test_a_bad_url(self) -> None:
        for url in ["nonsense", "http://127.0.0.1/", "ws://", "ws://127.0.0.1:99999/", "ws://127.0.0.1/#part", ""]:
            with self.subTest(url=url):
                self.refused_in_one_line("--connect", url, names=url)

    def test_a_refused_connection(self) -> None:
        # Bound but not listening: nobody else can take the port, and connecting to it is refused.
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{bound.getsockname()[1]}"
            self.refused_in_one_line("--connect", f"ws://{address}/", names=address)

    def test_a_refusal_shows_status_headers_and_body(self) -> None:
        answer = b"HTTP/1.1 403 Forbidden\r\nX-Reason: no ticket\r\nContent-Length: 12\r\n\r\nmembers only"
        with answering(answer) as url:
            stderr = self.refused("--connect", url)
        self.assertIn("403", stderr)
        self.assertIn("x-reason: no ticket", stderr.lower())
        self.assertIn("members only", stderr)

    def test_a_server_that_does_not_speak_websocket(self) -> None:
        wrong_key = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        answers = {
            "a page": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
            "no HTTP": b"220 mail.example ESMTP\r\n\r\n",
            "nothing": b"",
            "half a head": b"HTTP/1.1 101 Swi",
            "no key": wrong_key + b"\r\n",
            "another key": wrong_key + b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
        }
        for name, answer in answers.items():
            with self.subTest(name), answering(answer) as url:
                self.assertTrue(self.refused("--connect", url).strip())

    def test_a_server_that_breaks_the_protocol(self) -> None:
        seen: list[bytes] = []

        def masked_frame(connection: socket.socket) -> None:
            reader = connection.makefile("rb")
            head = b"".join(iter(reader.readline, b"\r\n"))
            connection.sendall(accept(head) + frame(0x80 | TEXT, b"a server does not mask"))
            seen.append(reader.read())

        with serving(masked_frame) as url:
            self.assertTrue(self.refused("--connect", url).strip())
        # A masked Close frame with 1002 (RFC 6455 §7.4.1).
        self.assertEqual(seen[0][0], 0x80 | CLOSE)
        self.assertEqual(unmasked(seen[0])[:2], struct.pack(">H", 1002))

    def test_files_for_tls_that_cannot_be_used(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            missing, empty, noise = (str(Path(directory, name)) for name in ("missing", "empty", "noise"))
            Path(empty).write_bytes(b"")
            Path(noise).write_bytes(b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")
            for file in (missing, empty, noise):
                for adapter in ("tokio", "mio"):
                    with self.subTest(file=file, adapter=adapter):
                        tls = ("--adapter", adapter, "--tls-cert", file, "--tls-key", file)
                        self.refused_in_one_line("--listen", "127.0.0.1:0", *tls, names=file)
                        client = ("--adapter", adapter, "--connect", "wss://127.0.0.1:9/", "--tls-roots", file)
                        self.refused_in_one_line(*client, names=file)
                        self.assertEqual(echo.run(*client).returncode, 2)
        self.refused_in_one_line("--tls-cert", missing, names="--tls-key")
        self.refused_in_one_line("--tls-key", missing, names="--tls-cert")

    def test_a_server_that_does_not_speak_tls(self) -> None:
        with echo.Server() as server:
            url = server.url.replace("ws:", "wss:")
            self.refused_in_one_line("--connect", url, names="does not speak TLS")

    def test_help_names_every_flag_that_the_tests_use(self) -> None:
        done = echo.run("--help")
        self.assertEqual(done.returncode, 0)
        for flag in ["--listen", "--connect", "--adapter", "--subprotocol"]:
            self.assertIn(flag, done.stdout)


class Tls(unittest.TestCase):
    """The program on both ends of wss."""

    certificate: certificate.Certificate

    @classmethod
    def setUpClass(cls) -> None:
        cls.certificate = certificate.make(Path(cls.enterClassContext(tempfile.TemporaryDirectory())))

    def test_a_client_that_is_told_whom_to_trust_echoes_over_wss(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate.chain, self.certificate.key)
        seen: list[bytes] = []

        def converse(plain: socket.socket) -> None:
            with context.wrap_socket(plain, server_side=True) as connection, connection.makefile("rb") as reader:
                connection.sendall(accept(b"".join(iter(reader.readline, b"\r\n"))))
                connection.sendall(b"\x81\x08over TLS")
                seen.append(reader.read(2 + 4 + 8))
                connection.sendall(b"\x88\x02" + struct.pack(">H", 1000))
                seen.append(reader.read(2 + 4 + 2))

        with serving(converse) as url:
            done = echo.run("--connect", url.replace("ws:", "wss:"), "--tls-roots", str(self.certificate.chain))
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        self.assertEqual([unmasked(sent) for sent in seen], [b"over TLS", struct.pack(">H", 1000)])

    def test_a_server_that_nobody_vouches_for_is_refused(self) -> None:
        with echo.Server(*self.certificate.flags) as server, tempfile.TemporaryDirectory() as directory:
            self.assertTrue(server.url.startswith("wss://"), server.url)
            other = certificate.make(Path(directory))
            done = echo.run("--connect", server.url, "--tls-roots", str(other.chain))
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
        self.assertIn(server.url.removeprefix("wss://"), done.stderr)

    def test_the_program_serves_wss(self) -> None:
        trusted = ssl.create_default_context(cafile=self.certificate.chain)
        with (
            echo.Server(*self.certificate.flags) as server,
            socket.create_connection(("127.0.0.1", server.port), echo.PATIENCE) as plain,
            trusted.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
            connection.makefile("rb") as reader,
        ):
            connection.sendall(REQUEST)
            self.assertTrue(b"".join(iter(reader.readline, b"\r\n")).startswith(b"HTTP/1.1 101 "))
            connection.sendall(frame(0x80 | TEXT, b"hello"))
            self.assertEqual(reader.read(7), b"\x81\x05hello")


class Descriptors(unittest.TestCase):
    """The system gives no more of them."""

    LIMIT = 60

    def test_the_server_survives_and_goes_on_when_some_are_free_again(self) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(echo.Server(descriptors=self.LIMIT))
            peers: list[socket.socket] = []
            for _ in range(self.LIMIT + 20):
                peer = socket.create_connection(("127.0.0.1", server.port), echo.PATIENCE)
                peers.append(stack.enter_context(peer))
                peer.sendall(REQUEST)
            # Who is not accepted now will not be before somebody leaves. A thread of the server takes from a queue
            # of its own, so that they need not be the last.
            waiting = without_answer(peers, 1.5)
            self.assertGreaterEqual(len(waiting), 20)
            self.assertLess(len(waiting), self.LIMIT)
            warnings = server.stderr().count("cannot accept connections for now")
            self.assertEqual(warnings, 1, server.stderr())
            for peer in peers:
                if peer not in waiting:
                    peer.close()
            self.assertEqual(without_answer(waiting, echo.PATIENCE), [])
            with Peer(server.port) as late:
                self.assertTrue(late.echoes())


def without_answer(peers: list[socket.socket], patience: float) -> list[socket.socket]:
    """Those that have nothing to read within `patience` seconds."""
    deadline = time.monotonic() + patience
    waiting = list(peers)
    while waiting and (rest := deadline - time.monotonic()) > 0:
        ready, _, _ = select.select(waiting, [], [], rest)
        waiting = [peer for peer in waiting if peer not in ready]
    return waiting


class Signals(unittest.TestCase):
    """SIGTERM and Ctrl-C drain: everyone is told, and the exit code is 0."""

    def test_every_connection_is_told_1001(self) -> None:
        for how in [signal.SIGTERM, signal.SIGINT]:
            with self.subTest(how.name), echo.Server() as server:
                peers = [Peer(server.port) for _ in range(1000)]
                self.assertTrue(all(peer.echoes() for peer in peers))
                server.process.send_signal(how)
                for peer in peers:
                    with peer:
                        self.assertEqual(peer.closed_with(), 1001)
                        peer.send(CLOSE, struct.pack(">H", 1001))
                        self.assertTrue(peer.ended())
                self.assertEqual(server.ended(), 0)

    def test_peers_that_do_not_answer_do_not_hold_the_program_up(self) -> None:
        with echo.Server() as server, Peer(server.port) as silent, half_open(server.port):
            self.assertTrue(silent.echoes())
            self.assertEqual(server.stop(signal.SIGTERM), 0)
            self.assertEqual(silent.closed_with(), 1001)

    def test_without_connections_it_ends_at_once(self) -> None:
        for how in [signal.SIGTERM, signal.SIGINT]:
            with self.subTest(how.name), echo.Server() as server:
                self.assertEqual(server.stop(how), 0)

    def test_the_port_is_free_again(self) -> None:
        with echo.Server() as server, Peer(server.port) as peer:
            self.assertTrue(peer.echoes())
            port = server.port
            self.assertEqual(server.stop(), 0)
        with socket.create_server(("127.0.0.1", port)):
            pass


class HostilePeers(unittest.TestCase):
    """One peer breaks the rules, is told which, and another notices nothing."""

    VIOLATIONS: dict[str, tuple[bytes, int]] = {
        "no mask": (b"\x81\x05Hello", 1002),
        "RSV1 that nobody agreed on": (frame(0xC1, b"Hello"), 1002),
        "a reserved opcode": (frame(0x83, b""), 1002),
        "a ping in fragments": (frame(0x09, b""), 1002),
        "a ping of 126 bytes": (frame(0x89, bytes(126)), 1002),
        "a continuation of nothing": (frame(0x80, b"Hello"), 1002),
        "a message inside a message": (frame(0x01, b"Hel") + frame(0x81, b"lo"), 1002),
        "a length that is not minimal": (b"\x81\xfe\x00\x01\0\0\0\0a", 1002),
        "a length with its highest bit": (b"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 1002),
        "a close code that may not be sent": (frame(0x88, struct.pack(">H", 1005)), 1002),
        "a close of one byte": (frame(0x88, b"\x03"), 1002),
        "text that is not UTF-8": (frame(0x81, b"\xc0\xaf"), 1007),
        "a reason that is not UTF-8": (frame(0x88, b"\x03\xe8\xff"), 1007),
        "too long, by its header alone": (struct.pack(">BBQI", 0x82, 0xFF, ECHO_LIMIT + 1, 0), 1009),
    }

    server: echo.Server

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = cls.enterClassContext(echo.Server())

    def test_each_violation_has_its_code_and_costs_the_others_nothing(self) -> None:
        with Peer(self.server.port) as bystander:
            for name, (sent, code) in self.VIOLATIONS.items():
                with self.subTest(name), Peer(self.server.port) as peer:
                    self.assertTrue(peer.echoes())
                    peer.socket.sendall(sent)
                    self.assertEqual(peer.closed_with(), code)
                    peer.socket.shutdown(socket.SHUT_WR)
                    self.assertTrue(peer.ended())
                    self.assertTrue(bystander.echoes())

    def test_what_follows_a_violation_does_not_destroy_the_close(self) -> None:
        with Peer(self.server.port) as peer:
            peer.socket.sendall(frame(0xC1, b"Hello") + frame(0x80 | BINARY, bytes(100_000)))
            self.assertEqual(peer.closed_with(), 1002)
            peer.socket.shutdown(socket.SHUT_WR)
            self.assertTrue(peer.ended())

    def test_what_is_not_http_is_answered_with_400(self) -> None:
        with Peer(self.server.port) as bystander:
            for sent in [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"GET / HTTP/1.1\nHost: a\n\n"]:
                with (
                    self.subTest(sent),
                    socket.create_connection(("127.0.0.1", self.server.port), echo.PATIENCE) as raw,
                ):
                    raw.sendall(sent)
                    self.assertTrue(raw.makefile("rb").read().startswith(b"HTTP/1.1 400 "))
            self.assertTrue(bystander.echoes())

    def test_peers_that_vanish_cost_the_others_nothing(self) -> None:
        with Peer(self.server.port) as bystander:
            for _ in range(50):
                with Peer(self.server.port) as peer:
                    # A reset, not an orderly end.
                    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    peer.socket.sendall(frame(0x01, b"cut in the mid"))
            self.assertTrue(bystander.echoes())


class Bombs(unittest.TestCase):
    """Compressed messages that stand for more than may be, or for nothing at all, end with 1009 and flat memory."""

    LIMIT = 64 << 10
    ROUNDS = 20
    WARM = 32 * LIMIT
    """What the peak of resident memory may grow by at first: what a thread keeps for later messages."""
    ROOM = 8 * LIMIT
    """And from then on."""

    def test_they_end_with_1009_and_cost_no_memory(self) -> None:
        bombs = {
            "one byte over the limit": [compressed(bytes(self.LIMIT + 1))],
            "a thousand times the limit": [compressed(bytes(1000 * self.LIMIT))],
            # A fragment for each kilobyte of empty blocks, without end.
            "nothing for ever": [frame(0x42, NOTHING)] + [frame(0x00, NOTHING)] * (2 * self.LIMIT // len(NOTHING)),
        }
        self.assertLess(max(map(len, bombs["a thousand times the limit"])), self.LIMIT * 17 // 16)
        with echo.Server("--deflate", "--max-message", str(self.LIMIT), "--threads", "1") as server:
            with Peer(server.port, DEFLATED) as bystander:
                before = peak(server.process.pid)
                for frames in [*bombs.values()] * self.ROUNDS:
                    self.explode(server, frames)
                    self.assertTrue(bystander.echoes())
                self.assertLessEqual(peak(server.process.pid) - before, self.WARM)
                for name, frames in bombs.items():
                    with self.subTest(name):
                        before = peak(server.process.pid)
                        for _ in range(self.ROUNDS):
                            self.explode(server, frames)
                            self.assertTrue(bystander.echoes())
                        grown = peak(server.process.pid) - before
                        self.assertLessEqual(grown, self.ROOM)

    def explode(self, server: echo.Server, frames: list[bytes]) -> None:
        with Peer(server.port, DEFLATED) as peer:
            for piece in frames:
                peer.socket.sendall(piece)
            self.assertEqual(peer.closed_with(), 1009)


NOTHING = b"\x00\x00\x00\xff\xff" * 200
"""Stored blocks of no bytes (RFC 1951 §3.2.4)."""


def compressed(message: bytes) -> bytes:
    """One frame."""
    deflate = zlib.compressobj(level=9, wbits=-12)
    payload = deflate.compress(message) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return frame(0xC2, payload.removesuffix(b"\0\0\xff\xff"))


def peak(pid: int) -> int:
    """The most bytes of memory that the process has ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


@contextmanager
def half_open(port: int) -> Iterator[None]:
    """A connection that has sent half a request."""
    with socket.create_connection(("127.0.0.1", port), echo.PATIENCE) as raw:
        raw.sendall(REQUEST[: len(REQUEST) // 2])
        yield


@contextmanager
def serving(handle: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server for one connection; gives its URL."""

    def serve() -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return  # Nobody came.
        with connection:
            connection.settimeout(echo.PATIENCE)
            handle(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(echo.PATIENCE)
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def answering(answer: bytes) -> AbstractContextManager[str]:
    """A server that reads a request, answers with these bytes, and closes."""

    def handle(connection: socket.socket) -> None:
        for _ in iter(connection.makefile("rb").readline, b"\r\n"):
            pass
        connection.sendall(answer)

    return serving(handle)


def accept(request: bytes) -> bytes:
    """The right answer to a client's handshake (RFC 6455 §4.2.2)."""
    key = next(
        line.split(b":")[1].strip() for line in request.splitlines() if line.lower().startswith(b"sec-websocket-key:")
    )
    digest = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )


def unmasked(sent: bytes) -> bytes:
    """The payload of one short masked frame."""
    length = sent[1] & 0x7F
    key, payload = sent[2:6], sent[6 : 6 + length]
    return bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))


if __name__ == "__main__":
    unittest.main()

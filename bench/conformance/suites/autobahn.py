"""Autobahn's test suite over wss, in front of Autobahn's own echo server."""

import asyncio
import base64
import hashlib
import importlib.metadata
import os
import ssl
import sys

import autobahn_cases
import fuzzer
from stage import HOST, ROOT, Authority, Outcome, free_port, service

NAME = "Autobahn over wss"
EXCEPTIONS = {}
LEFT_OUT = {
    "12.*, 13.*": "compression is between client and replica, and passes Tidegate unread",
}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
AT_ONCE = 4


class Transport(asyncio.Protocol):
    """A connection by HTTP/1.1 upgrade, for a fuzzer."""

    def __init__(self, fuzzer):
        self.fuzzer = fuzzer
        self.key = base64.b64encode(os.urandom(16))
        self.head = b""
        self.is_open = False

    def connection_made(self, transport):
        self.transport = transport
        lines = [
            b"GET / HTTP/1.1",
            b"Host: " + HOST.encode(),
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: " + self.key,
            b"Sec-WebSocket-Version: 13",
            b"",
            b"",
        ]
        transport.write(b"\r\n".join(lines))

    def data_received(self, data):
        if self.is_open:
            return self.fuzzer.received(data)
        self.head += data
        head, found, rest = self.head.partition(b"\r\n\r\n")
        if not found:
            return
        accept = base64.b64encode(hashlib.sha1(self.key + GUID).digest())
        if not head.startswith(b"HTTP/1.1 101") or accept not in head:
            self.fuzzer.violation = f"the handshake got {head[:60]!r}"
            return self.transport.abort()
        self.is_open = True
        self.fuzzer.opened(self.transport)
        if rest:
            self.fuzzer.received(rest)

    def connection_lost(self, _):
        self.fuzzer.lost()


def run(stage):
    cases = autobahn_cases.load()
    edge, authority = site(stage)
    context = ssl.create_default_context(cafile=authority.root)
    context.set_alpn_protocols(["http/1.1"])

    async def connect(fuzzer):
        loop = asyncio.get_running_loop()
        await loop.create_connection(
            lambda: Transport(fuzzer), "127.0.0.1", edge.https, ssl=context, server_hostname=HOST
        )

    outcome = Outcome(importlib.metadata.version("autobahntestsuite"))
    asyncio.run(fuzzer.play_all(outcome, cases, connect, AT_ONCE))
    outcome.add("all cases were loaded", len(cases) > 290, str(len(cases)))
    return outcome


def site(stage):
    """A Tidegate with TLS in front of the echo server."""
    port = free_port()
    stage.process("echo", sys.executable, ROOT / "bench/conformance/echo.py", port)
    authority = Authority(stage.folder)
    pair = authority.certificate("site", HOST)
    edge = stage.edge({"tls": {"certificates": [pair]}, "services": {"echo": service(f"127.0.0.1:{port}")}})
    return edge, authority

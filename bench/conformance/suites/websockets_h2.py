"""Autobahn's test suite over WebSockets in streams of HTTP/2 (RFC 8441), by Python's h2."""

import asyncio
import importlib.metadata
import ssl

import h2.config
import h2.connection
import h2.events
from h2.settings import SettingCodes

import autobahn_cases
import fuzzer
from stage import HOST, Outcome
from suites import autobahn

NAME = "Autobahn over HTTP/2 (RFC 8441)"
EXCEPTIONS = {}
LEFT_OUT = autobahn.LEFT_OUT
CANCEL = 0x8


class Stream(asyncio.Protocol):
    """A connection with one stream, which is a transport for a fuzzer."""

    def __init__(self, fuzzer):
        self.fuzzer = fuzzer
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.stream = None
        self.outbox = bytearray()
        self.is_over = False

    def connection_made(self, transport):
        self.transport = transport
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data):
        for event in self.h2.receive_data(data):
            self.happened(event)
        if not self.is_over:
            self.send()

    def happened(self, event):
        if isinstance(event, h2.events.RemoteSettingsChanged) and self.stream is None:
            self.begin()
        elif isinstance(event, h2.events.ResponseReceived):
            status = dict(event.headers)[":status"]
            if status == "200":
                self.fuzzer.opened(self)
            else:
                self.fuzzer.violation = f"CONNECT got {status}"
                self.abort()
        elif isinstance(event, h2.events.DataReceived):
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.fuzzer.received(event.data)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
            self.end()

    def begin(self):
        if not self.h2.remote_settings.get(SettingCodes.ENABLE_CONNECT_PROTOCOL):
            self.fuzzer.violation = "SETTINGS without ENABLE_CONNECT_PROTOCOL"
            return self.abort()
        self.stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(
            self.stream,
            [
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", HOST),
                ("sec-websocket-version", "13"),
            ],
        )
        self.flush()

    def connection_lost(self, _):
        self.end()

    def end(self):
        if not self.is_over:
            self.is_over = True
            self.transport.close()
            self.fuzzer.lost()

    # --- the fuzzer's transport ---

    def write(self, data):
        self.outbox += data
        if not self.is_over:
            self.send()

    def send(self):
        """Sends what the windows have room for."""
        while self.outbox and self.stream is not None:
            room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
            if room <= 0:
                break
            self.h2.send_data(self.stream, bytes(self.outbox[:room]))
            del self.outbox[:room]
        self.flush()

    def abort(self):
        if self.stream is not None and not self.is_over:
            self.h2.reset_stream(self.stream, CANCEL)
            self.flush()
        self.end()

    def flush(self):
        self.transport.write(self.h2.data_to_send())


def run(stage):
    cases = autobahn_cases.load()
    edge, authority = autobahn.site(stage)
    context = ssl.create_default_context(cafile=authority.root)
    context.set_alpn_protocols(["h2"])

    async def connect(fuzzer):
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: Stream(fuzzer), "127.0.0.1", edge.https, ssl=context, server_hostname=HOST)

    outcome = Outcome(importlib.metadata.version("autobahntestsuite"))
    asyncio.run(fuzzer.play_all(outcome, cases, connect, autobahn.AT_ONCE))
    outcome.add("all cases were loaded", len(cases) > 290, str(len(cases)))
    return outcome

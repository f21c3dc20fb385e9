"""A client's HTTP/2 connection of raw frames, which may be wrong in every way."""

import socket
import ssl
import struct
import time

import hpack

from stage import HOST

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, WITH_PRIORITY = 0x4, 0x8, 0x20
NO_ERROR, PROTOCOL, INTERNAL, FLOW_CONTROL, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE, REFUSED = range(8)
COMPRESSION, CALM = 0x9, 0xB
CODES = {
    NO_ERROR: "NO_ERROR",
    PROTOCOL: "PROTOCOL_ERROR",
    INTERNAL: "INTERNAL_ERROR",
    FLOW_CONTROL: "FLOW_CONTROL_ERROR",
    SETTINGS_TIMEOUT: "SETTINGS_TIMEOUT",
    STREAM_CLOSED: "STREAM_CLOSED",
    FRAME_SIZE: "FRAME_SIZE_ERROR",
    REFUSED: "REFUSED_STREAM",
    0x8: "CANCEL",
    COMPRESSION: "COMPRESSION_ERROR",
    CALM: "ENHANCE_YOUR_CALM",
}
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 0x3, 0x4, 0x5
WITHIN_SECONDS = 5
# Silence of a server that has nothing to object.
QUIET_SECONDS = 0.3


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(*pairs):
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", *pair) for pair in pairs))


def u32(number):
    return struct.pack(">I", number)


def fields(path="/", method="GET", more=(), scheme="https", authority=HOST):
    pseudo = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)]
    return [pair for pair in pseudo if pair[1] is not None] + list(more)


def block(pairs):
    """HPACK without its tables and without Huffman, which takes any bytes."""
    out = b""
    for name, value in pairs:
        out += b"\x00" + text(name) + text(value)
    return out


def text(value):
    value = value if isinstance(value, bytes) else value.encode()
    return number(len(value), 7) + value


def number(value, bits, first=0):
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([first | value])
    out, value = [first | limit], value - limit
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + [value])


def request(stream=1, pairs=None, flags=END_STREAM | END_HEADERS):
    return frame(HEADERS, flags, stream, block(fields() if pairs is None else pairs))


def post(stream=1, path="/echo", more=()):
    """The head of a request whose body follows."""
    return request(stream, fields(path, "POST", more), END_HEADERS)


class Wire:
    """Connected, with prefaces and settings exchanged unless `is_bare`."""

    def __init__(self, edge, own=(), is_bare=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", edge.https), WITHIN_SECONDS)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = context.wrap_socket(raw, server_hostname=HOST)
        assert self.socket.selected_alpn_protocol() == "h2"
        self.inbox = b""
        self.frames = []
        self.is_closed = False
        self.decoder = hpack.Decoder()
        self.heads = {}
        self.theirs = {}
        if not is_bare:
            self.send(PREFACE, settings(*own))
            self.until(lambda got: got[0] == SETTINGS and not got[1] & ACK, "settings")
            self.send(frame(SETTINGS, ACK))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *frames):
        try:
            self.socket.sendall(b"".join(frames))
        except OSError:
            # The reason is in frames that are still to be read.
            pass

    def read(self, deadline):
        """The next frame as (kind, flags, stream, payload); None: closed, or nothing by then."""
        while True:
            if len(self.inbox) >= 9:
                size = int.from_bytes(self.inbox[:3], "big")
                if len(self.inbox) >= 9 + size:
                    kind, flags, stream = struct.unpack(">BBI", self.inbox[3:9])
                    payload, self.inbox = self.inbox[9 : 9 + size], self.inbox[9 + size :]
                    return self.note((kind, flags, stream, payload))
            left = deadline - time.monotonic()
            if left <= 0 or self.is_closed:
                return None
            self.socket.settimeout(left)
            try:
                got = self.socket.recv(1 << 16)
            except TimeoutError:
                return None
            except OSError:
                got = b""
            self.is_closed = not got
            self.inbox += got

    def note(self, got):
        kind, flags, stream, payload = got
        self.frames.append(got)
        if kind == SETTINGS and not flags & ACK:
            self.theirs.update(struct.iter_unpack(">HI", payload))
        elif kind == HEADERS:
            head = self.decoder.decode(payload)
            self.heads.setdefault(stream, []).append({name: value for name, value in head})
        return got

    def until(self, wanted, words, within=WITHIN_SECONDS):
        deadline = time.monotonic() + within
        while got := self.read(deadline):
            if wanted(got):
                return got
        raise AssertionError(f"{words} did not come, but {self.story()}")

    def first(self, wanted, words):
        """Like `until`, also among the frames that have been read."""
        found = next(filter(wanted, self.frames), None)
        return found or self.until(wanted, words)

    def glance(self):
        """Reads all that is here already."""
        while self.read(time.monotonic() + 0.001):
            pass

    def grown(self, stream):
        """Growth of a window so far, in bytes."""
        updates = [got for got in self.frames if got[0] == WINDOW_UPDATE and got[2] == stream]
        return sum(int.from_bytes(got[3], "big") for got in updates)

    def story(self):
        """Frames so far, in words."""
        words = []
        for kind, flags, stream, payload in self.frames:
            if kind == GOAWAY:
                words.append(f"GOAWAY {code(payload[4:8])}")
            elif kind == RST_STREAM:
                words.append(f"RST_STREAM {code(payload)} on {stream}")
            elif kind == HEADERS:
                words.append(f"HEADERS {self.heads[stream][0].get(':status', '')} on {stream}")
            elif kind == DATA:
                words.append(f"DATA of {len(payload)} on {stream}")
        return ", ".join(words[-6:] or ["nothing"]) + (", then the end" if self.is_closed else "")

    # --- expectations ---

    def ends(self, *codes):
        """The connection ends with GOAWAY and one of these codes, and is then closed."""
        got = self.first(is_end, "GOAWAY")
        expect(got, codes)
        self.closes()

    def closes(self):
        """With GOAWAY or without."""
        deadline = time.monotonic() + WITHIN_SECONDS
        while self.read(deadline):
            pass
        assert self.is_closed, f"the connection stays open after {self.story()}"

    def resets(self, stream, *codes):
        """The stream ends with one of these codes, or the whole connection does (RFC 9113, 5.4.1)."""
        got = self.first(lambda got: got[0] == RST_STREAM and got[2] == stream or is_end(got), "RST_STREAM")
        expect(got, codes)
        if got[0] == RST_STREAM:
            self.lives()

    def refuses(self, stream, *codes):
        """The request is reset as malformed, or gets an answer 4xx (RFC 9113, 8.1.1)."""
        got = self.until(
            lambda got: got[2] == stream and got[0] in [RST_STREAM, HEADERS] or got[0] == GOAWAY, "RST_STREAM or 4xx"
        )
        if got[0] == HEADERS:
            status = self.heads[stream][0][":status"]
            assert status.startswith("4") or status == "501", f"the request got {status}"
        else:
            expect(got, codes or [PROTOCOL])
        if got[0] != GOAWAY:
            self.lives()

    def answers(self, stream, status="200"):
        """The whole answer has this status; returns its body."""
        self.until(
            lambda got: got[2] == stream and got[0] in [HEADERS, DATA] and got[1] & END_STREAM, f"answer {stream}"
        )
        found = self.heads[stream][0][":status"]
        assert found == status, f"status {found}"
        return b"".join(got[3] for got in self.frames if got[0] == DATA and got[2] == stream)

    def lives(self):
        """A PING is answered, so everything before was read and the connection goes on."""
        mark = struct.pack(">d", time.monotonic())
        self.send(frame(PING, payload=mark))
        self.until(lambda got: got[0] == PING and got[1] & ACK and got[3] == mark, "PING's answer")

    def quiet(self):
        """Reads on until nothing comes any more."""
        while self.read(time.monotonic() + QUIET_SECONDS):
            pass


def is_end(got):
    return got[0] == GOAWAY and got[3][4:8] != u32(NO_ERROR)


def expect(got, codes):
    words = "GOAWAY " if got[0] == GOAWAY else ""
    found = int.from_bytes(got[3][4:8] if got[0] == GOAWAY else got[3], "big")
    assert found in codes, f"{words}{CODES.get(found, found)} instead of {names(codes)}"


def code(raw):
    value = int.from_bytes(raw, "big")
    return CODES.get(value, hex(value))


def names(codes):
    return " or ".join(CODES[one] for one in codes)

"""Wrong and odd frames of HTTP/2, each with the outcome that RFC 9113, 7541 or 8441 wants."""

import importlib.metadata
import socket

import hpack
import h2.config
import h2.connection
import h2.events

from stage import HOST, Outcome, service, site_over_tls
from wire import *

NAME = "HTTP/2 frames (Python's h2, hpack)"
# The library is the crate h2, which Tidegate shares with hyper.
GENERIC = "the library ends connections with the code PROTOCOL_ERROR in place of the narrower one"
EXCEPTIONS = {
    "*: AssertionError: GOAWAY PROTOCOL_ERROR instead of *": GENERIC,
    "3.4 another frame before SETTINGS: *": "the library waits for no SETTINGS",
    "8.3 a pseudo-header in trailers: *": "the library drops it",
    "8.2.1 a * in a value: AssertionError: the request got 200*": "replicas get such a value as it is, and strip it as "
    "HTTP/1.1 and gRPC have it",
    "8.3.1 host differs from :authority: *": "a replica gets :authority as its only Host, and the RFC says SHOULD",
}
LEFT_OUT = {}
CASES = []


def case(name):
    def add(function):
        CASES.append((name, function))
        return function
    return add


def wrong(name, *frames, ends=(), resets=(), refuses=False, stream=1, own=()):
    """A case in which `frames` end the connection or a stream with one of these codes."""
    def play(edge):
        with Wire(edge, own) as wire:
            wire.send(*frames)
            if ends:
                wire.ends(*ends)
            elif refuses:
                wire.refuses(stream)
            else:
                wire.resets(stream, *resets)
    CASES.append((name, play))


def fine(name, *frames, own=(), answers=False):
    """A case in which `frames` have no effect, or are a good request on stream 1."""
    def play(edge):
        with Wire(edge, own) as wire:
            wire.send(*frames)
            if answers:
                wire.answers(1)
            wire.lives()
    CASES.append((name, play))


# A stream whose answer waits for a window, so that it stays half-closed.
NO_WINDOW = [(INITIAL_WINDOW_SIZE, 0)]
WAITS = request(1, fields("/bytes/1000"))

# --- 3.4 preface ---


@case("3.4 the server's first frame is SETTINGS")
def first_frame(edge):
    with Wire(edge) as wire:
        assert wire.frames[0][0] == SETTINGS


@case("3.4 a wrong preface")
def wrong_preface(edge):
    with Wire(edge, is_bare=True) as wire:
        wire.send(b"INVALID CONNECTION PREFACE\r\n\r\n")
        wire.closes()


@case("3.4 another frame before SETTINGS")
def no_settings(edge):
    with Wire(edge, is_bare=True) as wire:
        wire.send(PREFACE, request(1))
        wire.ends(PROTOCOL)


# --- 4 frames ---

fine("4.1 an unknown type of frame", frame(0x16, 0, 0, b"12345678"), request(1), answers=True)
fine("4.1 unknown flags", frame(PING, 0x16, 0, b"12345678"), request(1), answers=True)
fine("4.1 the reserved bit of a stream's number", frame(PING, 0, 1 << 31, b"12345678"), request(1), answers=True)
fine("4.2 DATA of 16384 bytes", post(1), frame(DATA, END_STREAM, 1, bytes(1 << 14)), answers=True)
wrong("4.2 DATA of 16385 bytes", post(1), frame(DATA, END_STREAM, 1, bytes((1 << 14) + 1)), resets=[FRAME_SIZE])
wrong(
    "4.2 HEADERS of 16385 bytes",
    request(1, fields(more=[("x-long", "a" * (1 << 14))])),
    ends=[FRAME_SIZE],
)
wrong("4.3 a block that HPACK does not know", frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"), ends=[COMPRESSION])
wrong(
    "4.3 PRIORITY amid a block", request(1, flags=END_STREAM), frame(PRIORITY, 0, 1, u32(0) + b"\x0f"),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])), ends=[PROTOCOL],
)
wrong("4.3 HEADERS of another stream amid a block", request(1, flags=END_STREAM), request(3), ends=[PROTOCOL])
wrong("4.3 DATA amid a block", request(1, fields(method="POST"), 0), frame(DATA, END_STREAM, 1, b"x"), ends=[PROTOCOL])

# --- 5.1 states of streams ---

wrong("5.1 idle: DATA", frame(DATA, END_STREAM, 1, b"x"), ends=[PROTOCOL])
wrong("5.1 idle: RST_STREAM", frame(RST_STREAM, 0, 1, u32(8)), ends=[PROTOCOL])
wrong("5.1 idle: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, u32(100)), ends=[PROTOCOL])
wrong("5.1 idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(fields())), ends=[PROTOCOL])
fine("5.1 idle: PRIORITY", frame(PRIORITY, 0, 1, u32(0) + b"\x0f"), request(1), answers=True)
wrong("5.1 half-closed: DATA", WAITS, frame(DATA, END_STREAM, 1, b"x"), resets=[STREAM_CLOSED], own=NO_WINDOW)
wrong("5.1 half-closed: HEADERS", WAITS, request(1), resets=[STREAM_CLOSED], own=NO_WINDOW)
wrong(
    "5.1 half-closed: CONTINUATION", WAITS, frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])),
    ends=[PROTOCOL, STREAM_CLOSED], own=NO_WINDOW,
)
fine("5.1 half-closed: PRIORITY and WINDOW_UPDATE", WAITS, frame(PRIORITY, 0, 1, u32(0) + b"\x0f"), frame(WINDOW_UPDATE, 0, 1, u32(1000)), own=NO_WINDOW, answers=True)
RESET = frame(RST_STREAM, 0, 1, u32(8))


def after_an_answer(name, *frames, ends=(), is_ignored=False):
    def play(edge):
        with Wire(edge) as wire:
            wire.send(request(1))
            wire.answers(1)
            wire.send(*frames)
            if is_ignored:
                wire.lives()
            else:
                wire.resets(1, *ends)
    CASES.append((name, play))


after_an_answer("5.1 closed: DATA", frame(DATA, END_STREAM, 1, b"x"), ends=[STREAM_CLOSED])
after_an_answer("5.1 closed: HEADERS", request(1), ends=[STREAM_CLOSED, PROTOCOL])
after_an_answer("5.1 closed: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(fields())), ends=[PROTOCOL, STREAM_CLOSED])
after_an_answer("5.1 closed: PRIORITY", frame(PRIORITY, 0, 1, u32(0) + b"\x0f"), is_ignored=True)
after_an_answer("5.1 closed: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, u32(10)), is_ignored=True)
after_an_answer("5.1 closed: RST_STREAM", RESET, is_ignored=True)
wrong("5.1 reset: HEADERS", post(1), RESET, request(1), resets=[STREAM_CLOSED, PROTOCOL])
wrong("5.1 reset: CONTINUATION", post(1), RESET, frame(CONTINUATION, END_HEADERS, 1, block(fields())), ends=[PROTOCOL, STREAM_CLOSED])


@case("5.1 reset: DATA is ignored, or a stream error")
def data_after_reset(edge):
    with Wire(edge) as wire:
        wire.send(post(1), RESET, frame(DATA, END_STREAM, 1, b"x"), request(3))
        wire.answers(3)


wrong("5.1.1 a stream with an even number", request(2), ends=[PROTOCOL])
wrong("5.1.1 a number below an earlier one", request(5), request(3), ends=[PROTOCOL, STREAM_CLOSED])


@case("5.1.2 more streams than allowed")
def too_many_streams(edge):
    with Wire(edge, NO_WINDOW) as wire:
        most = wire.theirs[MAX_CONCURRENT_STREAMS]
        heads = [request(2 * at + 1, fields("/bytes/10")) for at in range(most + 1)]
        wire.send(*heads)
        wire.resets(2 * most + 1, REFUSED, PROTOCOL)


fine("5.3 HEADERS with a priority", frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, u32(3) + b"\x0f" + block(fields())), answers=True)

# --- 5.5, 6 frames one by one ---

wrong("5.5 an unknown frame amid a block", request(1, flags=END_STREAM), frame(0x16, 0, 0, b"x"), ends=[PROTOCOL])
wrong("6.1 DATA on stream 0", frame(DATA, END_STREAM, 0, b"x"), ends=[PROTOCOL])
wrong("6.1 DATA whose padding is longer than itself", post(1), frame(DATA, END_STREAM | PADDED, 1, b"\x06test\x00"), ends=[PROTOCOL])
fine("6.1 DATA with padding", post(1, more=[("content-length", "4")]), frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6)), answers=True)
wrong("6.2 HEADERS on stream 0", request(0), ends=[PROTOCOL])
wrong("6.2 HEADERS whose padding is longer than itself", frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\xff" + block(fields())), ends=[PROTOCOL])
fine("6.2 HEADERS with padding", frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x08" + block(fields()) + bytes(8)), answers=True)
wrong("6.3 PRIORITY on stream 0", frame(PRIORITY, 0, 0, u32(0) + b"\x0f"), ends=[PROTOCOL])
wrong("6.3 PRIORITY of 4 bytes", post(1), frame(PRIORITY, 0, 1, u32(0)), resets=[FRAME_SIZE])
wrong("6.4 RST_STREAM on stream 0", frame(RST_STREAM, 0, 0, u32(8)), ends=[PROTOCOL])
wrong("6.4 RST_STREAM of 3 bytes", post(1), frame(RST_STREAM, 0, 1, b"\0\0\0"), ends=[FRAME_SIZE])
wrong("6.5 SETTINGS' answer with content", frame(SETTINGS, ACK, 0, b"\0"), ends=[FRAME_SIZE])
wrong("6.5 SETTINGS on a stream", frame(SETTINGS, 0, 1, b""), ends=[PROTOCOL])
wrong("6.5 SETTINGS of 3 bytes", frame(SETTINGS, 0, 0, b"\0\3\0"), ends=[FRAME_SIZE])
wrong("6.5.2 ENABLE_PUSH of 2", settings((2, 2)), ends=[PROTOCOL])
wrong("6.5.2 INITIAL_WINDOW_SIZE of 2^31", settings((INITIAL_WINDOW_SIZE, 1 << 31)), ends=[FLOW_CONTROL])
wrong("6.5.2 MAX_FRAME_SIZE of 2^14 - 1", settings((MAX_FRAME_SIZE, (1 << 14) - 1)), ends=[PROTOCOL])
wrong("6.5.2 MAX_FRAME_SIZE of 2^24", settings((MAX_FRAME_SIZE, 1 << 24)), ends=[PROTOCOL])
fine("6.5.2 an unknown setting", settings((0xFF, 1)), request(1), answers=True)
wrong("RFC 8441, 3: ENABLE_CONNECT_PROTOCOL of 2", settings((8, 2)), ends=[PROTOCOL])


@case("6.5.3 SETTINGS are answered, one by one")
def settings_answered(edge):
    with Wire(edge) as wire:
        wire.send(settings((MAX_CONCURRENT_STREAMS, 10)), settings((MAX_CONCURRENT_STREAMS, 20)))
        wire.lives()
        assert sum(got[0] == SETTINGS and got[1] & ACK for got in wire.frames) == 3


wrong("6.6 PUSH_PROMISE of a client", post(1), frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + block(fields())), ends=[PROTOCOL])
fine("6.7 PING's answer that nobody asked for", frame(PING, ACK, 0, b"unasked!"))
wrong("6.7 PING on a stream", frame(PING, 0, 1, b"12345678"), ends=[PROTOCOL])
wrong("6.7 PING of 6 bytes", frame(PING, 0, 0, b"123456"), ends=[FRAME_SIZE])
wrong("6.8 GOAWAY on a stream", frame(GOAWAY, 0, 1, u32(0) + u32(0)), ends=[PROTOCOL])
wrong("6.8 GOAWAY of 4 bytes", frame(GOAWAY, 0, 0, u32(0)), ends=[FRAME_SIZE])


@case("6.8 GOAWAY of the client lets its requests end")
def goaway(edge):
    with Wire(edge, NO_WINDOW) as wire:
        wire.send(WAITS)
        wire.send(frame(GOAWAY, 0, 0, u32(0) + u32(0)), frame(WINDOW_UPDATE, 0, 1, u32(1000)))
        assert len(wire.answers(1)) == 1000


wrong("6.9 WINDOW_UPDATE of 0 for the connection", frame(WINDOW_UPDATE, 0, 0, u32(0)), ends=[PROTOCOL])
wrong("6.9 WINDOW_UPDATE of 0 for a stream", WAITS, frame(WINDOW_UPDATE, 0, 1, u32(0)), resets=[PROTOCOL], own=NO_WINDOW)
wrong("6.9 WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), ends=[FRAME_SIZE])
LARGEST = u32((1 << 31) - 1)
wrong("6.9.1 a window of the connection beyond 2^31 - 1", *[frame(WINDOW_UPDATE, 0, 0, LARGEST)] * 2, ends=[FLOW_CONTROL])
wrong("6.9.1 a window of a stream beyond 2^31 - 1", WAITS, *[frame(WINDOW_UPDATE, 0, 1, LARGEST)] * 2, resets=[FLOW_CONTROL], own=NO_WINDOW)
wrong(
    "6.9.2 INITIAL_WINDOW_SIZE that makes a window overflow", WAITS, frame(WINDOW_UPDATE, 0, 1, u32((1 << 31) - 1 - 5)),
    settings((INITIAL_WINDOW_SIZE, 1000)), ends=[FLOW_CONTROL], own=NO_WINDOW,
)


@case("6.9.1 no more DATA than the window")
def one_byte(edge):
    with Wire(edge, [(INITIAL_WINDOW_SIZE, 1)]) as wire:
        wire.send(WAITS)
        wire.until(lambda got: got[0] == DATA, "DATA")
        wire.quiet()
        assert [len(got[3]) for got in wire.frames if got[0] == DATA] == [1]
        wire.send(frame(WINDOW_UPDATE, 0, 1, u32(999)))
        assert len(wire.answers(1)) == 1000


@case("6.9.2 INITIAL_WINDOW_SIZE changes windows of open streams")
def window_changes(edge):
    with Wire(edge, NO_WINDOW) as wire:
        wire.send(WAITS)
        wire.quiet()
        assert not any(got[0] == DATA for got in wire.frames)
        wire.send(settings((INITIAL_WINDOW_SIZE, 10)))
        wire.quiet()
        assert sum(len(got[3]) for got in wire.frames if got[0] == DATA) == 10


@case("6.9.2 a window may become negative")
def negative_window(edge):
    with Wire(edge, [(INITIAL_WINDOW_SIZE, 30)]) as wire:
        wire.send(WAITS)
        wire.quiet()
        wire.send(settings((INITIAL_WINDOW_SIZE, 10)), frame(WINDOW_UPDATE, 0, 1, u32(20)))
        wire.quiet()
        assert sum(len(got[3]) for got in wire.frames if got[0] == DATA) == 30
        wire.send(frame(WINDOW_UPDATE, 0, 1, u32(1)))
        wire.quiet()
        assert sum(len(got[3]) for got in wire.frames if got[0] == DATA) == 31


# More than the kernel takes for replicas that do not read.
UPLOAD_PARTS = 4096


@case("6.9.1 a body beyond the stream's window")
def beyond_the_stream(edge):
    with Wire(edge) as wire:
        wire.send(post(1, "/held"))
        for _ in range(UPLOAD_PARTS):
            wire.send(frame(DATA, 0, 1, bytes(1 << 14)))
            wire.glance()
            if any(got[0] in [RST_STREAM, GOAWAY] for got in wire.frames):
                break
        wire.resets(1, FLOW_CONTROL)


@case("6.9.1 bodies beyond the connection's window")
def beyond_the_connection(edge):
    streams = range(1, 17, 2)
    with Wire(edge) as wire:
        wire.send(*[post(stream, "/held") for stream in streams])
        sent = dict.fromkeys(streams, 0)
        first = wire.theirs.get(INITIAL_WINDOW_SIZE, 65535)
        for _ in range(UPLOAD_PARTS):
            if any(got[0] == GOAWAY for got in wire.frames):
                break
            parts = []
            for stream in streams:
                if first + wire.grown(stream) - sent[stream] >= 1 << 14:
                    parts.append(frame(DATA, 0, stream, bytes(1 << 14)))
                    sent[stream] += 1 << 14
            wire.send(*parts)
            wire.glance()
        wire.ends(FLOW_CONTROL)


fine(
    "6.10 several CONTINUATIONs", request(1, flags=END_STREAM), frame(CONTINUATION, 0, 1, block([("x-a", "b")])),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-c", "d")])), answers=True,
)
wrong("6.10 CONTINUATION of another stream", request(1, flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 3, b""), ends=[PROTOCOL])
wrong("6.10 CONTINUATION on stream 0", request(1, flags=END_STREAM), frame(CONTINUATION, END_HEADERS, 0, b""), ends=[PROTOCOL])
wrong("6.10 CONTINUATION after END_HEADERS", post(1), frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])), ends=[PROTOCOL])
wrong("6.10 CONTINUATION after DATA", post(1), frame(DATA, 0, 1, b"x"), frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])), ends=[PROTOCOL])
fine("7 unknown codes of errors", post(1), frame(RST_STREAM, 0, 1, u32(0xFF)), frame(PING, 0, 0, b"12345678"))

# --- 8 requests ---

wrong("8.1 a second HEADERS without END_STREAM", post(1), frame(HEADERS, END_HEADERS, 1, block([("x-a", "b")])), refuses=True)
fine("8.1 trailers", post(1), frame(DATA, 0, 1, b"x"), frame(HEADERS, END_STREAM | END_HEADERS, 1, block([("x-a", "b")])), answers=True)
wrong("8.1.1 content-length above the body", post(1, more=[("content-length", "2")]), frame(DATA, END_STREAM, 1, b"x"), refuses=True)
wrong("8.1.1 content-length below the body", post(1, more=[("content-length", "1")]), frame(DATA, END_STREAM, 1, b"xy"), refuses=True)
wrong("8.1.1 content-length below two DATA", post(1, more=[("content-length", "1")]), frame(DATA, 0, 1, b"x"), frame(DATA, END_STREAM, 1, b"y"), refuses=True)
wrong("8.1.1 content-length without a body", request(1, fields(method="POST", more=[("content-length", "1")])), refuses=True)
wrong("8.1.1 two values of content-length", post(1, more=[("content-length", "1"), ("content-length", "2")]), frame(DATA, END_STREAM, 1, b"x"), refuses=True)
for shown, name in [
    ("a capital letter", "X-Name"), ("a space", "x name"), ("a colon", "x:name"), ("a control character", "x\x01name"),
    ("a byte above 0x7f", b"x-\xff"), ("nothing", ""),
]:
    wrong(f"8.2.1 {shown} in a name", request(1, fields(more=[(name, "x")])), refuses=True)
for shown, value in [
    ("NUL", "a\0b"), ("CR", "a\rb"), ("LF", "a\nb"), ("a space before", " a"), ("a space behind", "a "), ("a tab behind", "a\t"),
]:
    wrong(f"8.2.1 {shown} in a value", request(1, fields(more=[("x-name", value)])), refuses=True)
for name, value in [
    ("connection", "close"), ("keep-alive", "timeout=5"), ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"), ("te", "gzip"),
]:
    wrong(f"8.2.2 {name}: {value}", request(1, fields(more=[(name, value)])), refuses=True)
fine("8.2.2 te: trailers", request(1, fields(more=[("te", "trailers")])), answers=True)
wrong("8.3 an unknown pseudo-header", request(1, fields(more=[(":test", "x")])), refuses=True)
wrong("8.3 :status in a request", request(1, fields(more=[(":status", "200")])), refuses=True)
wrong("8.3 a pseudo-header after a header", request(1, fields()[:3] + [("x-a", "b"), (":authority", HOST)]), refuses=True)
wrong("8.3 a pseudo-header in trailers", post(1), frame(HEADERS, END_STREAM | END_HEADERS, 1, block([(":method", "GET")])), refuses=True)
for name in [":method", ":scheme", ":path"]:
    wrong(f"8.3.1 no {name}", request(1, [pair for pair in fields() if pair[0] != name]), refuses=True)
    wrong(f"8.3.1 two {name}", request(1, [pair for pair in fields() if pair[0] == name] + fields()), refuses=True)
wrong("8.3.1 two :authority", request(1, fields() + [(":authority", HOST)]), refuses=True)
wrong("8.3.1 an empty :path", request(1, fields("")), refuses=True)
wrong("8.3.1 a :path without a slash", request(1, fields("index.html")), refuses=True)
wrong("8.3.1 an empty :method", request(1, fields(method="")), refuses=True)
wrong("8.3.1 a space in :method", request(1, fields(method="GET /")), refuses=True)
wrong("8.3.1 a space in :path", request(1, fields("/a b")), refuses=True)
wrong("8.3.1 a user in :authority", request(1, fields(authority=f"me@{HOST}")), refuses=True)
wrong("8.3.1 neither :authority nor host", request(1, fields(authority=None)), refuses=True)
wrong("8.3.1 host differs from :authority", request(1, fields(more=[("host", "other.test")])), refuses=True)
fine("8.3.1 host in place of :authority", request(1, fields(authority=None, more=[("host", HOST)])), answers=True)
wrong("8.5 CONNECT with :path", request(1, fields(method="CONNECT")), refuses=True)
wrong("8.5 CONNECT to another host", request(1, [(":method", "CONNECT"), (":authority", "other.test:443")]), refuses=True)
wrong("RFC 8441, 4: :protocol without CONNECT", request(1, fields(more=[(":protocol", "websocket")])[-1:] + fields()), refuses=True)
wrong("RFC 8441, 4: another :protocol", request(1, [(":protocol", "chat")] + fields(method="CONNECT"), END_HEADERS), refuses=True)

# --- RFC 7541 ---


def compressed(name, *parts):
    wrong(f"RFC 7541, {name}", frame(HEADERS, END_STREAM | END_HEADERS, 1, b"".join(parts)), ends=[COMPRESSION])


GOOD = block(fields())
compressed("2.3.3 an index beyond the tables", GOOD, number(70, 7, 0x80))
compressed("6.1 the index 0", GOOD, b"\x80")
compressed("5.1 a number that never ends", GOOD, b"\xff" + b"\xff" * 20)
compressed("5.2 a text longer than its block", GOOD, b"\x00\x05ab")
# `a` is 00011 in Huffman's code.
compressed("5.2 Huffman: padding of more than 7 bits", GOOD, b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff")
compressed("5.2 Huffman: padding of zeros", GOOD, b"\x00\x81\x18\x81\x18")
compressed("5.2 Huffman: the symbol of the end", GOOD, b"\x00\x84\xff\xff\xff\xff\x81\x1f")
compressed("4.2 a size of the table after a header", GOOD, b"\x20")
compressed("6.3 a size of the table above its limit", number(1 << 16, 5, 0x20), GOOD)


@case("RFC 7541, 4.2: HEADER_TABLE_SIZE of 0 holds for answers")
def no_table(edge):
    with Wire(edge, [(1, 0)]) as wire:
        wire.decoder.max_allowed_table_size = 0
        for stream in [1, 3, 5]:
            wire.send(request(stream))
            wire.answers(stream)


@case("RFC 7541, 4.2: a table of the client is kept over requests")
def a_table(edge):
    encoder = hpack.Encoder()
    with Wire(edge) as wire:
        for stream in range(1, 60, 2):
            pairs = fields(more=[("x-kept", "kept " * 10), (f"x-{stream}", "new " * 50)])
            wire.send(frame(HEADERS, END_STREAM | END_HEADERS, stream, encoder.encode(pairs)))
            wire.answers(stream)


# --- 10.5 floods ---


def flood(name, *codes, made, of, every=1):
    """Frames that cost more than they bring end the connection, before `of` of them."""
    def play(edge):
        with Wire(edge) as wire:
            for at in range(0, of, every):
                wire.send(*[made(at + more) for more in range(every)])
                if wire.is_closed:
                    break
            wire.ends(*codes)
    CASES.append((name, play))


flood(
    "10.5 requests that are reset at once (CVE-2023-44487)", CALM, of=3000, every=50,
    made=lambda at: request(2 * at + 1) + frame(RST_STREAM, 0, 2 * at + 1, u32(8)),
)


@case("10.5 CONTINUATION without end (CVE-2024-27316)")
def continuation_flood(edge):
    with Wire(edge) as wire:
        wire.send(request(1, flags=END_STREAM))
        for at in range(2000):
            wire.send(frame(CONTINUATION, 0, 1, block([(f"x-{at}", "a" * 1000)])))
        wire.ends(CALM, PROTOCOL, COMPRESSION)


@case("10.5.1 a head above MAX_HEADER_LIST_SIZE")
def large_head(edge):
    with Wire(edge) as wire:
        most = wire.theirs[6]
        pairs = fields(more=[(f"x-{at}", "a" * 4000) for at in range(most // 4000 + 1)])
        whole = block(pairs)
        parts = [whole[at:at + (1 << 14)] for at in range(0, len(whole), 1 << 14)]
        wire.send(frame(HEADERS, END_STREAM, 1, parts[0]), *[frame(CONTINUATION, 0, 1, part) for part in parts[1:-1]])
        wire.send(frame(CONTINUATION, END_HEADERS, 1, parts[-1]))
        wire.refuses(1, PROTOCOL, CALM)


# --- well-behaved, by h2 ---


class Client:
    """A client of the library h2, which checks the server's frames."""

    def __init__(self, edge):
        self.wire = Wire(edge, is_bare=True)
        config = h2.config.H2Configuration(header_encoding="utf-8")
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.bodies, self.trailers, self.ended = {}, {}, set()
        self.flush()

    def flush(self):
        self.wire.socket.sendall(self.h2.data_to_send())

    def turn(self):
        self.wire.socket.settimeout(WITHIN_SECONDS)
        got = self.wire.socket.recv(1 << 16)
        assert got, "the connection ended"
        for event in self.h2.receive_data(got):
            if isinstance(event, h2.events.DataReceived):
                self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamEnded):
                self.ended.add(event.stream_id)
            assert not isinstance(event, h2.events.StreamReset | h2.events.ConnectionTerminated), event
        self.flush()

    def send_all(self, stream, body):
        while body:
            room = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            if room == 0:
                self.turn()
                continue
            self.h2.send_data(stream, body[:room])
            body = body[room:]
            self.flush()
        self.h2.end_stream(stream)
        self.flush()


@case("h2: a body of 4 MiB and back")
def large_bodies(edge):
    client = Client(edge)
    body = bytes(range(256)) * (4 << 12)
    client.h2.send_headers(1, fields("/echo", "POST", [("content-length", str(len(body)))]))
    client.send_all(1, body)
    while 1 not in client.ended:
        client.turn()
    assert client.bodies[1] == body


@case("h2: 1000 requests, 100 at once")
def many(edge):
    client = Client(edge)
    while client.h2.remote_settings.max_concurrent_streams > 1000:
        client.turn()
    begun = 0
    while len(client.ended) < 1000:
        while begun < 1000 and begun - len(client.ended) < 100:
            client.h2.send_headers(2 * begun + 1, fields(f"/bytes/{begun}"), end_stream=True)
            begun += 1
        client.flush()
        client.turn()
    assert all(len(client.bodies.get(2 * at + 1, b"")) == at for at in range(1000))


def run(stage):
    # Nobody reads from these connections, and the kernel takes little.
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    held.bind(("127.0.0.1", 0))
    held.listen(64)
    address = f"127.0.0.1:{held.getsockname()[1]}"
    slow = service(address, routes=[{"path": "/held"}])
    slow["healthcheck"]["interval"] = "1h"
    edge, _ = site_over_tls(stage, services={"held": slow})
    outcome = Outcome(importlib.metadata.version("h2"))
    for name, play in [*CASES, ("the process serves on", large_bodies)]:
        with outcome.check(name):
            play(edge)
    return outcome

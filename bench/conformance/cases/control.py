"""RFC 9113, 5.5 to 7: each type of frame, windows apart."""

from cases.kinds import *

wrong("5.5 an unknown frame amid a block", request(1, flags=END_STREAM), frame(0x16, 0, 0, b"x"), ends=[PROTOCOL])
wrong("6.1 DATA on stream 0", frame(DATA, END_STREAM, 0, b"x"), ends=[PROTOCOL])
wrong(
    "6.1 DATA whose padding is longer than itself",
    post(1),
    frame(DATA, END_STREAM | PADDED, 1, b"\x06test\x00"),
    ends=[PROTOCOL],
)
fine(
    "6.1 DATA with padding",
    post(1, more=[("content-length", "4")]),
    frame(DATA, END_STREAM | PADDED, 1, b"\x06test" + bytes(6)),
    answers=True,
)
wrong("6.2 HEADERS on stream 0", request(0), ends=[PROTOCOL])
wrong(
    "6.2 HEADERS whose padding is longer than itself",
    frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\xff" + block(fields())),
    ends=[PROTOCOL],
)
fine(
    "6.2 HEADERS with padding",
    frame(HEADERS, END_STREAM | END_HEADERS | PADDED, 1, b"\x08" + block(fields()) + bytes(8)),
    answers=True,
)
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


wrong(
    "6.6 PUSH_PROMISE of a client",
    post(1),
    frame(PUSH_PROMISE, END_HEADERS, 1, u32(2) + block(fields())),
    ends=[PROTOCOL],
)
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


fine(
    "6.10 several CONTINUATIONs",
    request(1, flags=END_STREAM),
    frame(CONTINUATION, 0, 1, block([("x-a", "b")])),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-c", "d")])),
    answers=True,
)
wrong(
    "6.10 CONTINUATION of another stream",
    request(1, flags=END_STREAM),
    frame(CONTINUATION, END_HEADERS, 3, b""),
    ends=[PROTOCOL],
)
wrong(
    "6.10 CONTINUATION on stream 0",
    request(1, flags=END_STREAM),
    frame(CONTINUATION, END_HEADERS, 0, b""),
    ends=[PROTOCOL],
)
wrong(
    "6.10 CONTINUATION after END_HEADERS",
    post(1),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])),
    ends=[PROTOCOL],
)
wrong(
    "6.10 CONTINUATION after DATA",
    post(1),
    frame(DATA, 0, 1, b"x"),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])),
    ends=[PROTOCOL],
)
fine("7 unknown codes of errors", post(1), frame(RST_STREAM, 0, 1, u32(0xFF)), frame(PING, 0, 0, b"12345678"))

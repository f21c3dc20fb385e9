"""RFC 9113, 3.4 to 5.3: the preface, sizes of frames, states of streams."""

from cases.kinds import *


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
wrong(
    "4.3 a block that HPACK does not know",
    frame(HEADERS, END_STREAM | END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
    ends=[COMPRESSION],
)
wrong(
    "4.3 PRIORITY amid a block",
    request(1, flags=END_STREAM),
    frame(PRIORITY, 0, 1, u32(0) + b"\x0f"),
    frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])),
    ends=[PROTOCOL],
)
wrong("4.3 HEADERS of another stream amid a block", request(1, flags=END_STREAM), request(3), ends=[PROTOCOL])
wrong("4.3 DATA amid a block", request(1, fields(method="POST"), 0), frame(DATA, END_STREAM, 1, b"x"), ends=[PROTOCOL])


wrong("5.1 idle: DATA", frame(DATA, END_STREAM, 1, b"x"), ends=[PROTOCOL])
wrong("5.1 idle: RST_STREAM", frame(RST_STREAM, 0, 1, u32(8)), ends=[PROTOCOL])
wrong("5.1 idle: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, u32(100)), ends=[PROTOCOL])
wrong("5.1 idle: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(fields())), ends=[PROTOCOL])
fine("5.1 idle: PRIORITY", frame(PRIORITY, 0, 1, u32(0) + b"\x0f"), request(1), answers=True)
wrong("5.1 half-closed: DATA", WAITS, frame(DATA, END_STREAM, 1, b"x"), resets=[STREAM_CLOSED], own=NO_WINDOW)
wrong("5.1 half-closed: HEADERS", WAITS, request(1), resets=[STREAM_CLOSED], own=NO_WINDOW)
wrong(
    "5.1 half-closed: CONTINUATION",
    WAITS,
    frame(CONTINUATION, END_HEADERS, 1, block([("x-a", "b")])),
    ends=[PROTOCOL, STREAM_CLOSED],
    own=NO_WINDOW,
)
fine(
    "5.1 half-closed: PRIORITY and WINDOW_UPDATE",
    WAITS,
    frame(PRIORITY, 0, 1, u32(0) + b"\x0f"),
    frame(WINDOW_UPDATE, 0, 1, u32(1000)),
    own=NO_WINDOW,
    answers=True,
)
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
after_an_answer(
    "5.1 closed: CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, block(fields())), ends=[PROTOCOL, STREAM_CLOSED]
)
after_an_answer("5.1 closed: PRIORITY", frame(PRIORITY, 0, 1, u32(0) + b"\x0f"), is_ignored=True)
after_an_answer("5.1 closed: WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 1, u32(10)), is_ignored=True)
after_an_answer("5.1 closed: RST_STREAM", RESET, is_ignored=True)
wrong("5.1 reset: HEADERS", post(1), RESET, request(1), resets=[STREAM_CLOSED, PROTOCOL])
wrong(
    "5.1 reset: CONTINUATION",
    post(1),
    RESET,
    frame(CONTINUATION, END_HEADERS, 1, block(fields())),
    ends=[PROTOCOL, STREAM_CLOSED],
)


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


fine(
    "5.3 HEADERS with a priority",
    frame(HEADERS, END_STREAM | END_HEADERS | WITH_PRIORITY, 1, u32(3) + b"\x0f" + block(fields())),
    answers=True,
)

"""RFC 9113, 6.9: windows."""

from cases.kinds import *

wrong("6.9 WINDOW_UPDATE of 0 for the connection", frame(WINDOW_UPDATE, 0, 0, u32(0)), ends=[PROTOCOL])
wrong(
    "6.9 WINDOW_UPDATE of 0 for a stream", WAITS, frame(WINDOW_UPDATE, 0, 1, u32(0)), resets=[PROTOCOL], own=NO_WINDOW
)
wrong("6.9 WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, b"\0\0\1"), ends=[FRAME_SIZE])
LARGEST = u32((1 << 31) - 1)
wrong(
    "6.9.1 a window of the connection beyond 2^31 - 1", *[frame(WINDOW_UPDATE, 0, 0, LARGEST)] * 2, ends=[FLOW_CONTROL]
)
wrong(
    "6.9.1 a window of a stream beyond 2^31 - 1",
    WAITS,
    *[frame(WINDOW_UPDATE, 0, 1, LARGEST)] * 2,
    resets=[FLOW_CONTROL],
    own=NO_WINDOW,
)
wrong(
    "6.9.2 INITIAL_WINDOW_SIZE that makes a window overflow",
    WAITS,
    frame(WINDOW_UPDATE, 0, 1, u32((1 << 31) - 1 - 5)),
    settings((INITIAL_WINDOW_SIZE, 1000)),
    ends=[FLOW_CONTROL],
    own=NO_WINDOW,
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

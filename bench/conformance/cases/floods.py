"""RFC 9113, 10.5: frames that cost more than they bring."""

from cases.kinds import *


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
    "10.5 requests that are reset at once (CVE-2023-44487)",
    CALM,
    of=3000,
    every=50,
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
        parts = [whole[at : at + (1 << 14)] for at in range(0, len(whole), 1 << 14)]
        wire.send(frame(HEADERS, END_STREAM, 1, parts[0]), *[frame(CONTINUATION, 0, 1, part) for part in parts[1:-1]])
        wire.send(frame(CONTINUATION, END_HEADERS, 1, parts[-1]))
        wire.refuses(1, PROTOCOL, CALM)

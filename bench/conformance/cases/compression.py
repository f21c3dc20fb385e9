"""RFC 7541: heads and their tables."""

import hpack

from cases.kinds import *


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

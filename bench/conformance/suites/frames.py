"""Wrong and odd frames of HTTP/2, each with the outcome that RFC 9113, 7541 or 8441 wants."""

import importlib.metadata
import socket

# Each module adds its cases to the list, in this order.
from cases import states, control, windows, requests, compression, floods, behaved
from cases.kinds import CASES
from stage import Outcome, service, site_over_tls

NAME = "HTTP/2 frames (Python's h2, hpack)"
# The library is the crate h2, which Tidegate shares with hyper.
GENERIC = "the library ends connections with the code PROTOCOL_ERROR in place of the narrower one"
EXCEPTIONS = {
    "*: AssertionError: GOAWAY PROTOCOL_ERROR instead of *": GENERIC,
    "3.4 another frame before SETTINGS: *": "the library waits for no SETTINGS",
    "8.3 a pseudo-header in trailers: *": "the library drops it",
    "8.2.1 a * in a value: AssertionError: the request got 200*": "replicas get such a value, and strip it by HTTP/1.1 or gRPC",
    "8.3.1 host differs from :authority: *": "a replica gets :authority as its only Host, and the RFC says SHOULD",
}
LEFT_OUT = {}


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
    for name, play in [*CASES, ("the process serves on", behaved.large_bodies)]:
        with outcome.check(name):
            play(edge)
    return outcome

"""RFC 9113, 8, and RFC 8441: requests."""

from cases.kinds import *

wrong(
    "8.1 a second HEADERS without END_STREAM",
    post(1),
    frame(HEADERS, END_HEADERS, 1, block([("x-a", "b")])),
    refuses=True,
)
fine(
    "8.1 trailers",
    post(1),
    frame(DATA, 0, 1, b"x"),
    frame(HEADERS, END_STREAM | END_HEADERS, 1, block([("x-a", "b")])),
    answers=True,
)
wrong(
    "8.1.1 content-length above the body",
    post(1, more=[("content-length", "2")]),
    frame(DATA, END_STREAM, 1, b"x"),
    refuses=True,
)
wrong(
    "8.1.1 content-length below the body",
    post(1, more=[("content-length", "1")]),
    frame(DATA, END_STREAM, 1, b"xy"),
    refuses=True,
)
wrong(
    "8.1.1 content-length below two DATA",
    post(1, more=[("content-length", "1")]),
    frame(DATA, 0, 1, b"x"),
    frame(DATA, END_STREAM, 1, b"y"),
    refuses=True,
)
wrong(
    "8.1.1 content-length without a body",
    request(1, fields(method="POST", more=[("content-length", "1")])),
    refuses=True,
)
wrong(
    "8.1.1 two values of content-length",
    post(1, more=[("content-length", "1"), ("content-length", "2")]),
    frame(DATA, END_STREAM, 1, b"x"),
    refuses=True,
)
for shown, name in [
    ("a capital letter", "X-Name"),
    ("a space", "x name"),
    ("a colon", "x:name"),
    ("a control character", "x\x01name"),
    ("a byte above 0x7f", b"x-\xff"),
    ("nothing", ""),
]:
    wrong(f"8.2.1 {shown} in a name", request(1, fields(more=[(name, "x")])), refuses=True)
for shown, value in [
    ("NUL", "a\0b"),
    ("CR", "a\rb"),
    ("LF", "a\nb"),
    ("a space before", " a"),
    ("a space behind", "a "),
    ("a tab behind", "a\t"),
]:
    wrong(f"8.2.1 {shown} in a value", request(1, fields(more=[("x-name", value)])), refuses=True)
for name, value in [
    ("connection", "close"),
    ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"),
    ("transfer-encoding", "chunked"),
    ("upgrade", "h2c"),
    ("te", "gzip"),
]:
    wrong(f"8.2.2 {name}: {value}", request(1, fields(more=[(name, value)])), refuses=True)
fine("8.2.2 te: trailers", request(1, fields(more=[("te", "trailers")])), answers=True)
wrong("8.3 an unknown pseudo-header", request(1, fields(more=[(":test", "x")])), refuses=True)
wrong("8.3 :status in a request", request(1, fields(more=[(":status", "200")])), refuses=True)
wrong(
    "8.3 a pseudo-header after a header", request(1, fields()[:3] + [("x-a", "b"), (":authority", HOST)]), refuses=True
)
wrong(
    "8.3 a pseudo-header in trailers",
    post(1),
    frame(HEADERS, END_STREAM | END_HEADERS, 1, block([(":method", "GET")])),
    refuses=True,
)
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
wrong(
    "8.5 CONNECT to another host", request(1, [(":method", "CONNECT"), (":authority", "other.test:443")]), refuses=True
)
wrong(
    "RFC 8441, 4: :protocol without CONNECT",
    request(1, fields(more=[(":protocol", "websocket")])[-1:] + fields()),
    refuses=True,
)
wrong(
    "RFC 8441, 4: another :protocol",
    request(1, [(":protocol", "chat")] + fields(method="CONNECT"), END_HEADERS),
    refuses=True,
)

"""grpcio as client and as server, over TLS and in clear."""

import random
import threading
import time

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import talk
from stage import HOST, Authority, Outcome, run as command, until

NAME = "grpcio"
EXCEPTIONS = {}
LEFT_OUT = {}
WITHIN_SECONDS = 20
CASES = []
CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
ODD_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100%"


def case(name):
    def add(function):
        CASES.append((name, function))
        return function

    return add


class Talker:
    """Clients on one channel, the messages, and the server's own side."""

    def __init__(self, channel, pb, services, server, edge):
        self.channel, self.pb, self.server, self.edge = channel, pb, server, edge
        self.stub = services.TalkStub(channel)
        self.health = health_pb2_grpc.HealthStub(channel)

    def ask(self, **parts):
        return self.pb.Ask(**parts)

    def unary(self, metadata=None, timeout=WITHIN_SECONDS, **parts):
        return self.stub.Unary(self.ask(**parts), timeout=timeout, metadata=metadata)

    def fails(self, code, call):
        try:
            call()
        except grpc.RpcError as error:
            assert error.code() == code, f"{error.code()} instead of {code}: {error.details()}"
            return error
        raise AssertionError(f"no error instead of {code}")


def name():
    return f"call-{random.getrandbits(64)}"


# --- calls ---


@case("an empty message")
def empty(talker):
    assert talker.unary().payload == b""


@case("messages of 16 MiB")
def large(talker):
    payload = random.randbytes(16 << 20)
    assert talker.unary(payload=payload).payload == payload


@case("answers as a stream")
def down(talker):
    answers = list(talker.stub.Down(talker.ask(count=1000, size=1000), timeout=WITHIN_SECONDS))
    assert [answer.number for answer in answers] == list(range(1000))
    assert all(len(answer.payload) == 1000 for answer in answers)


@case("an empty stream of answers")
def down_empty(talker):
    assert list(talker.stub.Down(talker.ask(), timeout=WITHIN_SECONDS)) == []


@case("requests as a stream")
def up(talker):
    answer = talker.stub.Up((talker.ask(payload=bytes(5000)) for _ in range(1000)), timeout=WITHIN_SECONDS)
    assert (answer.number, answer.payload) == (1000, b"5000000")


@case("an empty stream of requests")
def up_empty(talker):
    assert talker.stub.Up(iter(()), timeout=WITHIN_SECONDS).number == 0


@case("both at once, each message after the answer to the one before")
def both(talker):
    turns = [threading.Event() for _ in range(101)]
    turns[0].set()

    def asks():
        for turn in range(100):
            assert turns[turn].wait(WITHIN_SECONDS)
            yield talker.ask(payload=str(turn).encode())

    for turn, answer in enumerate(talker.stub.Both(asks(), timeout=WITHIN_SECONDS)):
        assert answer.payload == str(turn).encode()
        turns[turn + 1].set()
    assert turn == 99


@case("both at once, empty")
def both_empty(talker):
    assert list(talker.stub.Both(iter(()), timeout=WITHIN_SECONDS)) == []


@case("300 calls at once on one channel")
def many(talker):
    calls = [
        talker.stub.Unary.future(talker.ask(payload=str(at).encode(), pause_ms=200), timeout=60) for at in range(300)
    ]
    assert [call.result().payload for call in calls] == [str(at).encode() for at in range(300)]


@case("messages compressed by gzip")
def gzip(talker):
    answer = talker.stub.Unary(
        talker.ask(payload=bytes(1 << 20)), timeout=WITHIN_SECONDS, compression=grpc.Compression.Gzip
    )
    assert answer.payload == bytes(1 << 20)


@case("a stream that is silent for 4 s")
def silent(talker):
    answers = talker.stub.Down(talker.ask(count=2, pause_ms=4000), timeout=WITHIN_SECONDS)
    assert [answer.number for answer in answers] == [0, 1]


@case("a slow reader gets everything")
def slow_reader(talker):
    size = 0
    for answer in talker.stub.Down(talker.ask(count=200, size=100_000), timeout=60):
        size += len(answer.payload)
        time.sleep(0.01)
    assert size == 200 * 100_000


# --- deadlines and cancellation ---


@case("the server knows the deadline")
def deadline_known(talker):
    left = talker.unary(timeout=9).seconds_left
    assert 5 < left < 9.5, left


@case("a deadline ends a call, and the server learns it")
def deadline(talker):
    call, began = name(), time.monotonic()
    talker.fails(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: talker.unary(timeout=0.4, pause_ms=3000, call=call))
    assert time.monotonic() - began < 2
    assert talker.server.notices(call)


@case("a deadline ends a stream")
def deadline_stream(talker):
    call, got = name(), []

    def read():
        for answer in talker.stub.Down(talker.ask(count=100, pause_ms=100, call=call), timeout=1):
            got.append(answer.number)

    talker.fails(grpc.StatusCode.DEADLINE_EXCEEDED, read)
    assert 2 <= len(got) <= 11, got
    assert talker.server.notices(call)


@case("a call that is cancelled before its answer, and the server learns it")
def cancel(talker):
    call = name()
    future = talker.stub.Unary.future(talker.ask(pause_ms=3000, call=call), timeout=WITHIN_SECONDS)
    until("the call arrives", lambda: call in talker.server.cancelled, within=5)
    future.cancel()
    assert future.code() is grpc.StatusCode.CANCELLED
    assert talker.server.notices(call)


@case("streams that are cancelled after their first message, and others go on")
def cancel_streams(talker):
    calls = [name() for _ in range(10)]
    other = talker.stub.Down(talker.ask(count=30, pause_ms=50), timeout=WITHIN_SECONDS)
    for call in calls:
        answers = talker.stub.Down(talker.ask(count=10_000, pause_ms=10, call=call), timeout=WITHIN_SECONDS)
        assert next(answers).number == 0
        answers.cancel()
        talker.fails(grpc.StatusCode.CANCELLED, lambda: list(answers))
    assert all(talker.server.notices(call) for call in calls)
    assert len(list(other)) == 30


@case("a stream of requests that is cancelled")
def cancel_up(talker):
    call, stop = name(), threading.Event()

    def asks():
        yield talker.ask(call=call)
        stop.wait(WITHIN_SECONDS)

    future = talker.stub.Up.future(asks(), timeout=WITHIN_SECONDS)
    until("the call arrives", lambda: call in talker.server.cancelled, within=5)
    future.cancel()
    assert talker.server.notices(call)
    stop.set()


# --- metadata ---


def echoed(talker, metadata):
    _, call = talker.stub.Unary.with_call(talker.ask(), timeout=WITHIN_SECONDS, metadata=metadata)
    found = list(call.initial_metadata()) + list(call.trailing_metadata())
    return [(key, value) for key, value in found if key.startswith(("x-head-", "x-tail-"))]


for shown, pairs in [
    ("text", [("x-head-a", "one"), ("x-tail-a", "two")]),
    ("bytes", [("x-head-a-bin", bytes(range(256))), ("x-tail-a-bin", b"\0\xff,")]),
    ("an empty value", [("x-head-a", ""), ("x-tail-a-bin", b"")]),
    (
        "one name several times",
        [("x-head-a", "one"), ("x-head-a", "two"), ("x-tail-b-bin", b"1"), ("x-tail-b-bin", b"2")],
    ),
    ("a value of 6000 bytes", [("x-head-a", "a" * 6000)]),
    ("forty names", [(f"x-tail-{at}", str(at)) for at in range(40)]),
]:

    def metadata(talker, pairs=pairs):
        found = echoed(talker, pairs)
        assert sorted(found) == sorted(pairs), found

    CASES.append((f"metadata: {shown}", metadata))


# --- errors ---


for code in CODES:

    def unary_error(talker, code=code):
        error = talker.fails(code, lambda: talker.unary(code=code.value[0], message=f"as {code.name}"))
        assert error.details() == f"as {code.name}", error.details()

    def stream_error(talker, code=code):
        got = []

        def read():
            got.extend(
                talker.stub.Down(talker.ask(count=3, code=code.value[0], message="after three"), timeout=WITHIN_SECONDS)
            )

        error = talker.fails(code, read)
        assert error.details() == "after three", error.details()

    CASES.append((f"{code.name} in trailers alone", unary_error))
    CASES.append((f"{code.name} after messages", stream_error))


@case("a message with spaces, line ends and characters beyond ASCII")
def odd_message(talker):
    error = talker.fails(grpc.StatusCode.UNKNOWN, lambda: talker.unary(code=2, message=ODD_MESSAGE))
    assert error.details() == ODD_MESSAGE, error.details()


@case("details of an error")
def details(talker):
    pairs = [(talk.DETAILS, bytes(range(200)))]
    error = talker.fails(grpc.StatusCode.INTERNAL, lambda: talker.unary(metadata=pairs, code=13, message="x"))
    assert dict(error.trailing_metadata())[talk.DETAILS] == bytes(range(200))


@case("an error amid a stream of requests")
def error_up(talker):
    asks = (talker.ask(code=9 if at == 5 else 0, message="the sixth") for at in range(10_000))
    talker.fails(grpc.StatusCode.FAILED_PRECONDITION, lambda: talker.stub.Up(asks, timeout=WITHIN_SECONDS))


@case("a method that is not there")
def no_method(talker):
    talker.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: talker.stub.Missing(talker.ask(), timeout=WITHIN_SECONDS))


@case("a service that is not there")
def no_service(talker):
    call = talker.channel.unary_unary("/conformance.Nobody/Unary", lambda _: b"", lambda raw: raw)
    talker.fails(grpc.StatusCode.UNIMPLEMENTED, lambda: call(None, timeout=WITHIN_SECONDS))


# --- health ---


@case("health: Check and Watch")
def health(talker):
    serving = health_pb2.HealthCheckResponse.SERVING
    assert talker.health.Check(health_pb2.HealthCheckRequest(), timeout=WITHIN_SECONDS).status == serving
    unknown = health_pb2.HealthCheckRequest(service="nobody")
    talker.fails(grpc.StatusCode.NOT_FOUND, lambda: talker.health.Check(unknown, timeout=WITHIN_SECONDS))
    watched = talker.health.Watch(health_pb2.HealthCheckRequest(), timeout=WITHIN_SECONDS)
    assert next(watched).status == serving
    watched.cancel()


@case("health: a sick replica gets no calls, and a healed one does; an open stream goes on")
def sick(talker):
    answers = talker.stub.Down(talker.ask(count=40, pause_ms=100), timeout=WITHIN_SECONDS)
    next(answers)
    talker.server.serves(False)
    until("the replica is out", lambda: talker.edge.ask("/readyz")[0] != 200)
    talker.fails(grpc.StatusCode.UNAVAILABLE, talker.unary)
    talker.server.serves(True)
    until("the replica is back", lambda: talker.edge.ask("/readyz")[0] == 200)
    assert talker.unary(payload=b"back").payload == b"back"
    assert len(list(answers)) == 39


@case("a reload ends no stream")
def reload(talker):
    stage, edge = talker.edge.stage, talker.edge
    answers = talker.stub.Down(talker.ask(count=20, pause_ms=100), timeout=WITHIN_SECONDS)
    next(answers)
    command(stage.binary, "reload", "-c", stage.folder / "tidegate.yaml")
    assert talker.unary(payload=b"new").payload == b"new"
    assert len(list(answers)) == 19
    assert edge.is_ready()


def run(stage):
    pb, services = talk.generated(stage)
    server = talk.Server(stage, pb, services)
    authority = Authority(stage.folder)
    edge = talk.site(stage, server, authority, HOST)
    outcome = Outcome(grpc.__version__)
    secrets = grpc.ssl_channel_credentials(authority.root.read_bytes())
    # Pings on calls that are silent, as clients behind routers send them.
    often = [("grpc.keepalive_time_ms", 1000), ("grpc.http2.max_pings_without_data", 0)]
    options = [*talk.OPTIONS, *often]
    channels = {
        "TLS": grpc.secure_channel(
            f"127.0.0.1:{edge.https}", secrets, [*options, ("grpc.ssl_target_name_override", HOST)]
        ),
        "clear": grpc.insecure_channel(f"127.0.0.1:{edge.http}", [*options, ("grpc.default_authority", HOST)]),
    }
    for way, channel in channels.items():
        talker = Talker(channel, pb, services, server, edge)
        for shown, play in CASES:
            with outcome.check(f"{way}: {shown}"):
                play(talker)
        channel.close()
    with outcome.check("no route: UNIMPLEMENTED"):
        with grpc.insecure_channel(f"127.0.0.1:{edge.http}", [("grpc.default_authority", "other.test")]) as channel:
            talker = Talker(channel, pb, services, server, edge)
            talker.fails(grpc.StatusCode.UNIMPLEMENTED, talker.unary)
    return outcome

"""The server of talk.proto, by grpcio, with the standard health service."""

import importlib
import sys
import threading
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_tools import protoc

from stage import ROOT

PROTO = ROOT / "bench/conformance/talk.proto"
MAX_MESSAGE_BYTES = 32 << 20
OPTIONS = [("grpc.max_send_message_length", MAX_MESSAGE_BYTES), ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)]
DETAILS = "grpc-status-details-bin"


def generated(stage):
    """The modules of talk.proto, as (messages, services)."""
    folder = stage.folder / "generated"
    folder.mkdir()
    code = protoc.main(
        [
            "protoc",
            f"--proto_path={PROTO.parent}",
            f"--python_out={folder}",
            f"--grpc_python_out={folder}",
            str(PROTO),
        ]
    )
    if code != 0:
        raise RuntimeError(f"protoc ended with {code}")
    sys.path.insert(0, str(folder))
    return importlib.import_module("talk_pb2"), importlib.import_module("talk_pb2_grpc")


class Server:
    def __init__(self, stage, pb, services):
        self.pb = pb
        # Calls whose client was gone, by their names.
        self.cancelled = {}
        self.health = health.HealthServicer()
        self.health.set("", health_pb2.HealthCheckResponse.SERVING)
        # A stream holds a thread.
        self.server = grpc.server(futures.ThreadPoolExecutor(400), options=OPTIONS)
        services.add_TalkServicer_to_server(self.servicer(services), self.server)
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        stage.ends.callback(self.server.stop, 0)

    def serves(self, is_healthy):
        status = health_pb2.HealthCheckResponse
        self.health.set("", status.SERVING if is_healthy else status.NOT_SERVING)

    def notices(self, call, within=5):
        """Whether the server learns that the client of this call is gone."""
        return self.cancelled[call].wait(within)

    def begin(self, ask, context):
        if ask.call:
            gone = self.cancelled.setdefault(ask.call, threading.Event())
            context.add_callback(lambda: gone.set() if context.code() is None else None)

    def greet(self, context):
        """Sends metadata back: `x-head-…` before the answer, `x-tail-…` behind it."""
        came = context.invocation_metadata()
        context.send_initial_metadata([pair for pair in came if pair.key.startswith("x-head-")])
        context.set_trailing_metadata([pair for pair in came if pair.key.startswith("x-tail-") or pair.key == DETAILS])

    def answer(self, ask, context, number=0):
        time.sleep(ask.pause_ms / 1000)
        payload = bytes(ask.size) if ask.size else ask.payload
        left = context.time_remaining()
        return self.pb.Answer(payload=payload, number=number, seconds_left=min(left or 0, 1e6))

    def conclude(self, ask, context):
        if ask.code:
            code = next(code for code in grpc.StatusCode if code.value[0] == ask.code)
            context.abort(code, ask.message)

    def servicer(self, services):
        server = self

        class Talk(services.TalkServicer):
            def Unary(self, ask, context):
                server.begin(ask, context)
                if ask.code:
                    came = context.invocation_metadata()
                    context.set_trailing_metadata([pair for pair in came if pair.key == DETAILS])
                    server.conclude(ask, context)
                server.greet(context)
                return server.answer(ask, context)

            def Down(self, ask, context):
                server.begin(ask, context)
                server.greet(context)
                for number in range(ask.count):
                    if not context.is_active():
                        return
                    yield server.answer(ask, context, number)
                server.conclude(ask, context)

            def Up(self, asks, context):
                total, size = 0, 0
                for ask in asks:
                    if total == 0:
                        server.begin(ask, context)
                    total += 1
                    size += len(ask.payload)
                    server.conclude(ask, context)
                return server.pb.Answer(number=total, payload=str(size).encode())

            def Both(self, asks, context):
                server.greet(context)
                for number, ask in enumerate(asks):
                    server.begin(ask, context)
                    server.conclude(ask, context)
                    yield server.answer(ask, context, number)

        return Talk()


def site(stage, server, authority, host):
    """A Tidegate in front of that server, with TLS and in clear."""
    pair = authority.certificate("site", host, "localhost")
    return stage.edge(
        {
            "tls": {"certificates": [pair], "redirect": False},
            "services": {
                "talk": {
                    "addresses": [f"127.0.0.1:{server.port}"],
                    "protocol": "h2",
                    "routes": [{"host": host}],
                    "healthcheck": {"type": "grpc", "interval": "200ms"},
                },
            },
        }
    )

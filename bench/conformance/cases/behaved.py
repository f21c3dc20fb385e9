"""A client that behaves, by the library h2, which checks the server's frames."""

import h2.config
import h2.connection
import h2.events

from cases.kinds import *


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

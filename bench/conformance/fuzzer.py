"""Autobahn's fuzzing client over any transport: plays one case, and has its verdict.

States and timeouts follow the client of the test suite (`failByDrop: false`).
"""

import asyncio
import os
import struct

from autobahn.websocket.protocol import WebSocketProtocol

from autobahn_cases import raw

CLOSE_WITHIN_SECONDS = 10
DROP_WITHIN_SECONDS = 10
CASE_WITHIN_SECONDS = 240
MAX_FRAME_BYTES = 64 << 20
GOOD = ["OK", "NON-STRICT", "INFORMATIONAL"]


class Factory:
    isServer = False


class Fuzzer:
    CLOSE_STATUS_CODE_NORMAL = 1000
    CLOSE_STATUS_CODE_GOING_AWAY = 1001
    CLOSE_STATUS_CODE_PROTOCOL_ERROR = 1002
    CLOSE_STATUS_CODE_INVALID_PAYLOAD = 1007

    def __init__(self, case):
        self.loop = asyncio.get_running_loop()
        self.factory = Factory()
        self.state = WebSocketProtocol.STATE_CONNECTING
        self.transport = None
        self.inbox = bytearray()
        self.message, self.opcode = [], None
        self.streamed = b""
        self.autoFragmentSize = 0
        self.createWirelog = True
        self.txFrameStats = {}
        self.connectionWasOpen = self.closedByMe = self.failedByMe = self.droppedByMe = self.wasClean = False
        self.remoteCloseCode = self.localCloseCode = self.localCloseReason = None
        self.violation = None
        self.timers = []
        self.over = self.loop.create_future()
        self.case = case(self)

    # --- the transport's side ---

    def opened(self, transport):
        self.transport = transport
        self.state = WebSocketProtocol.STATE_OPEN
        self.connectionWasOpen = True
        self.case.onOpen()

    def received(self, data):
        self.inbox += data
        while self.violation is None and self.frame():
            pass

    def lost(self):
        if self.state == WebSocketProtocol.STATE_CLOSED:
            return
        self.state = WebSocketProtocol.STATE_CLOSED
        for timer in self.timers:
            timer.cancel()
        self.case.onConnectionLost(self.failedByMe)
        self.over.set_result(None)

    def verdict(self):
        """None, or the objection."""
        if self.violation:
            return f"a frame of the server: {self.violation}"
        if self.case.behavior not in GOOD:
            got = [(one[0], one[1][:40]) for one in self.case.received]
            return f"{self.case.behavior}: {self.case.result} got {got}"
        if self.case.behaviorClose not in GOOD:
            return f"close {self.case.behaviorClose}: {self.case.resultClose}"
        return None

    # --- frames of the server ---

    def frame(self):
        """Takes one frame; false: there is none yet."""
        if len(self.inbox) < 2:
            return False
        first, size = self.inbox[0], self.inbox[1] & 0x7F
        begin = 2 + {126: 2, 127: 8}.get(size, 0)
        if len(self.inbox) < begin:
            return False
        if begin > 2:
            size = int.from_bytes(self.inbox[2:begin], "big")
        if self.inbox[1] & 0x80 or size > MAX_FRAME_BYTES or first & 0x70:
            return self.violate(f"head {bytes(self.inbox[:begin]).hex()}")
        if len(self.inbox) < begin + size:
            return False
        payload = bytes(self.inbox[begin : begin + size])
        del self.inbox[: begin + size]
        self.take(first & 0xF, bool(first & 0x80), payload)
        return True

    def violate(self, words):
        self.violation = words
        self.drop()
        return False

    def take(self, opcode, is_last, payload):
        if self.state == WebSocketProtocol.STATE_CLOSED:
            return
        if opcode == 8:
            self.close_came(payload)
        elif opcode == 9:
            self.case.onPing(payload.decode("latin-1"))
            if self.state == WebSocketProtocol.STATE_OPEN:
                self.sendFrame(opcode=10, payload=payload)
        elif opcode == 10:
            self.case.onPong(payload.decode("latin-1"))
        elif (opcode == 0) == (self.opcode is None) or opcode > 2:
            self.violate(f"opcode {opcode} amid opcode {self.opcode}")
        else:
            self.opcode = self.opcode or opcode
            self.message.append(payload)
            if is_last:
                whole, is_binary = b"".join(self.message), self.opcode == 2
                self.message, self.opcode = [], None
                if not is_binary and not is_utf8(whole):
                    self.violate("a text that is not UTF-8")
                elif self.state == WebSocketProtocol.STATE_OPEN:
                    self.case.onMessage(whole.decode("latin-1"), is_binary)

    def close_came(self, payload):
        self.remoteCloseCode = struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None
        self.wasClean = True
        if self.state == WebSocketProtocol.STATE_OPEN:
            self.sendCloseFrame(self.CLOSE_STATUS_CODE_NORMAL, isReply=True)
        self.later(DROP_WITHIN_SECONDS, self.not_dropped)

    def not_dropped(self):
        self.wasClean = False
        self.drop()

    def drop(self):
        self.droppedByMe = True
        self.transport.abort()

    # --- the case's side, with names of the test suite ---

    def sendFrame(self, opcode, payload="", fin=True, rsv=0, mask=None, payload_len=None, chopsize=None, sync=False):
        payload = raw(payload)
        if payload_len is not None:
            payload = (payload * (payload_len // max(len(payload), 1) + 1))[:payload_len]
        self.txFrameStats[opcode] = self.txFrameStats.get(opcode, 0) + 1
        self.send(head(opcode, fin, rsv, len(payload)), payload, chopsize)

    def sendMessage(self, payload, isBinary=False, fragmentSize=None, sync=False, doNotCompress=False):
        payload = raw(payload)
        size = fragmentSize or self.autoFragmentSize or max(len(payload), 1)
        parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
        for at, part in enumerate(parts):
            opcode = 0 if at else 2 if isBinary else 1
            self.sendFrame(opcode=opcode, payload=part, fin=at == len(parts) - 1)

    def beginMessage(self, isBinary=False, doNotCompress=False):
        self.stream_opcode = 2 if isBinary else 1

    def beginMessageFrame(self, length):
        start = head(self.stream_opcode, False, 0, length)
        self.stream_mask, self.streamed_bytes = os.urandom(4), 0
        self.stream_opcode = 0
        self.transport.write(start + self.stream_mask)

    def sendMessageFrameData(self, payload, sync=False):
        payload = raw(payload)
        at = self.streamed_bytes % 4
        self.transport.write(masked(payload, self.stream_mask[at:] + self.stream_mask[:at]))
        self.streamed_bytes += len(payload)

    def endMessage(self):
        self.sendFrame(opcode=0)

    def send(self, start, payload, chopsize):
        mask = os.urandom(4)
        data = start + mask + masked(payload, mask)
        for at in range(0, len(data), chopsize or len(data)):
            self.transport.write(data[at : at + (chopsize or len(data))])

    def sendClose(self, code=None, reason=None):
        self.sendCloseFrame(code, reason.encode() if reason else None)

    def sendCloseFrame(self, code=None, reasonUtf8=None, isReply=False):
        if self.state != WebSocketProtocol.STATE_OPEN:
            return
        payload = (b"" if code is None else struct.pack(">H", code)) + raw(reasonUtf8 or b"")
        self.sendFrame(opcode=8, payload=payload)
        self.state = WebSocketProtocol.STATE_CLOSING
        self.closedByMe = not isReply
        self.localCloseCode, self.localCloseReason = code, reasonUtf8
        if self.closedByMe:
            self.later(CLOSE_WITHIN_SECONDS, self.not_closed)

    def not_closed(self):
        if not self.wasClean:
            self.drop()

    def failConnection(self, code=CLOSE_STATUS_CODE_GOING_AWAY, reason="going away"):
        self.failedByMe = True
        if self.state == WebSocketProtocol.STATE_OPEN:
            self.sendClose(code, reason)
        else:
            self.drop()

    def later(self, delay, action, *arguments):
        self.timers.append(self.loop.call_later(delay, action, *arguments))

    def continueLater(self, delay, action, tag=None):
        self.later(delay, action)

    def killAfter(self, delay):
        self.later(delay, self.failConnection)

    def closeAfter(self, delay):
        self.later(delay, self.sendClose)

    def enableWirelog(self, _):
        """The suite reports no bytes."""


def head(opcode, is_last, rsv, size):
    first = (0x80 if is_last else 0) | (rsv % 8) << 4 | opcode % 128
    if size <= 125:
        return struct.pack(">BB", first, 0x80 | size)
    if size <= 0xFFFF:
        return struct.pack(">BBH", first, 0x80 | 126, size)
    return struct.pack(">BBQ", first, 0x80 | 127, size)


def masked(payload, mask):
    whole = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(whole, "big")
    return mixed.to_bytes(len(payload), "big")


def is_utf8(text):
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


async def play(case, connect):
    """The objection to a case, or None. `connect` opens a transport for a fuzzer."""
    fuzzer = Fuzzer(case)
    try:
        async with asyncio.timeout(CASE_WITHIN_SECONDS):
            await connect(fuzzer)
            await fuzzer.over
    except TimeoutError:
        if fuzzer.transport:
            fuzzer.transport.abort()
        return f"not over within {CASE_WITHIN_SECONDS} s"
    except (OSError, AssertionError) as error:
        return f"no connection: {error}"
    return fuzzer.verdict()


async def play_all(outcome, cases, connect, at_once):
    """Plays several cases at a time; a busy processor would cost them their timeouts."""
    places = asyncio.Semaphore(at_once)

    async def one(name, case):
        async with places:
            objection = await play(case, connect)
            outcome.add(name, objection is None, objection or "")

    await asyncio.gather(*[one(name, case) for name, case in cases.items()])

"""Kinds of cases, and frames that several of them send."""

from stage import HOST
from wire import *

CASES = []


def case(name):
    def add(function):
        CASES.append((name, function))
        return function

    return add


def wrong(name, *frames, ends=(), resets=(), refuses=False, stream=1, own=()):
    """A case in which `frames` end the connection or a stream with one of these codes."""

    def play(edge):
        with Wire(edge, own) as wire:
            wire.send(*frames)
            if ends:
                wire.ends(*ends)
            elif refuses:
                wire.refuses(stream)
            else:
                wire.resets(stream, *resets)

    CASES.append((name, play))


def fine(name, *frames, own=(), answers=False):
    """A case in which `frames` have no effect, or are a good request on stream 1."""

    def play(edge):
        with Wire(edge, own) as wire:
            wire.send(*frames)
            if answers:
                wire.answers(1)
            wire.lives()

    CASES.append((name, play))


# A stream whose answer waits for a window, so that it stays half-closed.
NO_WINDOW = [(INITIAL_WINDOW_SIZE, 0)]
WAITS = request(1, fields("/bytes/1000"))

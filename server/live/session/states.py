"""Where a session can be in its life, and what it can wait for by the clock."""

from enum import Enum, IntEnum


class State(Enum):
    """Where a session is in its life."""

    HELLO = "hello"
    SIGNING_IN = "signing_in"
    OPENING = "opening"
    OPEN = "open"
    #: The server stops: what is under way is still answered.
    LEAVING = "leaving"
    CLOSED = "closed"


class Alarm(IntEnum):
    """What a session waits for by the clock."""

    OPENED = 0
    TOKEN = 1
    PONG = 2
    LEFT = 3
    PING = 4
    GAP = 5
    RECHECK = 6

    __hash__ = int.__hash__  # in C, while Enum's is not; asked for with every frame

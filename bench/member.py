"""A load client's session: a socket that signs in, answers pings, and counts events."""

from functools import partial

from bench.line import Line

#: A frame begins with its kind; the first two letters tell the kinds apart.
KIND = slice(len(b'{"frame":"'), len(b'{"frame":"') + 2)
EVENT, REPLY, WELCOME, PING = b"ev", b"re", b"we", b"pi"
_PONG = b'{"frame":"pong"}'


class Member(Line):
    """One session. Against a bare server there is no token, and whatever comes counts as an event.

    Args:
        since: where to resume, as ``epoch:number``.
    """

    def __init__(self, token: str, since: str, host: str) -> None:
        super().__init__(host)
        self._token = token
        self._since = since
        #: What did not go as it should.
        self.wrong: dict[str, int] = {}

    def event(self, payload: bytes) -> None:
        """One event."""

    def upgraded(self) -> None:
        if not self._token:
            super().upgraded()
            return
        since = f',"since":"{self._since}"' if self._since else ""
        self.say(f'{{"frame":"hello","token":"{self._token}"{since}}}'.encode())

    def heard(self, payload: bytes) -> None:
        kind = payload[KIND]
        if kind == EVENT:
            self.event(payload)
        elif kind == PING:
            self.say(_PONG)
        elif kind == WELCOME:
            self.opened.set_result(None)
        elif kind != REPLY:
            what = payload[:200].decode(errors="replace")
            self.wrong[what] = self.wrong.get(what, 0) + 1


def members(tokens: list[str], count: int, kind: type[Member] = Member) -> list[partial[Member]]:
    """Makers for sessions of these people in turn; for a bare server without tokens."""
    return [partial(kind, tokens[n % len(tokens)] if tokens else "", "") for n in range(count)]

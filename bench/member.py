"""A load client's session: a socket that signs in, answers pings, and counts events."""

from functools import partial

from bench.load_socket import LoadSocket

#: A frame begins with its kind, which its first two letters identify.
KIND = slice(len(b'{"frame":"'), len(b'{"frame":"') + 2)
EVENT, REPLY, WELCOME, PING = b"ev", b"re", b"we", b"pi"
_PONG = b'{"frame":"pong"}'


class Member(LoadSocket):
    """One session. Against the bare server there is no token, and every message counts as an event.

    Args:
        since: where to resume, as ``epoch:number``.
    """

    def __init__(self, token: str, since: str, host: str) -> None:
        super().__init__(host)
        self._token = token
        self._since = since
        #: Error → count.
        self.wrong: dict[str, int] = {}

    def event(self, payload: bytes) -> None:
        """Called with each event."""

    def upgraded(self) -> None:
        if not self._token:
            super().upgraded()
            return
        since = f',"since":"{self._since}"' if self._since else ""
        self.send(f'{{"frame":"hello","token":"{self._token}"{since}}}'.encode())

    def received(self, payload: bytes) -> None:
        kind = payload[KIND]
        if kind == EVENT:
            self.event(payload)
        elif kind == PING:
            self.send(_PONG)
        elif kind == WELCOME:
            self.opened.set_result(None)
        elif kind != REPLY:
            what = payload[:200].decode(errors="replace")
            self.wrong[what] = self.wrong.get(what, 0) + 1


def members(tokens: list[str], count: int, kind: type[Member] = Member) -> list[partial[Member]]:
    """Factories for sessions with these tokens in turn; without tokens for the bare server."""
    return [partial(kind, tokens[n % len(tokens)] if tokens else "", "") for n in range(count)]

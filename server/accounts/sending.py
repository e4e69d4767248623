"""Sending commands to users' actors, for procedures that hash or sign around them."""

from typing import TypeVar

import msgspec
from msgspec import Struct

from actors.runtime.call import SYSTEM_PRINCIPAL
from actors.runtime.turns import Runtime
from protocol.ids import Kind, Ref, UserId
from protocol.registry import Command
from protocol.roles import Principal

S = TypeVar("S", bound=Struct)


class UserActors:
    """Sends commands to the actors of users.

    ``key`` is the command's id, by which a retry is recognised; None: there is no retry.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def send(
        self, command: Command, user_id: UserId, principal: Principal = SYSTEM_PRINCIPAL, key: str | None = None
    ) -> bytes:
        """Send a command; returns the reply's JSON, or raises the error."""
        to = Ref(Kind.USER, user_id)
        outcome = await self._runtime.call(command, to, principal, key=key)
        if outcome.error is not None:
            raise outcome.error
        return outcome.reply

    async def ask(
        self,
        command: Command,
        user_id: UserId,
        reply: type[S],
        principal: Principal = SYSTEM_PRINCIPAL,
        key: str | None = None,
    ) -> S:
        """Like ``send``, with the reply decoded."""
        return msgspec.json.decode(await self.send(command, user_id, principal, key), type=reply)

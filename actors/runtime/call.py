"""A command on its way through the runtime, and what comes of it."""

from collections.abc import Callable, Sequence
from hashlib import blake2b
from typing import Any, Protocol
from uuid import UUID

import msgspec
from msgspec import Struct

from protocol.effects import Emitted
from protocol.errors import GuildwireError, Rejected
from protocol.ids import SYSTEM, AgendaId, Ref
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role

_encoder = msgspec.json.Encoder()

#: The server itself, for timers and messages.
SYSTEM_PRINCIPAL = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))


class Outcome(Struct, gc=False):
    """The answer to a command: its reply, or why not."""

    to: Ref
    #: The entity's version after the command.
    version: int = 0
    #: JSON of the reply; empty if there is an error.
    reply: bytes = b""
    #: The sender's inbox number of the last event that it caused; None if it caused none for them.
    seq: int | None = None
    #: Whether this is the stored answer to a retry.
    replayed: bool = False
    error: GuildwireError | None = None


class Call(Struct):
    """One command, who sent it under which id, and whom to tell.

    ``done`` is called exactly once, and only after the commit (the output gate).
    """

    command: Command
    to: Ref
    principal: Principal
    key: str
    done: Callable[[Outcome], None]
    #: Refuse unless the entity has this version.
    if_version: int | None = None
    #: The agenda row that this call consumes.
    fired: AgendaId | None = None
    #: Set when a claim failed: the next turn only records the refusal.
    refusal: Rejected | None = None
    reruns: int = 0
    began: float = 0.0
    #: Retries under the same id that arrived while this one was being decided.
    retries: list["Call"] = []
    _hash: bytes = b""

    @property
    def identity(self) -> tuple[int, str]:
        """What makes a retry a retry; with the user's number, since ids hash and compare in Python."""
        return self.principal.user_id.int, self.key

    @property
    def hash(self) -> bytes:
        """16 bytes over the decoded command and its target; the same over every transport."""
        if not self._hash:
            declared = BY_TYPE[type(self.command)]
            target = None if declared.creates else self.to.id
            body = _encoder.encode((declared.name, target, self.command))
            self._hash = blake2b(body, digest_size=16).digest()
        return self._hash


class Caller(Protocol):
    """Where the server's parts send commands: ``Runtime``."""

    def new_id(self) -> UUID: ...

    async def call(
        self,
        command: Command,
        to: Ref,
        principal: Principal = SYSTEM_PRINCIPAL,
        *,
        key: str | None = None,
        if_version: int | None = None,
    ) -> Outcome: ...


class Published(Struct, gc=False):
    """One committed event on its way to the sessions of those who may see it."""

    to: Ref
    version: int
    at: Any
    cause: str
    emitted: Emitted
    #: One inbox number for each user of ``emitted.audience``.
    seqs: Sequence[int]

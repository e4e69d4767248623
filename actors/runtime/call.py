"""A command in the runtime, and its outcome."""

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
    """The outcome of a command: its reply, or an error."""

    to: Ref
    #: The entity's version after the command.
    version: int = 0
    #: JSON of the reply; empty if there is an error.
    reply: bytes = b""
    #: The ``seq`` of the last event that the command put into its sender's inbox; None: it put none there.
    seq: int | None = None
    #: Whether this is the stored reply to a retry.
    replayed: bool = False
    error: GuildwireError | None = None


class Call(Struct):
    """One command with its sender, its command id and its callback.

    ``done`` is called exactly once, and only after the commit (the output gate).
    """

    command: Command
    to: Ref
    principal: Principal
    key: str
    done: Callable[[Outcome], None]
    #: Refuse unless the entity has this version, or one of these.
    if_version: int | frozenset[int] | None = None
    #: The agenda row that this call consumes; None: it was not sent by the agenda.
    fired: AgendaId | None = None
    #: Set when the command is refused outside its handler: the next turn only records the refusal.
    refusal: Rejected | None = None
    reruns: int = 0
    began: float = 0.0
    #: Retries under the same id that arrived while this one was being decided.
    retries: list["Call"] = []
    _hash: bytes = b""

    @property
    def identity(self) -> tuple[int, str]:
        """Principal and command id, by which retries are recognised; the user id as an int, which hashes in C."""
        return self.principal.user_id.int, self.key

    def fits(self, version: int) -> bool:
        """Whether ``if_version`` allows the entity's version."""
        expected = self.if_version
        return expected is None or (version in expected if isinstance(expected, frozenset) else version == expected)

    @property
    def hash(self) -> bytes:
        """A 16-byte digest of the decoded command and its target, the same over every transport."""
        if not self._hash:
            declared = BY_TYPE[type(self.command)]
            target = None if declared.creates else self.to.id
            body = _encoder.encode((declared.name, target, self.command))
            self._hash = blake2b(body, digest_size=16).digest()
        return self._hash


class Caller(Protocol):
    """The interface of ``Runtime`` by which the server sends commands."""

    def new_id(self) -> UUID: ...

    async def call(
        self,
        command: Command,
        to: Ref,
        principal: Principal = SYSTEM_PRINCIPAL,
        *,
        key: str | None = None,
        if_version: int | frozenset[int] | None = None,
    ) -> Outcome: ...


class Published(Struct, gc=False):
    """One committed event, to be sent to the sessions of its audience."""

    to: Ref
    version: int
    at: Any
    cause: str
    emitted: Emitted
    #: One inbox ``seq`` for each user of ``emitted.audience``.
    seqs: Sequence[int]

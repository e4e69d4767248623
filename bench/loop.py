"""Microbenchmarks of steps of the event loop with many actors and sessions, without database and clients."""

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from time import perf_counter
from typing import Any
from uuid import UUID, uuid4

from actors.booking.actor import Booking
from actors.runtime.call import SYSTEM_PRINCIPAL, Call, Outcome
from actors.runtime.clock import Clock
from actors.runtime.limits import ACTIVATIONS_MAX, IN_FLIGHT_MAX
from actors.runtime.turns import Runtime
from bench.compared import Compared
from protocol.booking.commands import StartBooking
from protocol.effects import Decision
from protocol.ids import BookingId, Kind, Ref, SessionId, UserId
from protocol.roles import Principal, Role
from server.edge.rates import Limiters
from server.live.connection.codec import JSON
from server.live.connection.websocket import WebSocket
from server.live.hub.hub import Hub
from server.live.limits import Limits
from server.live.session.effects import TokenClaims
from server.live.session.session import State
from storage.actors import Stored, StoredReply
from storage.outcomes import OK, Committed

#: Actors whose decisions are under way, and new actors that are admitted in place of idle ones.
BUSY = 19_000
ADMITTED = 500
SESSIONS = 50_000
SIGN_OUTS = 500


async def run_admit() -> list[Compared]:
    """Measure how long the loop takes to admit one more actor, and to refuse one at the limit."""
    crowded, empty = await _Actors.make(BUSY), await _Actors.make(0)
    admitted = Compared(
        workload="admit",
        what=f"µs to admit an actor, {BUSY:,} of {ACTIVATIONS_MAX:,} busy, beside none",
        ours=await crowded.admit_us(),
        theirs=await empty.admit_us(),
        digits=1,
        wanted="≤ 20",
    )
    refused = Compared(
        workload="admit", what="µs to refuse one, all busy", ours=crowded.refuse_us(), digits=1, wanted="≤ 20"
    )
    return [admitted, refused]


class _Actors:
    """A runtime with the maximum number of activations."""

    def __init__(self) -> None:
        self._holds = True
        self._undecided = 0
        self._all_decided = asyncio.Event()
        self.runtime = Runtime(
            actors={Kind.BOOKING: Booking},
            facts={},
            commits=self,
            load_states=_nothing_stored,
            load_replies=_nothing_answered,
            clock=Clock(),
        )

    @classmethod
    async def make(cls, busy: int) -> "_Actors":
        """Fill the runtime, first with busy actors, then with idle ones."""
        made = cls()
        await made._ask(busy)
        made._holds = False
        await made._ask(ACTIVATIONS_MAX - busy)
        assert (made.runtime.activations, made.runtime.in_flight) == (ACTIVATIONS_MAX, busy)
        return made

    def submit(self, decision: Decision, done: Callable[[Committed], None]) -> None:
        """Commit the decision at once, or never."""
        self._undecided -= 1
        if self._undecided == 0:
            asyncio.get_running_loop().call_soon(self._all_decided.set)
        if not self._holds:
            asyncio.get_running_loop().call_soon(done, Committed(OK))

    async def _ask(self, actors: int) -> None:
        """Send a command to each of a number of new actors, and wait until all are decided."""
        self._undecided = actors
        for _ in range(actors):
            self.runtime.submit(_call())
        await self._decided()

    async def _decided(self) -> None:
        if self._undecided:
            await self._all_decided.wait()
        self._all_decided.clear()
        await asyncio.sleep(0)  # lets the last commit be handled

    async def admit_us(self) -> float:
        """Microseconds to admit one new actor."""
        self._undecided = ADMITTED
        seconds = self._submit_many(ADMITTED)
        await self._decided()
        assert self.runtime.activations == ACTIVATIONS_MAX
        return seconds / ADMITTED * 1e6

    def refuse_us(self) -> float:
        """Microseconds to refuse one new actor when the limit of commands under way is reached."""
        while self.runtime.in_flight < IN_FLIGHT_MAX:
            self.runtime.submit(_call())
        return self._submit_many(ADMITTED) / ADMITTED * 1e6

    def _submit_many(self, count: int) -> float:
        calls = [_call() for _ in range(count)]
        began = perf_counter()
        for call in calls:
            self.runtime.submit(call)
        return perf_counter() - began


def _call() -> Call:
    booking_id = BookingId(uuid4())
    command = StartBooking(booking_id=booking_id)
    return Call(command, Ref(Kind.BOOKING, booking_id), SYSTEM_PRINCIPAL, str(booking_id), _ignore_outcome)


def _ignore_outcome(outcome: Outcome) -> None:
    """Only the steps are measured."""


async def _nothing_stored(refs: Sequence[Ref]) -> list[Stored]:
    return [Stored(ref) for ref in refs]


async def _nothing_answered(identities: Sequence[tuple[UUID, str]]) -> list[StoredReply | None]:
    return [None for _ in identities]


async def run_signout() -> list[Compared]:
    """Measure how long the loop takes to close the connections of a session that signs out."""
    return [
        Compared(
            workload="signout",
            what=f"ms of the loop for a sign-out among {SESSIONS:,} sessions, beside {SIGN_OUTS:,}",
            ours=await _sign_out_ms(SESSIONS),
            theirs=await _sign_out_ms(SIGN_OUTS),
            digits=4,
            wanted="≤ 1",
        )
    ]


async def _sign_out_ms(sessions: int) -> float:
    hub = Hub(
        pool=_NO_DATABASE,
        verify=_verify,
        submit=lambda call: None,
        new_id=uuid4,
        queries={},
        limiters=Limiters(),
        limits=Limits(connections_max=sessions),
    )
    await hub.start()
    people = [_open(hub) for _ in range(sessions)]
    chosen = people[:: sessions // SIGN_OUTS][:SIGN_OUTS]
    began = perf_counter()
    for user_id, session_id in chosen:
        hub.revoke(user_id, session_id)
    seconds = perf_counter() - began
    assert sum(socket.session.to_send != [] for socket in hub._connections) == SIGN_OUTS
    await hub.housekeeping.stop()
    return seconds / SIGN_OUTS * 1e3


def _open(hub: Hub) -> tuple[UserId, SessionId]:
    """Connect and sign in a user."""
    user_id, session_id = UserId(uuid4()), SessionId(uuid4())
    socket = WebSocket(hub=hub, codec=JSON, limits=hub.limits, limiter_key=None)
    socket.connection_made(_Nowhere())
    hub.add(socket)
    person = Principal(user_id=user_id, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}), session_id=session_id)
    socket.session.state = State.AUTHENTICATING
    socket.session.authenticated(TokenClaims(person, inf))
    hub.attach(socket, user_id)
    socket.session.effects.clear()  # the inbox is not read here
    return user_id, session_id


class _Nowhere(asyncio.Transport):
    """A transport that drops everything."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


def _verify(token: str) -> Any:
    raise NotImplementedError("no token is verified here")


#: Nothing here uses the database.
_NO_DATABASE: Any = None

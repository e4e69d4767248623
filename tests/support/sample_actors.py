"""Sample actors for the tests of the runtime: a counter, an account with a wallet, and one that reserves time."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, ClassVar
from uuid import UUID, uuid4

from msgspec import Struct

from actors.actor import Actor, handles
from actors.runtime.call import Call, Outcome
from actors.runtime.clock import Clock
from actors.runtime.turns import Commits, Runtime
from protocol.effects import Decision
from protocol.errors import Fault, NoStaffFree, WrongState
from protocol.events import Event
from protocol.ids import Kind, Ref, SessionId, UserId
from protocol.registry import BY_TYPE, Command
from protocol.roles import Principal, Role
from storage.actors import Stored, StoredReply, load_replies, load_states
from storage.commit import Committer
from storage.database import Pool
from storage.outcomes import OK, Committed
from tests.support.sample_decisions import NOW, sample, sample_event

BANK = "system.bank/EUR"


def person(nth: int = 1) -> Principal:
    """A principal with a new user id."""
    return Principal(
        user_id=UserId(UUID(int=0xA000 + nth)),
        role=Role.CUSTOMER,
        roles=frozenset({Role.CUSTOMER}),
        session_id=SessionId(UUID(int=0xB000 + nth)),
    )


# A counter, which never goes below zero


class Known(Struct, frozen=True):
    """Facts: how much to add."""

    amount: int


class CounterState(Struct, frozen=True):
    value: int


@sample_event("counter.moved")
class CounterMoved(Event, frozen=True):
    """The counter has another value."""

    by: UserId
    value: int


class Counted(Struct, frozen=True):
    """The reply: the value now."""

    value: int


@sample("counter.add", Kind.BOOKING)
class Add(Command, frozen=True):
    """Add to the counter; it is refused below zero."""

    booking_id: UUID
    amount: int = 1


@sample("counter.add_known", Kind.BOOKING)
class AddKnown(Command, frozen=True):
    """Add what the facts say."""

    booking_id: UUID


@sample("counter.look", Kind.BOOKING)
class Look(Command, frozen=True):
    """Return the value, without an event."""

    booking_id: UUID


@sample("counter.crash", Kind.BOOKING)
class Crash(Command, frozen=True):
    """A bug."""

    booking_id: UUID


@sample("counter.open", Kind.BOOKING, creates=True)
class OpenCounter(Command, frozen=True):
    """Make a counter."""

    value: int = 0


@sample("counter.add_later", Kind.BOOKING)
class AddLater(Command, frozen=True):
    """Add later by a timer, unless it has expired by then."""

    booking_id: UUID
    after_s: float
    amount: int = 1
    expires_after_s: float | None = None
    command: str = "add"


@sample("counter.forget", Kind.BOOKING)
class Forget(Command, frozen=True):
    """Cancel the timer."""

    booking_id: UUID


@sample("counter.tell", Kind.BOOKING)
class Tell(Command, frozen=True):
    """Send another counter a message that adds."""

    booking_id: UUID
    other_id: UUID
    amount: int = 1


class Counter(Actor[CounterState]):
    """Counts."""

    kind = Kind.BOOKING
    state_type: ClassVar[type[Struct]] = CounterState

    @handles(Add)
    def add(self, cmd: Add) -> Counted:
        return self._move(cmd.amount)

    @handles(AddKnown, facts=Known)
    def add_known(self, cmd: AddKnown, facts: Known) -> Counted:
        return self._move(facts.amount)

    @handles(Look)
    def look(self, cmd: Look) -> Counted:
        return Counted(self.value)

    @handles(Crash)
    def crash(self, cmd: Crash) -> None:
        self.emit(CounterMoved(by=self.principal.user_id, value=-1))
        raise ZeroDivisionError("a bug")

    @handles(OpenCounter)
    def open(self, cmd: OpenCounter) -> Counted:
        return self._move(cmd.value)

    @handles(AddLater)
    def add_later(self, cmd: AddLater) -> None:
        due_at = self.now + timedelta(seconds=cmd.after_s)
        expires_at = None if cmd.expires_after_s is None else self.now + timedelta(seconds=cmd.expires_after_s)
        command = (
            Crash(booking_id=self.actor_id)
            if cmd.command == "crash"
            else Add(booking_id=self.actor_id, amount=cmd.amount)
        )
        self.set_timer("later", due_at, command, expires_at=expires_at)
        self._move(0)

    @handles(Forget)
    def forget(self, cmd: Forget) -> None:
        self.cancel_timer("later")
        self._move(0)

    @handles(Tell)
    def tell(self, cmd: Tell) -> None:
        self.send(Ref(Kind.BOOKING, cmd.other_id), Add(booking_id=cmd.other_id, amount=cmd.amount))
        self._move(0)

    @property
    def value(self) -> int:
        return self.state.value if self.exists else 0

    def _move(self, amount: int) -> Counted:
        if self.value + amount < 0:
            raise WrongState(status=str(self.value))
        self.emit(CounterMoved(by=self.principal.user_id, value=self.value + amount))
        return Counted(self.value)

    @staticmethod
    def evolve(state: Any, event: Event) -> CounterState:
        assert isinstance(event, CounterMoved)
        return CounterState(event.value)

    def audience(self) -> Sequence[UserId]:
        return (self.principal.user_id,)


# An account; its balance is only in the database


class AccountState(Struct, frozen=True):
    payments: int


@sample_event("account.paid")
class AccountPaid(Event, frozen=True):
    """Money has moved."""

    payments: int


@sample("account.pay", Kind.USER)
class Pay(Command, frozen=True):
    """Pay in or, with a negative amount, out."""

    amount: int


class Account(Actor[AccountState]):
    """Pays without checking its balance."""

    kind = Kind.USER
    state_type: ClassVar[type[Struct]] = AccountState

    @handles(Pay)
    def pay(self, cmd: Pay) -> Counted:
        payments = self.state.payments + 1 if self.exists else 1
        self.emit(AccountPaid(payments=payments), to=[UserId(self.actor_id)])
        wallet = f"wallet/{self.actor_id}/EUR"
        accounts = (BANK, wallet) if cmd.amount > 0 else (wallet, BANK)
        self.transfer(*accounts, abs(cmd.amount), "EUR", "sample")
        return Counted(payments)

    @staticmethod
    def evolve(state: Any, event: Event) -> AccountState:
        assert isinstance(event, AccountPaid)
        return AccountState(event.payments)


# An actor that reserves the time of the first free candidate


class Candidates(Struct, frozen=True):
    """Facts: the candidates who were free when loaded."""

    free: tuple[UserId, ...]


class HolderState(Struct, frozen=True):
    staff_id: UserId


@sample_event("holder.chose")
class HolderChose(Event, frozen=True):
    """A candidate's time was reserved."""

    staff_id: UserId


@sample("holder.hold", Kind.CONVERSATION, creates=True)
class Hold(Command, frozen=True):
    """Reserve an hour of a free candidate."""

    hour: int = 0


class Holder(Actor[HolderState]):
    """Holds time."""

    kind = Kind.CONVERSATION
    state_type: ClassVar[type[Struct]] = HolderState

    @handles(Hold, facts=Candidates)
    def hold(self, cmd: Hold, facts: Candidates) -> HolderState:
        if not facts.free:
            raise NoStaffFree()
        starts_at = NOW + timedelta(hours=cmd.hour)
        self.emit(HolderChose(staff_id=facts.free[0]), to=[facts.free[0]])
        self.reserve(self.actor_id, facts.free[0], starts_at, starts_at + timedelta(hours=1))
        return HolderState(facts.free[0])

    @staticmethod
    def evolve(state: Any, event: Event) -> HolderState:
        assert isinstance(event, HolderChose)
        return HolderState(event.staff_id)


ACTORS: dict[Kind, type[Actor[Any]]] = {actor.kind: actor for actor in (Counter, Account, Holder)}

#: The samples' facts are loaded by the command itself.
Ask = Command
Loader = Callable[[Sequence[Ask]], Awaitable[Sequence[Any]]]


async def know_one(asks: Sequence[Ask]) -> list[Known]:
    """Facts that are always the same."""
    return [Known(1) for _ in asks]


async def know_nobody(asks: Sequence[Ask]) -> list[Candidates]:
    """No candidate is free."""
    return [Candidates(()) for _ in asks]


def free_staff(pool: Pool, staff: Sequence[UserId]) -> Loader:
    """Load the candidates without a slot in that hour."""

    async def load(asks: Sequence[Ask]) -> list[Candidates]:
        rows = await pool.fetch("SELECT staff_id, lower(during) AS starts_at FROM slots")
        busy = {(row["staff_id"], row["starts_at"]) for row in rows}
        hours = [NOW + timedelta(hours=command.hour) for command in asks if isinstance(command, Hold)]
        return [Candidates(tuple(member for member in staff if (member, hour) not in busy)) for hour in hours]

    return load


def make_samples_runtime(
    pool: Pool | None, commits: Commits, facts: Mapping[type[Struct], Loader] | None = None, **options: Any
) -> Runtime:
    """A runtime of the sample actors; without a pool no actor exists."""
    states = partial(load_states, pool) if pool else nothing_stored
    return Runtime(
        actors=ACTORS,
        facts={Known: know_one, Candidates: know_nobody, **(facts or {})},
        commits=commits,
        load_states=options.pop("load_states", states),
        load_replies=partial(load_replies, pool) if pool else nothing_answered,
        clock=options.pop("clock", Clock()),
        **options,
    )


def make_call(
    command: Command,
    principal: Principal | None = None,
    *,
    key: str | None = None,
    done: Callable[[Outcome], None] = lambda outcome: None,
    if_version: int | None = None,
) -> Call:
    """A call as the edges make it."""
    principal = principal or person()
    declared = BY_TYPE[type(command)]
    assert declared.actor is not None
    to = Ref(declared.actor, declared.addressee(command, principal) or uuid4())
    return Call(command, to, principal, key or str(uuid4()), done, if_version=if_version)


async def execute(runtime: Runtime, call: Call) -> Outcome:
    """Submit a call and wait for its outcome."""
    answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    call.done = answer.set_result
    runtime.submit(call)
    return await answer


async def nothing_stored(refs: Sequence[Ref]) -> list[Stored]:
    """Load states from a database without actors."""
    return [Stored(ref) for ref in refs]


async def nothing_answered(identities: Sequence[tuple[UUID, str]]) -> list[StoredReply | None]:
    """Load replies from an empty command log."""
    return [None for _ in identities]


class Gate:
    """Stands before the committer, or in its place, and holds decisions and outcomes until they are released."""

    def __init__(self, committer: Committer | None = None) -> None:
        self._committer = committer
        #: Submitted decisions with their callbacks, oldest first.
        self.held: list[tuple[Decision, Callable[[Committed], None]]] = []

    def submit(self, decision: Decision, done: Callable[[Committed], None]) -> None:
        """Hold it."""
        self.held.append((decision, done))

    def answer(self, *statuses: str, fault: Fault | None = None) -> None:
        """Report these outcomes to the oldest decisions, without a database."""
        for status in statuses:
            decision, done = self.held.pop(0)
            seqs = [1] * sum(len(emitted.audience) for emitted in decision.emitted) if status == OK else ()
            done(Committed(status, seqs, fault))

    def let_through(self) -> None:
        """Pass all held decisions to the committer."""
        assert self._committer is not None
        held, self.held = self.held, []
        for decision, done in held:
            self._committer.submit(decision, done)

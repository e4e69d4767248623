"""Turns: one command at a time for each actor, decided on its cached state and made durable by the committer.

    submit ─▶ mailbox ─▶ (facts) ─▶ decide ─▶ committer ─▶ settle ─▶ reply, events, follow-ups
                 ▲                                │ stale, claim failed
                 └────────── in order ◀───────────┘

A turn may build on a decision whose commit is still under way, unless it needs facts: those wait until its actor is
durable. Nothing of a turn is heard outside before its own commit. A decision that fails marks its activation as dead:
what builds on it comes back as stale and is decided again, in order, on fresh state.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from random import Random
from time import monotonic, perf_counter
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog

from actors.actor import Actor, Handler, Turn
from actors.runtime.activation import Activation
from actors.runtime.call import Call, Outcome, Published
from actors.runtime.clock import Clock
from actors.runtime.limits import (
    ACTIVATIONS_MAX,
    IDLE_S,
    IN_FLIGHT_MAX,
    MAILBOX_MAX,
    PIPELINE_MAX,
    RERUNS_MAX,
    RETRY_AFTER_S,
    STATE_BYTES_MAX,
)
from actors.runtime.lookups import Lookup
from actors.runtime.observer import Observer
from actors.runtime.retries import LoadAnswers, Retries
from protocol.effects import CancelTimer, Decision, Effect, Logged, Send, SetTimer
from protocol.errors import (
    Busy,
    Fault,
    GuildwireError,
    Internal,
    Rejected,
    Unavailable,
    VersionMismatch,
    revive,
)
from protocol.ids import Kind, Ref, uuid7
from protocol.registry import BY_TYPE, Command, Done
from protocol.roles import Principal
from storage.actors import Stored
from storage.outcomes import DUPLICATE, GONE, OK, STALE, Committed

log = structlog.get_logger()
_encoder = msgspec.json.Encoder()
_DONE = _encoder.encode(Done())
#: Seeded from the system's entropy: ids and stamps must differ, not be secret.
_random = Random()

FactsLoader = Callable[[Sequence[tuple[Command, Principal, datetime]]], Awaitable[Sequence[Any]]]


class Commits(Protocol):
    """Where decisions become durable."""

    def submit(self, decision: Decision, done: Callable[[Committed], None]) -> None: ...


class Runtime:
    """All the activations of this process.

    Args:
        actors: the actor class of each kind.
        facts: the loader of each facts struct.
        commits: where decisions go.
        publish: hears of each committed event.
        scheduled: hears of each committed timer effect, with the actor that it belongs to.
    """

    def __init__(
        self,
        *,
        actors: Mapping[Kind, type[Actor[Any]]],
        facts: Mapping[type[msgspec.Struct], FactsLoader],
        commits: Commits,
        load_states: Callable[[Sequence[Ref]], Awaitable[Sequence[Stored]]],
        load_answers: LoadAnswers,
        clock: Clock,
        publish: Callable[[Published], None] = lambda published: None,
        scheduled: Callable[[Ref, SetTimer | CancelTimer], None] = lambda to, effect: None,
        observer: Observer | None = None,
    ) -> None:
        self._actors = actors
        self._facts = {struct: Lookup(struct.__name__, load) for struct, load in facts.items()}
        self._commits = commits
        self._states: Lookup[Ref, Stored] = Lookup("states", load_states)
        self._retries = Retries(load_answers, self._tell)
        self._decoders = {kind: msgspec.json.Decoder(cls.state_type) for kind, cls in actors.items()}
        self._handlers: dict[type, Handler] = {c: h for cls in actors.values() for c, h in cls.handlers.items()}
        self._activations: OrderedDict[Ref, Activation] = OrderedDict()
        self._in_flight: dict[tuple[int, str], Call] = {}
        self._quiet = asyncio.Event()
        self._quiet.set()
        self.clock = clock
        self.publish = publish
        self.scheduled = scheduled
        self.send: Callable[[Send, str], None] = lambda effect, cause: None
        self.observer = observer or Observer()

    # What the outside sees

    @property
    def activations(self) -> int:
        """Actors in memory."""
        return len(self._activations)

    @property
    def in_flight(self) -> int:
        """Commands that have no answer yet."""
        return len(self._in_flight)

    @property
    def mailbox_depth(self) -> int:
        """Commands that wait for their turn."""
        return sum(len(activation.mailbox) for activation in self._activations.values())

    def new_id(self) -> UUID:
        """A UUIDv7 of this moment."""
        return uuid7(self.clock.now_ms(), _random.getrandbits(74))

    def submit(self, call: Call) -> None:
        """Take a command in; its ``done`` is called once it is decided and durable, or has failed."""
        call.began = perf_counter()
        first = self._in_flight.setdefault(call.identity, call)
        if first is not call:
            self._retries.join(first, call)
            return
        activation = self._activate(call.to, fresh=BY_TYPE[type(call.command)].creates)
        if len(activation.mailbox) >= MAILBOX_MAX or len(self._in_flight) > IN_FLIGHT_MAX:
            del self._in_flight[call.identity]
            call.done(Outcome(call.to, error=Busy(queue="mailbox", retry_after_s=RETRY_AFTER_S)))
            return
        if len(self._in_flight) == 1:
            self._quiet.clear()
        call.to = activation.to
        activation.mailbox.append(call)
        self._step(activation)

    async def execute(self, call: Call) -> Outcome:
        """Submit a command and wait for what comes of it."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        tell = call.done

        def done(outcome: Outcome) -> None:
            tell(outcome)
            if not answer.done():
                answer.set_result(outcome)

        call.done = done
        self.submit(call)
        return await answer

    async def drain(self) -> None:
        """Wait until every command has its answer."""
        await self._quiet.wait()

    async def passivate(self) -> int:
        """Forget activations that nobody has used for a while; answers how many."""
        horizon = monotonic() - IDLE_S
        stale = [to for to, activation in self._activations.items() if activation.idle and activation.used_at < horizon]
        for to in stale:
            del self._activations[to]
        return len(stale)

    # Taking commands in

    def _activate(self, to: Ref, *, fresh: bool) -> Activation:
        activation = self._activations.get(to)
        if activation is None:
            activation = self._activations[to] = Activation(to, row=Stored(to) if fresh else None)
            if len(self._activations) > ACTIVATIONS_MAX:
                self._evict(to)
        else:
            self._activations.move_to_end(to)
        activation.used_at = monotonic()
        return activation

    def _evict(self, wanted: Ref) -> None:
        """Make room: the least recently used activation that is idle goes."""
        for to, activation in self._activations.items():
            if activation.idle and to != wanted:
                del self._activations[to]
                return

    # One turn after another

    def _step(self, activation: Activation) -> None:
        """Run the turns that can run now."""
        while activation.mailbox and not activation.waiting and not activation.dead:
            if activation.row is None:
                self._read(activation)
                return
            if len(activation.pending) >= PIPELINE_MAX:
                return
            handler = self._handlers[type(activation.mailbox[0].command)]
            if handler.facts is not None and activation.mailbox[0].refusal is None:
                if not activation.pending:
                    self._ask_facts(activation, handler)
                return
            self._turn(activation, handler, activation.mailbox.popleft(), None)

    def _read(self, activation: Activation) -> None:
        activation.waiting = True

        def read(row: Stored | GuildwireError) -> None:
            activation.waiting = False
            if isinstance(row, GuildwireError):
                self._fail_all(activation, row)
                return
            if row.schema > self._actors[row.to.kind].schema:
                log.error("state.newer", actor=str(activation.to), schema=row.schema)
                self._fail_all(activation, Unavailable(retry_after_s=RETRY_AFTER_S))
                return
            try:
                activation.state = None if row.state is None else self._decoders[row.to.kind].decode(row.state)
            except msgspec.MsgspecError as error:
                log.exception("state.unreadable", actor=str(activation.to), error=str(error))
                self._fail_all(activation, Internal(incident=str(activation.to)))
                return
            activation.row = row
            self._step(activation)

        self._states.ask(activation.to, read)

    def _ask_facts(self, activation: Activation, handler: Handler) -> None:
        assert handler.facts is not None
        activation.waiting = True
        call = activation.mailbox[0]

        def loaded(facts: Any) -> None:
            activation.waiting = False
            activation.mailbox.popleft()
            if isinstance(facts, Rejected):
                call.refusal = facts
                self._turn(activation, handler, call, None)
            elif isinstance(facts, GuildwireError):
                self._finish(call, Outcome(call.to, error=facts))
            else:
                self._turn(activation, handler, call, facts)
            self._step(activation)

        self._facts[handler.facts].ask((call.command, call.principal, self.clock.now()), loaded)

    def _turn(self, activation: Activation, handler: Handler, call: Call, facts: Any) -> None:
        """Decide one command and send the decision on its way."""
        try:
            actor, decision = self._decide(activation, handler, call, facts)
        except Exception as error:
            log.exception(
                "turn.crashed",
                actor=str(call.to),
                command=call.key,
                type=type(call.command).__name__,
                error=repr(error),
            )
            self._finish(call, Outcome(call.to, error=Internal(incident=call.key)))
            return
        try:
            self._commits.submit(decision, partial(self._settle, activation, actor, decision))
        except Fault as fault:
            self._finish(call, Outcome(call.to, error=fault))
            return
        activation.pending.append(call)
        if decision.state is not None:
            assert activation.row is not None
            activation.row = Stored(call.to, decision.version, decision.stamp, decision.schema, decision.state)
            activation.state = actor._state

    def _decide(self, activation: Activation, handler: Handler, call: Call, facts: Any) -> tuple[Actor[Any], Decision]:
        assert activation.row is not None
        now = self.clock.now()
        row = activation.row
        turn = Turn(now, call.principal, self.new_id, row.version)
        actor = self._actors[call.to.kind](call.to.id, activation.state, turn)
        refusal: Rejected | None = call.refusal
        reply = None
        if refusal is None:
            try:
                if call.if_version is not None and call.if_version != row.version:
                    raise VersionMismatch(version=row.version)
                if handler.facts is None:
                    reply = handler.call(actor, call.command)
                else:
                    reply = handler.call(actor, call.command, facts)
            except Rejected as rejected:
                assert not actor.emitted, f"{type(call.command).__name__} refused after it had emitted"
                refusal = rejected
        if refusal is not None:
            actor = self._actors[call.to.kind](call.to.id, activation.state, turn)
            answer = _encoder.encode({"code": refusal.code, "fields": refusal.fields})
        else:
            answer = _DONE if reply is None else _encoder.encode(reply)
        log_entry = Logged(
            principal=call.principal.user_id,
            key=call.key,
            hash=call.hash,
            command=BY_TYPE[type(call.command)].name,
            refused=refusal is not None,
            reply=answer,
        )
        return actor, self._decision(row, actor, call, log_entry)

    def _decision(self, row: Stored, actor: Actor[Any], call: Call, entry: Logged) -> Decision:
        state = None
        effects: list[Effect] = actor.effects
        if actor.emitted:
            state = _encoder.encode(actor.state)
            assert len(state) <= STATE_BYTES_MAX, f"{call.to} has a state of {len(state)} bytes"
            for read_row in actor.rows():
                actor.put(read_row)
        return Decision(
            to=call.to,
            at=actor.now,
            principal=call.principal.user_id,
            cause=call.key,
            expected_version=row.version,
            expected_stamp=row.stamp,
            version=row.version + len(actor.emitted),
            stamp=_random.getrandbits(63),
            schema=actor.schema,
            state=state,
            emitted=actor.emitted,
            effects=effects,
            log=entry,
            fired=call.fired,
        )

    # What the commit says

    def _settle(self, activation: Activation, actor: Actor[Any], decision: Decision, committed: Committed) -> None:
        call = activation.pending.popleft()
        if committed.status == OK:
            self._release(call, decision, committed)
        else:
            self._undo(activation, call, committed)
        if activation.dead and not activation.pending:
            self._revive(activation)
        self._step(activation)

    def _undo(self, activation: Activation, call: Call, committed: Committed) -> None:
        """A decision did not come to be: nothing that builds on it may."""
        charged, activation.dead = not activation.dead, True
        if committed.fault is not None:
            self._finish(call, Outcome(call.to, error=committed.fault))
        elif committed.status == DUPLICATE:
            self._retries.answer(call, partial(self._finish, call))
        elif committed.status == GONE:
            self._finish(call, Outcome(call.to, error=GoneFromAgenda()))
        elif call.reruns >= RERUNS_MAX:
            self._finish(call, Outcome(call.to, error=Busy(queue="reruns", retry_after_s=RETRY_AFTER_S)))
        else:
            call.reruns += charged  # who only stands behind it is not to blame
            if committed.status != STALE and self._handlers[type(call.command)].facts is None:
                refusal = committed.refusal
                assert refusal is not None, f"no refusal is declared for {committed.status}"
                call.refusal = refusal()
            self.observer.rerun(call, committed.status)
            activation.again.append(call)

    def _revive(self, activation: Activation) -> None:
        """Start again on fresh state, with the commands in their old order."""
        activation.mailbox.extendleft(reversed(activation.again))
        activation.again.clear()
        activation.dead = False
        activation.row = None
        activation.state = None

    def _release(self, call: Call, decision: Decision, committed: Committed) -> None:
        """Open the gate: the decision is durable, so now it may be heard."""
        at, own = 0, decision.own
        seq = None if own is None else committed.seqs[own]
        version = decision.version - len(decision.emitted)
        events = []
        for emitted in decision.emitted:
            version += 1
            count = len(emitted.audience)
            seqs = committed.seqs[at : at + count]
            at += count
            events.append(Published(decision.to, version, decision.at, decision.cause, emitted, seqs))
        try:
            self._announce(decision, events)
        except Exception:
            log.exception("listener.crashed", actor=str(decision.to), cause=decision.cause)
        assert decision.log is not None
        if decision.log.refused:
            refused = msgspec.json.decode(decision.log.reply)
            error = call.refusal or revive(refused["code"], refused["fields"])
            self._finish(call, Outcome(call.to, decision.version, error=error))
        else:
            self._finish(call, Outcome(call.to, decision.version, decision.log.reply, seq))

    def _announce(self, decision: Decision, events: Sequence[Published]) -> None:
        """Tell the sessions and the agenda. Raises whatever they raise; they find what they miss in the database."""
        for event in events:
            self.publish(event)
        for effect in decision.effects:
            if type(effect) is Send:
                self.send(effect, decision.cause)
            elif type(effect) is SetTimer or type(effect) is CancelTimer:
                self.scheduled(decision.to, effect)

    def _finish(self, call: Call, outcome: Outcome) -> None:
        self._in_flight.pop(call.identity, None)
        if not self._in_flight:
            self._quiet.set()
        self._tell(call, outcome)
        for twin in call.twins:
            replayed = not isinstance(outcome.error, Fault)
            again = Outcome(outcome.to, outcome.version, outcome.reply, outcome.seq, replayed, outcome.error)
            self._tell(twin, again)

    def _tell(self, call: Call, outcome: Outcome) -> None:
        """Give somebody their answer; a crash of theirs is nobody else's."""
        try:
            call.done(outcome)
            self.observer.finished(call, outcome, perf_counter() - call.began)
        except Exception:
            log.exception("listener.crashed", actor=str(call.to), command=call.key)

    def _fail_all(self, activation: Activation, error: GuildwireError) -> None:
        """The actor cannot be read: everybody who waits for it is told."""
        calls, activation.mailbox = activation.mailbox, deque()
        for call in calls:
            self._finish(call, Outcome(call.to, error=error))


class GoneFromAgenda(Rejected):
    """The agenda row was cancelled, moved or consumed by somebody else; nobody waits for this answer."""

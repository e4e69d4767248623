"""Turns: each actor decides one command at a time on its cached state; the committer makes the decision durable.

    submit ─▶ mailbox ─▶ (facts) ─▶ decide ─▶ committer ─▶ settle ─▶ reply, events, messages
                 ▲                                │ stale, claim failed
                 └────────── in order ◀───────────┘

A turn may build on a decision that is still being committed, unless it needs facts: facts are loaded once all of the
actor's decisions are durable. Nothing of a turn leaves the process before its own commit. A decision that fails marks
its activation as dead: the decisions built on it come back as stale and are rerun, in order, on fresh state.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any, Protocol
from uuid import UUID

import msgspec
import structlog

from actors.actor import EFFECTS_MAX, EVENTS_MAX, Actor, Handler, Turn
from actors.runtime.activation import Activation, Activations
from actors.runtime.call import SYSTEM_PRINCIPAL, Call, Outcome, Published
from actors.runtime.clock import Clock
from actors.runtime.entropy import Entropy
from actors.runtime.limits import (
    ACTIVATIONS_MAX,
    DRAIN_TIMEOUT_S,
    IDLE_S,
    IN_FLIGHT_MAX,
    MAILBOX_MAX,
    PIPELINE_MAX,
    RERUNS_MAX,
    STATE_BYTES_MAX,
)
from actors.runtime.lookups import Lookup
from actors.runtime.observer import Observer
from actors.runtime.retries import LoadReplies, Retries
from protocol.effects import CancelTimer, Decision, Effect, Logged, Send, SetTimer
from protocol.errors import (
    RETRY_AFTER_S,
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
from storage.outcomes import DUPLICATE, GONE, OK, STALE, Committed, refusal_of

log = structlog.get_logger()
_encoder = msgspec.json.Encoder()
_DONE = _encoder.encode(Done())
_entropy = Entropy()

#: Loads what actors ask for, a round at a time.
FactsLoader = Callable[[Sequence[Any]], Awaitable[Sequence[Any]]]


class Commits(Protocol):
    """The interface of the committers."""

    def submit(self, decision: Decision, done: Callable[[Committed], None]) -> None: ...


class Runtime:
    """Runs the turns of all actors of this process.

    Args:
        actors: the actor class of each kind.
        facts: the loader of each facts struct.
        commits: commits the decisions.
        publish: called with each committed event.
        scheduled: called with each committed timer effect and its actor.
    """

    def __init__(
        self,
        *,
        actors: Mapping[Kind, type[Actor[Any]]],
        facts: Mapping[type[msgspec.Struct], FactsLoader],
        commits: Commits,
        load_states: Callable[[Sequence[Ref]], Awaitable[Sequence[Stored]]],
        load_replies: LoadReplies,
        clock: Clock,
        publish: Callable[[Published], None] = lambda published: None,
        scheduled: Callable[[Ref, SetTimer | CancelTimer], None] = lambda to, effect: None,
        observer: Observer | None = None,
    ) -> None:
        self._actors = actors
        self._facts = {struct: Lookup(struct.__name__, load) for struct, load in facts.items()}
        self._commits = commits
        self._states: Lookup[Ref, Stored] = Lookup("states", load_states)
        self._retries = Retries(load_replies, self._report)
        self._decoders = {kind: msgspec.json.Decoder(cls.state_type) for kind, cls in actors.items()}
        self._handlers: dict[type, Handler] = {c: h for cls in actors.values() for c, h in cls.handlers.items()}
        self._activations = Activations()
        self._in_flight: dict[tuple[int, str], Call] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.clock = clock
        self.publish = publish
        self.scheduled = scheduled
        self.send: Callable[[Send, str], None] = lambda effect, cause: None
        self.observer = observer or Observer()

    # Public interface

    @property
    def activations(self) -> int:
        """Actors in memory."""
        return len(self._activations)

    @property
    def in_flight(self) -> int:
        """Commands without an outcome."""
        return len(self._in_flight)

    @property
    def mailbox_depth(self) -> int:
        """Commands that wait for their turn."""
        return sum(len(activation.mailbox) for activation in self._activations)

    def new_id(self) -> UUID:
        """A new UUIDv7."""
        return uuid7(self.clock.now_ms(), _entropy.bits(74))

    def submit(self, call: Call) -> None:
        """Queue a command; its ``done`` is called once it is durable or has failed."""
        fresh = BY_TYPE[type(call.command)].creates
        call.began = perf_counter()
        first = self._in_flight.setdefault(call.identity, call)
        if first is not call:
            self._retries.join(first, call)
            return
        activation = self._activations.get(call.to)
        full = activation is not None and len(activation.mailbox) >= MAILBOX_MAX
        if full or len(self._in_flight) > IN_FLIGHT_MAX:
            del self._in_flight[call.identity]
            call.done(Outcome(call.to, error=Busy(queue="mailbox", retry_after_s=RETRY_AFTER_S)))
            return
        if len(self._in_flight) == 1:
            self._idle.clear()
        if activation is None:
            activation = Activation(call.to, row=Stored(call.to) if fresh else None)
            self._activations.add(activation, ACTIVATIONS_MAX)
        else:
            self._activations.mark_busy(activation)
        call.to = activation.to
        activation.mailbox.append(call)
        self._run_turns(activation)

    async def call(
        self,
        command: Command,
        to: Ref,
        principal: Principal = SYSTEM_PRINCIPAL,
        *,
        key: str | None = None,
        if_version: int | frozenset[int] | None = None,
    ) -> Outcome:
        """Send a command and wait for its outcome.

        Args:
            key: the command id, by which a retry is recognised; None makes a new one.
            if_version: refuse unless the actor has this version, or one of these.
        """
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def done(outcome: Outcome) -> None:
            if not answer.done():
                answer.set_result(outcome)

        self.submit(Call(command, to, principal, key or f"{_entropy.bits(128):032x}", done, if_version))
        return await answer

    async def drain(self) -> None:
        """Wait until every command has its outcome, for at most ``DRAIN_TIMEOUT_S``; then log what is left."""
        try:
            async with asyncio.timeout(DRAIN_TIMEOUT_S):
                await self._idle.wait()
        except TimeoutError:
            first = next(iter(self._in_flight.values()))
            log.error("runtime.drain_cut", action="leave", commands=len(self._in_flight), first=str(first.to))

    async def passivate(self) -> int:
        """Drop activations that have been idle for ``IDLE_S``; returns how many."""
        return self._activations.drop_idle(IDLE_S)

    # Turns

    def _run_turns(self, activation: Activation) -> None:
        """Run the turns that can run now."""
        while activation.mailbox and not activation.waiting and not activation.dead:
            if activation.row is None:
                self._read(activation)
                return
            if len(activation.pending) >= PIPELINE_MAX:
                return
            handler = self._handlers.get(type(activation.mailbox[0].command))
            if handler is None or (handler.facts is not None and handler.facts not in self._facts):
                self._crashed(activation.mailbox.popleft(), "dispatch")
                continue
            if handler.facts is not None and activation.mailbox[0].refusal is None:
                if not activation.pending:
                    self._ask_facts(activation, handler)
                return
            self._turn(activation, handler, activation.mailbox.popleft(), None)
        if activation.idle:
            self._activations.mark_idle(activation)

    def _read(self, activation: Activation) -> None:
        activation.waiting = True

        def read(row: Stored | GuildwireError) -> None:
            activation.waiting = False
            try:
                if isinstance(row, GuildwireError):
                    raise row
                if row.schema > self._actors[row.to.kind].schema:
                    log.error("state.newer", actor=str(activation.to), schema=row.schema)
                    raise Unavailable(retry_after_s=RETRY_AFTER_S)
                activation.state = None if row.state is None else self._decoders[row.to.kind].decode(row.state)
                activation.row = row
            except GuildwireError as error:
                self._fail_all(activation, error)
            except Exception as error:
                log.exception("state.unreadable", actor=str(activation.to), error=repr(error))
                self._fail_all(activation, Internal(incident=str(activation.to)))
            self._run_turns(activation)

        self._states.ask(activation.to, read)

    def _ask_facts(self, activation: Activation, handler: Handler) -> None:
        """Load the facts of the next command; one that the actor refuses before that is decided without facts."""
        assert handler.facts is not None
        call = activation.mailbox[0]
        try:
            ask = handler.asks(self._actor(activation, call), call.command)
        except Rejected as refusal:
            activation.mailbox.popleft()
            call.refusal = refusal
            self._turn(activation, handler, call, None)
            self._run_turns(activation)
            return
        except Exception as error:
            activation.mailbox.popleft()
            self._crashed(call, "ask", error)
            self._run_turns(activation)
            return
        activation.waiting = True

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
            self._run_turns(activation)

        self._facts[handler.facts].ask(ask, loaded)

    def _actor(self, activation: Activation, call: Call) -> Actor[Any]:
        """The actor with its current state, for one turn."""
        assert activation.row is not None
        turn = Turn(self.clock.now(), call.principal, self.new_id, activation.row.version)
        return self._actors[call.to.kind](call.to.id, activation.state, turn)

    def _turn(self, activation: Activation, handler: Handler, call: Call, facts: Any) -> None:
        """Decide one command and submit the decision."""
        try:
            actor, decision = self._decide(activation, handler, call, facts)
        except Exception as error:
            self._crashed(call, "decide", error)
            return
        try:
            self._commits.submit(decision, partial(self._settle, activation, actor, decision))
        except Fault as fault:
            self._finish(call, Outcome(call.to, error=fault))
            return
        except Exception as error:
            self._crashed(call, "submit", error)
            return
        activation.pending.append(call)
        if decision.state is not None:
            assert activation.row is not None
            activation.row = Stored(call.to, decision.version, decision.stamp, decision.schema, decision.state)
            activation.state = actor._state

    def _decide(self, activation: Activation, handler: Handler, call: Call, facts: Any) -> tuple[Actor[Any], Decision]:
        assert activation.row is not None
        row = activation.row
        actor = self._actor(activation, call)
        refusal: Rejected | None = call.refusal
        reply = None
        if refusal is None:
            try:
                if not call.fits(row.version):
                    raise VersionMismatch(version=row.version)
                if handler.facts is None:
                    reply = handler.call(actor, call.command)
                else:
                    reply = handler.call(actor, call.command, facts)
            except Rejected as rejected:
                assert not actor.emitted, f"{type(call.command).__name__} refused after it had emitted"
                refusal = rejected
        if refusal is not None:
            actor = self._actor(activation, call)
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
        actor.finish()
        effects: list[Effect] = actor.effects
        assert len(actor.emitted) <= EVENTS_MAX, f"{call.to} has {len(actor.emitted)} events in one turn"
        if actor.emitted:
            state = _encoder.encode(actor.state)
            assert len(state) <= STATE_BYTES_MAX, f"{call.to} has a state of {len(state)} bytes"
        assert len(effects) <= EFFECTS_MAX, f"{call.to} has {len(effects)} effects in one turn"
        return Decision(
            to=call.to,
            at=actor.now,
            principal=call.principal.user_id,
            cause=call.key,
            expected_version=row.version,
            expected_stamp=row.stamp,
            version=row.version + len(actor.emitted),
            stamp=_entropy.bits(63),
            schema=actor.schema,
            state=state,
            emitted=actor.emitted,
            effects=effects,
            log=entry,
            fired=call.fired,
        )

    # Outcomes of the commit

    def _settle(self, activation: Activation, actor: Actor[Any], decision: Decision, committed: Committed) -> None:
        call = activation.pending.popleft()
        try:
            if committed.status == OK:
                self._release(call, decision, committed)
            else:
                self._not_committed(activation, call, committed)
        except Exception as error:
            activation.dead = True
            self._crashed(call, "settle", error)
        if activation.dead and not activation.pending:
            self._reload(activation)
        self._run_turns(activation)

    def _not_committed(self, activation: Activation, call: Call, committed: Committed) -> None:
        """Handle a decision that was not committed. Raises: AssertionError, see ``refusal_of``."""
        charged, activation.dead = not activation.dead, True
        if committed.fault is not None:
            self._finish(call, Outcome(call.to, error=committed.fault))
        elif committed.status == DUPLICATE:
            self._retries.reply(call, partial(self._finish, call))
        elif committed.status == GONE:
            self._finish(call, Outcome(call.to, error=GoneFromAgenda()))
        else:
            refusal = None if committed.status == STALE else refusal_of(committed.status)
            if call.reruns >= RERUNS_MAX:
                self._finish(call, Outcome(call.to, error=Busy(queue="reruns", retry_after_s=RETRY_AFTER_S)))
                return
            call.reruns += charged  # decisions built on the failed one do not consume a rerun
            if refusal is not None and self._handlers[type(call.command)].facts is None:
                call.refusal = refusal()
            activation.reruns.append(call)
            self._observe_rerun(call, committed.status)

    def _observe_rerun(self, call: Call, status: str) -> None:
        try:
            self.observer.rerun(call, status)
        except Exception:
            log.exception("listener.crashed", actor=str(call.to), command=call.key)

    def _reload(self, activation: Activation) -> None:
        """Drop the cached state, and put the commands to rerun back into the mailbox in their order."""
        activation.mailbox.extendleft(reversed(activation.reruns))
        activation.reruns.clear()
        activation.dead = False
        activation.row = None
        activation.state = None

    def _release(self, call: Call, decision: Decision, committed: Committed) -> None:
        """Open the output gate of a durable decision: publish its events, then report its outcome."""
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
            self._publish(decision, events)
        except Exception:
            log.exception("listener.crashed", actor=str(decision.to), cause=decision.cause)
        assert decision.log is not None
        if decision.log.refused:
            refused = msgspec.json.decode(decision.log.reply)
            error = call.refusal or revive(refused["code"], refused["fields"])
            self._finish(call, Outcome(call.to, decision.version, error=error))
        else:
            self._finish(call, Outcome(call.to, decision.version, decision.log.reply, seq))

    def _publish(self, decision: Decision, events: Sequence[Published]) -> None:
        """Pass events to the sessions, timers and messages to the agenda. Raises: any error of theirs.

        What they miss they find in the database.
        """
        for event in events:
            self.publish(event)
        for effect in decision.effects:
            if type(effect) is Send:
                self.send(effect, decision.cause)
            elif type(effect) is SetTimer or type(effect) is CancelTimer:
                self.scheduled(decision.to, effect)

    def _crashed(self, call: Call, step: str, error: Exception | None = None) -> None:
        """Log a crash of a turn, and finish the call with Internal, whose incident is the command id."""
        about = {"actor": str(call.to), "command": call.key, "type": type(call.command).__name__}
        log.error("turn.crashed", action="answer_internal", step=step, error=repr(error), exc_info=error, **about)
        self._finish(call, Outcome(call.to, error=Internal(incident=call.key)))

    def _finish(self, call: Call, outcome: Outcome) -> None:
        self._in_flight.pop(call.identity, None)
        if not self._in_flight:
            self._idle.set()
        self._report(call, outcome)
        for retry in call.retries:
            replayed = not isinstance(outcome.error, Fault)
            again = Outcome(outcome.to, outcome.version, outcome.reply, outcome.seq, replayed, outcome.error)
            self._report(retry, again)

    def _report(self, call: Call, outcome: Outcome) -> None:
        """Call a call's ``done``; a crash of it is logged."""
        try:
            call.done(outcome)
            self.observer.finished(call, outcome, perf_counter() - call.began)
        except Exception:
            log.exception("listener.crashed", actor=str(call.to), command=call.key)

    def _fail_all(self, activation: Activation, error: GuildwireError) -> None:
        """Fail all commands of an actor that cannot be read."""
        calls, activation.mailbox = activation.mailbox, deque()
        for call in calls:
            self._finish(call, Outcome(call.to, error=error))


class GoneFromAgenda(Rejected):
    """The agenda row was cancelled, moved or consumed before; nothing waits for this outcome."""

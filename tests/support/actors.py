"""Deciding by hand: given what happened, when a command comes, then events, effects and a reply.

``events, effects, reply = decide(BookingActor, [created], ApproveBooking(booking_id=ID), staff, NOW)``
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from actors.actor import Actor, Reply, Turn
from protocol.effects import Effect
from protocol.errors import Rejected
from protocol.events import EVENTS, Event
from protocol.ids import uuid7
from protocol.registry import Command
from protocol.roles import Principal

#: The default actor of ``decide``.
ACTOR_ID = UUID("01900000-0000-7000-8000-000000000001")


class Decided(NamedTuple):
    """The result of one command. A refusal has no events and no effects."""

    events: list[Event]
    effects: list[Effect]
    #: What the handler answered, or the refusal that it raised.
    reply: Reply | Rejected


def decide(  # noqa: PLR0917 (given, when, who, at, knowing: read in that order)
    actor_cls: type[Actor[Any]],
    events: Sequence[Event],
    command: Command,
    principal: Principal,
    now: datetime,
    facts: Any = None,
    *,
    actor_id: UUID = ACTOR_ID,
) -> Decided:
    """Decide one command on the state that the events give, as a turn of the runtime does.

    Checks on the way that state and events survive their JSON, and that replaying the events gives the state.
    """
    handler = actor_cls.handlers[type(command)]
    state = replay(actor_cls, events)
    actor = actor_cls(actor_id, through_json(state, actor_cls.state_type), Turn(now, principal, counting_ids(now)))
    try:
        reply = handler.call(actor, command) if handler.facts is None else handler.call(actor, command, facts)
    except Rejected as refusal:
        assert not actor.emitted, f"{type(command).__name__} was refused after it had emitted"
        return Decided([], [], refusal)
    emitted = [one.event for one in actor.emitted]
    if emitted:
        for event in emitted:
            before = replay(actor_cls, events)
            events = [*events, event]
            same = before is None or actor_cls.public(actor_id, before) == actor_cls.public(
                actor_id, replay(actor_cls, events)
            )
            assert event.public or same, f"{event.type} changes the public view"
        assert actor.state == replay(actor_cls, events), "replay gives another state"
        actor.finish()
    return Decided(emitted, actor.effects, reply)


def replay(actor_cls: type[Actor[Any]], events: Sequence[Event]) -> Any:
    """The state after the events, each read back from its JSON first; None if there are none."""
    state = None
    for event in events:
        state = actor_cls.apply(state, through_json(event, EVENTS[event.type]))
    return state


def through_json(value: Any, struct: type[Any]) -> Any:
    """The value as it comes back from the database; None stays None."""
    if value is None:
        return None
    again = msgspec.json.decode(msgspec.json.encode(value), type=struct)
    assert again == value, f"{struct.__name__} does not survive its JSON"
    return again


def counting_ids(now: datetime) -> Callable[[], UUID]:
    """New ids for one turn: the same ones each time."""
    count = 0

    def new_id() -> UUID:
        nonlocal count
        count += 1
        return uuid7(int(now.timestamp() * 1000), count)

    return new_id

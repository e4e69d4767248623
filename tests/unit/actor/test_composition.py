"""An actor is one class and its parts: what is composed twice is refused, and nothing is overridden."""

from datetime import UTC, datetime
from types import ModuleType
from typing import Any, ClassVar
from uuid import UUID

import pytest
from msgspec import Struct
from msgspec.structs import replace

from actors.actor import ACTORS, Actor, Turn, actor, applies, derives, handles
from actors.booking.actor import Booking
from protocol.events import Event
from protocol.ids import Kind, UserId
from protocol.registry import Command
from protocol.roles import Principal, Role
from server.app.nouns import import_all
from tests.support.sample_decisions import sample_event

NOW = datetime(2030, 6, 1, 10, tzinfo=UTC)
ADA, BOB = UserId(UUID(int=1)), UserId(UUID(int=2))
LAMP = UUID(int=100)


class Switch(Command, frozen=True):
    """Switch the lamp."""


class Dim(Command, frozen=True):
    """Make it darker."""


@sample_event("lamp.made")
class LampMade(Event, frozen=True, kw_only=True):
    """There is a lamp."""


@sample_event("lamp.switched")
class LampSwitched(Event, frozen=True, kw_only=True):
    """It is on, or off."""

    on: bool


@sample_event("lamp.dimmed")
class LampDimmed(Event, frozen=True, kw_only=True):
    """It is darker."""


@sample_event("lamp.lent")
class LampLent(Event, frozen=True, kw_only=True):
    """Others may see it too."""

    to: UserId


class Dimmer(Struct, frozen=True):
    level: int = 9


class LampState(Struct, frozen=True, kw_only=True):
    on: bool = False
    users: tuple[UserId, ...] = (ADA,)
    dimmer: Dimmer = Dimmer()


class LampView(Struct, frozen=True):
    on: bool
    level: int


def part(**functions: Any) -> ModuleType:
    """A part with these functions."""
    module = ModuleType("dimmer")
    module.__dict__.update(FIELD="dimmer", **functions)
    return module


@handles(Dim)
def dim(lamp: Actor[LampState], cmd: Dim) -> None:
    lamp.emit(LampDimmed())


@applies(LampDimmed)
def dimmed(dimmer: Dimmer, event: LampDimmed) -> Dimmer:
    return Dimmer(dimmer.level - 1)


@derives
def note_darkness(lamp: Actor[LampState], before: LampState | None) -> None:
    if before is not None and lamp.state.dimmer.level < before.dimmer.level:
        lamp.drop("bright_lamps", lamp_id=lamp.actor_id)


class Lamp(Actor[LampState]):
    """A lamp with a dimmer."""

    kind = Kind.BOOKING
    state_type: ClassVar[type[Struct]] = LampState
    parts = (part(dim=dim, dimmed=dimmed, note_darkness=note_darkness),)

    @staticmethod
    def evolve(state: Any, event: Event) -> Any:
        match event:
            case LampMade():
                return LampState()
            case LampSwitched():
                return replace(state, on=event.on)
            case LampLent():
                return replace(state, users=(*state.users, event.to))
        raise AssertionError(f"a lamp does not know {event.type}")

    @staticmethod
    def public(actor_id: UUID, state: LampState) -> LampView:
        return LampView(state.on, state.dimmer.level)

    def audience(self) -> tuple[UserId, ...]:
        return self.state.users


OFF = LampState()


def lamp(state: LampState | None = OFF) -> Lamp:
    principal = Principal(user_id=ADA, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}))
    return Lamp(LAMP, state, Turn(NOW, principal, lambda: UUID(int=7)))


def test_a_command_goes_to_the_part_that_handles_it_and_its_event_to_the_part_s_own_field() -> None:
    one = lamp()

    Lamp.handlers[Dim].call(one, Dim())

    assert one.state == LampState(dimmer=Dimmer(8))


def test_a_part_derives_effects_from_what_the_turn_changed() -> None:
    one = lamp()
    one.emit(LampDimmed())
    one.emit(LampDimmed())
    one.finish()

    (dropped,) = one.effects
    assert (dropped.table, dropped.key) == ("bright_lamps", {"lamp_id": str(LAMP)})  # type: ignore[union-attr]


def test_nothing_is_derived_where_nothing_happened() -> None:
    one = lamp()
    one.finish()

    assert one.effects == []


def test_two_handlers_of_a_command_are_refused() -> None:
    with pytest.raises(AssertionError, match="handle Dim"):
        type("TwoHandlers", (Lamp,), {"parts": (part(dim=dim), part(other=dim))})


def test_two_arms_of_an_event_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"a second arm for lamp\.dimmed"):
        type("TwoArms", (Lamp,), {"parts": (part(dimmed=dimmed), part(again=dimmed))})


def test_how_events_are_emitted_cannot_be_changed() -> None:
    with pytest.raises(AssertionError, match="may not change how events are emitted"):
        type("Louder", (Lamp,), {"emit": lambda self, event: None})


def test_a_second_actor_of_a_kind_is_refused() -> None:
    assert ACTORS[Kind.BOOKING] is Booking

    with pytest.raises(AssertionError, match="Booking and Lamp are both of kind"):
        actor(Kind.BOOKING)(Lamp)


@pytest.mark.parametrize("kind", list(Kind))
def test_an_event_that_an_actor_does_not_know_is_never_passed_over(kind: Kind) -> None:
    import_all()
    with pytest.raises(AssertionError, match=r"does not know lamp\.dimmed"):
        ACTORS[kind].apply(object(), LampDimmed())


# What changes in the public view


def changes(one: Lamp) -> list[dict[str, Any] | None]:
    return [emitted.changes for emitted in one.emitted]


def test_an_event_carries_the_public_fields_that_it_changed_and_no_others() -> None:
    one = lamp()
    one.emit(LampSwitched(on=True))
    one.emit(LampDimmed())

    assert changes(one) == [{"on": True}, {"level": 8}]
    assert one.emitted[0].json == b'{"on":true,"changes":{"on":true}}'


def test_an_event_that_changes_nothing_public_carries_nothing() -> None:
    one = lamp(LampState(on=True))
    one.emit(LampSwitched(on=True))

    assert changes(one) == [None]
    assert one.emitted[0].json == b'{"on":true}'


def test_who_comes_to_an_entity_gets_its_whole_view() -> None:
    one = lamp()
    one.emit(LampLent(to=BOB))

    assert changes(one) == [{"on": False, "level": 9}]


def test_the_first_event_says_the_view_by_itself_so_nothing_is_kept_twice() -> None:
    one = lamp(None)
    one.emit(LampMade())

    assert changes(one) == [None]
    assert Lamp.public(LAMP, Lamp.apply(None, LampMade())) == LampView(False, 9)

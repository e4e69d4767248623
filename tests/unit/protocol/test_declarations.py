"""What is declared twice, or cannot be right, is refused when it is declared."""

import pytest

from protocol.errors import ERRORS, Conflict
from protocol.events import EVENTS, Event, event
from protocol.ids import Kind, UserId
from protocol.notification.types import Party, tell
from protocol.registry import Command, command
from protocol.roles import ANYONE


class Named(Command, frozen=True):
    """A command that names no entity."""

    id: UserId


def test_an_event_says_its_noun_itself() -> None:
    @event("follow_up.scheduled")
    class FollowUpScheduled(Event, frozen=True, kw_only=True):
        """Two words, one noun."""

    del EVENTS["follow_up.scheduled"]
    assert (FollowUpScheduled.noun, FollowUpScheduled.type) == ("follow_up", "follow_up.scheduled")


def test_a_second_event_of_a_name_is_refused() -> None:
    with pytest.raises(AssertionError, match=r"booking\.created is declared twice"):
        event("booking.created")(Event)


@pytest.mark.parametrize("name", ["created", ".created", "booking."])
def test_an_event_without_noun_or_happening_is_refused(name: str) -> None:
    with pytest.raises(AssertionError, match="is not <noun>"):
        event(name)(Event)


def test_a_field_with_a_name_that_frames_use_is_refused() -> None:
    class Clashing(Event, frozen=True, kw_only=True):
        changes: int

    with pytest.raises(AssertionError, match="a name that frames reserve"):
        event("sample.clashing")(Clashing)


def test_a_second_notification_of_a_name_is_refused() -> None:
    class Again(Event, frozen=True, kw_only=True):
        pass

    name = "booking.confirmed"
    kept = EVENTS.pop(name)
    try:
        with pytest.raises(AssertionError, match=r"the notification booking\.confirmed is declared twice"):
            event(name, tell=tell({Party.CUSTOMER}))(Again)
    finally:
        EVENTS[name] = kept


def test_a_second_error_of_a_code_is_refused() -> None:
    known = ERRORS["slot_taken"]

    with pytest.raises(AssertionError, match="slot_taken is declared twice"):
        type("SlotTaken", (Conflict,), {})

    assert ERRORS["slot_taken"] is known


def test_a_command_that_names_no_actor_is_refused_where_the_sender_is_none() -> None:
    with pytest.raises(AssertionError, match="names no booking"):
        command("sample.named", actor=Kind.BOOKING, by=ANYONE)(Named)

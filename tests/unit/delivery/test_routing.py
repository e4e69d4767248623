"""By which channels a notification goes out, and when: importance, preferences, quiet hours and digests (rule N-2)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.quiet_hours import may_disturb
from actors.rules.routing import LIVE_FIRST_S, SEEN_FIRST_S, Means, Plan, plan
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import RoutableNotification, Unless
from protocol.ids import DeviceId, NotificationId, UserId
from protocol.notification.registry import BY_NAME, NOTIFICATIONS
from protocol.notification.terms import Reader, ReaderDevice
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactMethod, ContactTimes, Frequency, PartOfDay, QuietHours
from tests.support.wishes import instants, preferences_of_all_kinds

ADA = UserId(UUID(int=1))
#: A Thursday afternoon.
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
NIGHT = datetime(2026, 1, 15, 23, tzinfo=UTC)
MORNING = datetime(2026, 1, 16, 7, tzinfo=UTC)
NIGHTS = QuietHours("22:00", "07:00")
EVERYTHING = frozenset(Channel)
PHONE = ReaderDevice(DeviceId(UUID(int=21)), Channel.PUSH)
BROWSER = ReaderDevice(DeviceId(UUID(int=22)), Channel.WEB_PUSH)

TIMELY, ORDINARY, CRITICAL = "booking.confirmed", "booking.refunded", "session.revoked"


def planned(
    name: str,
    at: datetime = NOON,
    *,
    now: datetime | None = None,
    starts_at: datetime | None = None,
    number: str | None = "+491701234567",
    devices: tuple[ReaderDevice, ...] = (PHONE,),
    available: frozenset[Channel] = EVERYTHING,
    wishes: NotificationPreferences | None = None,
    **said: Any,
) -> Plan:
    """Plan one notification for somebody who wishes what is said."""
    preferences = wishes or NotificationPreferences(user_id=ADA, **said)
    reader = Reader(
        user_id=ADA,
        name="Ada",
        language="en",
        email="ada@people.test",
        phone_number=number,
        devices=devices,
        preferences=preferences,
    )
    item = RoutableNotification(
        user_id=ADA,
        notification_id=NotificationId(UUID(int=7)),
        type=name,
        event=None,
        at=at,
        starts_at=starts_at,
    )
    ids: Iterator[int] = count(100)
    return plan(BY_NAME[name], item, reader, Means(available, now or at, lambda: UUID(int=next(ids))))


def due(made: Plan) -> dict[str, str]:
    """Channel → when it is due, and what makes it needless: ``23:00:30 delivered``."""
    return {one.channel.value: f"{one.due_at:%H:%M:%S} {one.unless or ''}".rstrip() for one in made.deliveries}


PUSH_SOON = f"12:00:{LIVE_FIRST_S} delivered"


@pytest.mark.parametrize(
    ("name", "said", "expected", "digest"),
    [
        # Frequency: what is timely comes at once in any case.
        (TIMELY, {"frequency": Frequency.MINIMAL}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (TIMELY, {"frequency": Frequency.FREQUENT}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {"frequency": Frequency.FREQUENT}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {}, {"push": PUSH_SOON}, True),
        (ORDINARY, {"frequency": Frequency.MINIMAL}, {}, True),
        # One letter: the preferred way where the type has it, else e-mail.
        (TIMELY, {"contact_method": ContactMethod.SMS}, {"sms": "12:00:00", "push": PUSH_SOON}, False),
        (TIMELY, {"contact_method": ContactMethod.WHATSAPP}, {"whatsapp": "12:00:00", "push": PUSH_SOON}, False),
        (TIMELY, {"contact_method": ContactMethod.PHONE}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (
            TIMELY,
            {"contact_method": ContactMethod.SMS, "number": None},
            {"email": "12:00:00", "push": PUSH_SOON},
            False,
        ),
        ("session.opened", {"contact_method": ContactMethod.SMS}, {"email": "12:00:00"}, False),
        # Wishes for one type.
        (TIMELY, {"channels": {TIMELY: (Channel.PUSH,)}}, {"push": PUSH_SOON}, False),
        (TIMELY, {"channels": {TIMELY: (Channel.EMAIL,)}}, {"email": "12:00:00"}, False),
        (TIMELY, {"channels": {TIMELY: (Channel.SMS,)}}, {"sms": "12:00:00"}, False),
        (TIMELY, {"channels": {TIMELY: ()}}, {}, False),
        (TIMELY, {"channels": {ORDINARY: ()}}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {"channels": {ORDINARY: (Channel.PUSH,)}}, {"push": PUSH_SOON}, False),
        # What an installation, or a reader, does not have.
        (TIMELY, {"available": frozenset({Channel.SMS})}, {}, False),
        (ORDINARY, {"available": frozenset({Channel.PUSH})}, {"push": PUSH_SOON}, False),
        (TIMELY, {"devices": ()}, {"email": "12:00:00"}, False),
        # Critical: everything, whatever is wished; by SMS if nobody looks.
        (
            CRITICAL,
            {"channels": {CRITICAL: ()}, "frequency": Frequency.MINIMAL, "contact_method": ContactMethod.PHONE},
            {"email": "12:00:00", "push": PUSH_SOON, "sms": "12:02:00 seen"},
            False,
        ),
        (CRITICAL, {"number": None}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        # A reminder's push waits for nothing.
        ("booking.reminded", {}, {"email": "12:00:00", "push": "12:00:00"}, False),
    ],
)
def test_channels_are_those_of_the_type_that_are_wanted_and_there(
    name: str, said: dict[str, Any], expected: dict[str, str], digest: bool
) -> None:
    made = planned(name, **said)

    assert due(made) == expected
    assert (made.put_off is not None) is digest


def test_every_device_gets_its_own_push_where_its_channel_is_there() -> None:
    both = planned(TIMELY, devices=(PHONE, BROWSER))
    one = planned(TIMELY, devices=(PHONE, BROWSER), available=frozenset({Channel.WEB_PUSH}))

    assert [d.device_id for d in both.deliveries if d.device_id] == [PHONE.device_id, BROWSER.device_id]
    assert [d.device_id for d in one.deliveries] == [BROWSER.device_id]


def test_quiet_hours_hold_up_noise_but_not_letters() -> None:
    made = planned(TIMELY, NIGHT, quiet_hours=NIGHTS)
    by_sms = planned(TIMELY, NIGHT, quiet_hours=NIGHTS, contact_method=ContactMethod.SMS)

    assert {one.channel: one.due_at for one in made.deliveries} == {Channel.EMAIL: NIGHT, Channel.PUSH: MORNING}
    assert {one.channel: one.due_at for one in by_sms.deliveries} == {Channel.SMS: MORNING, Channel.PUSH: MORNING}


def test_what_is_critical_passes_at_night() -> None:
    made = planned(CRITICAL, NIGHT, quiet_hours=NIGHTS, contact_times=ContactTimes((PartOfDay.MORNING,), ()))

    assert {one.channel: one.due_at for one in made.deliveries} == {
        Channel.EMAIL: NIGHT,
        Channel.PUSH: NIGHT + timedelta(seconds=LIVE_FIRST_S),
        Channel.SMS: NIGHT + timedelta(seconds=SEEN_FIRST_S),
    }
    assert all(one.critical for one in made.deliveries)


def test_quiet_begins_while_a_push_waits_for_a_live_device() -> None:
    at = datetime(2026, 1, 15, 21, 59, 45, tzinfo=UTC)

    (push,) = [one for one in planned(TIMELY, at, quiet_hours=NIGHTS).deliveries if one.channel is Channel.PUSH]

    assert (push.due_at, push.unless) == (MORNING, Unless.DELIVERED)


def test_what_waited_to_be_planned_is_held_to_the_quiet_hours_of_now() -> None:
    made = planned(TIMELY, NOON, now=NIGHT, quiet_hours=NIGHTS)

    assert {one.channel: one.due_at for one in made.deliveries} == {Channel.EMAIL: NIGHT, Channel.PUSH: MORNING}


@pytest.mark.parametrize(
    ("starts_at", "channels"),
    [
        (MORNING + timedelta(minutes=1), {Channel.EMAIL, Channel.PUSH}),
        (MORNING, {Channel.EMAIL}),
        (NIGHT + timedelta(hours=1), {Channel.EMAIL}),
        (NIGHT, set()),
    ],
)
def test_a_reminder_never_comes_once_the_booking_has_begun(starts_at: datetime, channels: set[Channel]) -> None:
    made = planned("booking.reminded", NIGHT, starts_at=starts_at, quiet_hours=NIGHTS)

    assert {one.channel for one in made.deliveries} == channels
    assert all(one.expires_at == starts_at for one in made.deliveries)


def test_what_is_put_off_belongs_to_the_digest_of_the_readers_day() -> None:
    made = planned(ORDINARY, NOON, zone="Australia/Lord_Howe", digest_hour=7)

    assert made.put_off is not None
    assert made.put_off.day == date(2026, 1, 16)
    assert made.put_off.due_at == datetime(2026, 1, 15, 20, tzinfo=UTC)


def test_whoever_is_never_to_be_disturbed_still_gets_letters() -> None:
    never = ContactTimes((PartOfDay.MORNING,), (PartOfDay.MORNING,))

    made = planned(TIMELY, quiet_hours=QuietHours("07:00", "13:00"), contact_times=never)

    assert due(made) == {"email": "12:00:00"}


def noisy(one: Delivery) -> bool:
    return one.channel is not Channel.EMAIL


@given(
    at=instants,
    late_s=st.integers(0, 100_000),
    name=st.sampled_from([told.name for told in NOTIFICATIONS]),
    wishes=preferences_of_all_kinds,
    method=st.none() | st.sampled_from(list(ContactMethod)),
    frequency=st.sampled_from(list(Frequency)),
    available=st.sets(st.sampled_from(list(Channel))).map(frozenset),
)
def test_nothing_is_planned_into_quiet_hours_or_before_it_is_due_or_where_it_does_not_belong(
    *,
    at: datetime,
    late_s: int,
    name: str,
    wishes: NotificationPreferences,
    method: ContactMethod | None,
    frequency: Frequency,
    available: frozenset[Channel],
) -> None:
    preferences = NotificationPreferences(
        user_id=ADA,
        zone=wishes.zone,
        quiet_hours=wishes.quiet_hours,
        contact_times=wishes.contact_times,
        contact_method=method,
        frequency=frequency,
    )
    now, told = at + timedelta(seconds=late_s), BY_NAME[name]

    made = planned(name, at, now=now, wishes=preferences, available=available, devices=(PHONE, BROWSER))

    for one in made.deliveries:
        assert one.due_at >= now
        assert one.channel in available
        assert told.critical or not noisy(one) or may_disturb(one.due_at, preferences)
    letters = [one for one in made.deliveries if one.channel in (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)]
    assert told.critical or len(letters) + (made.put_off is not None) <= 1
    assert made.put_off is None or (made.put_off.due_at > now and Channel.EMAIL in available)

"""Which channels deliver a notification, and when: importance, preferences, quiet hours and digests (rule N-2)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.rules.quiet_hours import may_disturb
from actors.rules.routing import LIVE_FIRST_S, SEEN_FIRST_S, Routed, RoutingContext, route
from protocol.delivery.channels import Channel
from protocol.delivery.rows import Delivery
from protocol.delivery.terms import RoutableNotification, Unless
from protocol.ids import DeviceId, NotificationId, UserId
from protocol.notification.registry import BY_NAME, NOTIFICATIONS
from protocol.notification.terms import Reader, ReaderDevice
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactMethod, ContactTimes, Frequency, PartOfDay, QuietHours
from tests.support.preference_strategies import instants, preferences_of_all_kinds

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


def routed(
    name: str,
    at: datetime = NOON,
    *,
    now: datetime | None = None,
    starts_at: datetime | None = None,
    number: str | None = "+491701234567",
    devices: tuple[ReaderDevice, ...] = (PHONE,),
    available: frozenset[Channel] = EVERYTHING,
    own: NotificationPreferences | None = None,
    **said: Any,
) -> Routed:
    """Route one notification to a reader with these preferences."""
    preferences = own or NotificationPreferences(user_id=ADA, **said)
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
    return route(BY_NAME[name], item, reader, RoutingContext(available, now or at, lambda: UUID(int=next(ids))))


def due(made: Routed) -> dict[str, str]:
    """Channel → when it is due, and what suppresses it: ``23:00:30 delivered``."""
    return {one.channel.value: f"{one.due_at:%H:%M:%S} {one.unless or ''}".rstrip() for one in made.deliveries}


PUSH_SOON = f"12:00:{LIVE_FIRST_S} delivered"


@pytest.mark.parametrize(
    ("name", "said", "expected", "digest"),
    [
        # Frequency: timely notifications are sent at once in any case.
        (TIMELY, {"frequency": Frequency.MINIMAL}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (TIMELY, {"frequency": Frequency.FREQUENT}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {"frequency": Frequency.FREQUENT}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {}, {"push": PUSH_SOON}, True),
        (ORDINARY, {"frequency": Frequency.MINIMAL}, {}, True),
        # One written channel: the preferred one if the type has it, else e-mail.
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
        # Preferences for one type.
        (TIMELY, {"channels": {TIMELY: (Channel.PUSH,)}}, {"push": PUSH_SOON}, False),
        (TIMELY, {"channels": {TIMELY: (Channel.EMAIL,)}}, {"email": "12:00:00"}, False),
        (TIMELY, {"channels": {TIMELY: (Channel.SMS,)}}, {"sms": "12:00:00"}, False),
        (TIMELY, {"channels": {TIMELY: ()}}, {}, False),
        (TIMELY, {"channels": {ORDINARY: ()}}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        (ORDINARY, {"channels": {ORDINARY: (Channel.PUSH,)}}, {"push": PUSH_SOON}, False),
        # Channels that the installation or the reader lacks.
        (TIMELY, {"available": frozenset({Channel.SMS})}, {}, False),
        (ORDINARY, {"available": frozenset({Channel.PUSH})}, {"push": PUSH_SOON}, False),
        (TIMELY, {"devices": ()}, {"email": "12:00:00"}, False),
        # Critical: all channels, whatever the preferences; by SMS if unseen.
        (
            CRITICAL,
            {"channels": {CRITICAL: ()}, "frequency": Frequency.MINIMAL, "contact_method": ContactMethod.PHONE},
            {"email": "12:00:00", "push": PUSH_SOON, "sms": "12:02:00 seen"},
            False,
        ),
        (CRITICAL, {"number": None}, {"email": "12:00:00", "push": PUSH_SOON}, False),
        # A reminder's push is sent at once.
        ("booking.reminded", {}, {"email": "12:00:00", "push": "12:00:00"}, False),
    ],
)
def test_channels_are_those_of_the_type_that_are_wanted_and_available(
    name: str, said: dict[str, Any], expected: dict[str, str], digest: bool
) -> None:
    made = routed(name, **said)

    assert due(made) == expected
    assert (made.deferred is not None) is digest


def test_every_device_gets_a_push_if_its_channel_is_available() -> None:
    both = routed(TIMELY, devices=(PHONE, BROWSER))
    one = routed(TIMELY, devices=(PHONE, BROWSER), available=frozenset({Channel.WEB_PUSH}))

    assert [d.device_id for d in both.deliveries if d.device_id] == [PHONE.device_id, BROWSER.device_id]
    assert [d.device_id for d in one.deliveries] == [BROWSER.device_id]


def test_quiet_hours_delay_noisy_channels_but_not_email() -> None:
    made = routed(TIMELY, NIGHT, quiet_hours=NIGHTS)
    by_sms = routed(TIMELY, NIGHT, quiet_hours=NIGHTS, contact_method=ContactMethod.SMS)

    assert {one.channel: one.due_at for one in made.deliveries} == {Channel.EMAIL: NIGHT, Channel.PUSH: MORNING}
    assert {one.channel: one.due_at for one in by_sms.deliveries} == {Channel.SMS: MORNING, Channel.PUSH: MORNING}


def test_a_critical_notification_ignores_quiet_hours() -> None:
    made = routed(CRITICAL, NIGHT, quiet_hours=NIGHTS, contact_times=ContactTimes((PartOfDay.MORNING,), ()))

    assert {one.channel: one.due_at for one in made.deliveries} == {
        Channel.EMAIL: NIGHT,
        Channel.PUSH: NIGHT + timedelta(seconds=LIVE_FIRST_S),
        Channel.SMS: NIGHT + timedelta(seconds=SEEN_FIRST_S),
    }
    assert all(one.critical for one in made.deliveries)


def test_quiet_begins_while_a_push_waits_for_a_live_device() -> None:
    at = datetime(2026, 1, 15, 21, 59, 45, tzinfo=UTC)

    (push,) = [one for one in routed(TIMELY, at, quiet_hours=NIGHTS).deliveries if one.channel is Channel.PUSH]

    assert (push.due_at, push.unless) == (MORNING, Unless.DELIVERED)


def test_routing_uses_the_quiet_hours_of_now() -> None:
    made = routed(TIMELY, NOON, now=NIGHT, quiet_hours=NIGHTS)

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
    made = routed("booking.reminded", NIGHT, starts_at=starts_at, quiet_hours=NIGHTS)

    assert {one.channel for one in made.deliveries} == channels
    assert all(one.expires_at == starts_at for one in made.deliveries)


def test_a_deferred_notification_belongs_to_the_digest_of_the_reader_s_day() -> None:
    made = routed(ORDINARY, NOON, zone="Australia/Lord_Howe", digest_hour=7)

    assert made.deferred is not None
    assert made.deferred.day == date(2026, 1, 16)
    assert made.deferred.due_at == datetime(2026, 1, 15, 20, tzinfo=UTC)


def test_a_reader_who_is_never_disturbed_still_gets_email() -> None:
    never = ContactTimes((PartOfDay.MORNING,), (PartOfDay.MORNING,))

    made = routed(TIMELY, quiet_hours=QuietHours("07:00", "13:00"), contact_times=never)

    assert due(made) == {"email": "12:00:00"}


def noisy(one: Delivery) -> bool:
    return one.channel is not Channel.EMAIL


@given(
    at=instants,
    late_s=st.integers(0, 100_000),
    name=st.sampled_from([one.name for one in NOTIFICATIONS]),
    own=preferences_of_all_kinds,
    method=st.none() | st.sampled_from(list(ContactMethod)),
    frequency=st.sampled_from(list(Frequency)),
    available=st.sets(st.sampled_from(list(Channel))).map(frozenset),
)
def test_no_delivery_is_in_quiet_hours_early_or_on_a_wrong_channel(
    *,
    at: datetime,
    late_s: int,
    name: str,
    own: NotificationPreferences,
    method: ContactMethod | None,
    frequency: Frequency,
    available: frozenset[Channel],
) -> None:
    preferences = NotificationPreferences(
        user_id=ADA,
        zone=own.zone,
        quiet_hours=own.quiet_hours,
        contact_times=own.contact_times,
        contact_method=method,
        frequency=frequency,
    )
    now, notification_type = at + timedelta(seconds=late_s), BY_NAME[name]

    made = routed(name, at, now=now, own=preferences, available=available, devices=(PHONE, BROWSER))

    for one in made.deliveries:
        assert one.due_at >= now
        assert one.channel in available
        assert notification_type.critical or not noisy(one) or may_disturb(one.due_at, preferences)
    emails = [one for one in made.deliveries if one.channel in (Channel.EMAIL, Channel.SMS, Channel.WHATSAPP)]
    assert notification_type.critical or len(emails) + (made.deferred is not None) <= 1
    assert made.deferred is None or (made.deferred.due_at > now and Channel.EMAIL in available)

"""Push messages: within the size limit, one for each booking or conversation, and none for read notifications."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.booking.events import BookingRefunded, BookingStarted
from protocol.delivery.channels import Channel
from protocol.ids import BookingId, DeliveryId, DeviceId, Kind, NotificationId, Ref, UserId
from protocol.notification.terms import Reader
from protocol.notification.types import Importance
from protocol.preference.rows import NotificationPreferences
from server.delivery.adapters import Suppressed
from server.delivery.channels.push.composer import BODY_BYTES, TITLE_BYTES, TTL_MAX_S, Push, compose_push, fitted
from server.delivery.channels.push.web_push import payload_of, topic_of
from server.delivery.context import DeliveryContext
from server.delivery.renderer import NotificationContext
from server.words.languages import language
from storage.deliveries import Leased
from storage.queries.notification import BookingSummary, NotificationRecord

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ADA = UserId(UUID(int=1))
STAFF = UserId(UUID(int=2))
BOOKING = BookingId(UUID(int=3))
#: Encryption adds 103 bytes; push services accept 4,096.
PLAIN_BYTES_MAX = 4096 - 103


def leased(**said: Any) -> Leased:
    fields = {
        "id": DeliveryId(UUID(int=10)),
        "user_id": ADA,
        "notification_id": NotificationId(UUID(int=11)),
        "template": "booking.started",
        "channel": Channel.PUSH,
        "device_id": DeviceId(UUID(int=12)),
        "address": None,
        "secret": None,
        "critical": False,
        "expires_at": None,
        "unless": None,
        "attempts": 1,
        "unknown_outcomes": 0,
        "at": NOW,
        **said,
    }
    return Leased(**fields)


def record(**said: Any) -> NotificationRecord:
    fields = {
        "user_id": ADA,
        "id": NotificationId(UUID(int=11)),
        "type": "booking.started",
        "entity": Ref(Kind.BOOKING, BOOKING),
        "event": BookingStarted(at=NOW),
        "read": False,
        "at": NOW,
        **said,
    }
    return NotificationRecord(**fields)


def context(
    notification: NotificationRecord | None, delivery: Leased | None = None, title: str = "Bike repair"
) -> DeliveryContext:
    booking = BookingSummary(
        title=title,
        number="7K3M-9QZD",
        zone="Europe/Berlin",
        starts_at=NOW,
        customer_id=ADA,
        staff_id=STAFF,
        total_amount_minor=5000,
        currency="EUR",
    )
    shared = NotificationContext({BOOKING: booking}, {ADA: "Ada", STAFF: "Stan"}, {})
    reader = Reader(
        user_id=ADA,
        name="Ada",
        language="en",
        email="ada@people.test",
        phone_number=None,
        preferences=NotificationPreferences(user_id=ADA),
    )
    return DeliveryContext(delivery or leased(), reader, language("en"), notification, shared, unread=3)


def composed(
    notification: NotificationRecord | None, delivery: Leased | None = None, title: str = "Bike repair"
) -> Push:
    push = compose_push(context(notification, delivery, title))
    assert isinstance(push, Push)
    return push


def test_a_push_has_the_notification_s_text_and_entity() -> None:
    push = composed(record())

    assert push.title
    assert "Bike repair" in push.title + push.body
    assert push.data == {
        "notification_id": str(UUID(int=11)),
        "type": "booking.started",
        "entity": f"booking/{BOOKING}",
    }
    assert push.badge == 3


def test_pushes_of_one_booking_or_conversation_replace_each_other() -> None:
    thread = Ref(Kind.CONVERSATION, BOOKING)

    assert composed(record()).collapse_key == f"booking/{BOOKING}"
    assert composed(record(id=NotificationId(UUID(int=12)))).collapse_key == f"booking/{BOOKING}"
    assert composed(record(entity=thread)).collapse_key == f"conversation/{BOOKING}"


def test_pushes_about_the_user_replace_nothing() -> None:
    first, second = (
        composed(record(id=NotificationId(UUID(int=n)), entity=Ref(Kind.USER, ADA))).collapse_key for n in (1, 2)
    )

    assert first != second
    assert max(len(first), len(second)) <= 64


@pytest.mark.parametrize(
    ("notification", "delivery", "why"),
    [
        (None, leased(), "nothing_to_tell"),
        (record(event=None), leased(), "nothing_to_tell"),
        (record(), leased(device_id=None), "nothing_to_tell"),
        (record(read=True), leased(), "read"),
    ],
    ids=["no notification", "not to be seen any more", "no device", "read"],
)
def test_a_push_that_is_not_wanted_is_suppressed(
    notification: NotificationRecord | None, delivery: Leased, why: str
) -> None:
    assert compose_push(context(notification, delivery)) == Suppressed(why)


def test_only_ordinary_pushes_are_silent_and_only_critical_ones_wake() -> None:
    timely = composed(record())
    refund = BookingRefunded(amount_minor=100, currency="EUR")
    ordinary = composed(record(type="booking.refunded", event=refund))
    critical = composed(record(), leased(critical=True))

    assert [(one.sounds, one.urgency) for one in (critical, timely, ordinary)] == [
        (True, "high"),
        (True, "normal"),
        (False, "low"),
    ]
    assert critical.importance is Importance.CRITICAL


@pytest.mark.parametrize(
    ("expires_at", "ttl_s"),
    [
        (None, TTL_MAX_S),
        (NOW + timedelta(seconds=90), 90),
        (NOW - timedelta(seconds=90), 0),
        (NOW + timedelta(days=90), TTL_MAX_S),
    ],
)
def test_the_ttl_ends_when_the_push_becomes_useless(expires_at: datetime | None, ttl_s: int) -> None:
    assert composed(record(), leased(expires_at=expires_at)).ttl_s(NOW) == ttl_s


def test_texts_are_cut_between_two_characters() -> None:
    assert fitted("short", 10) == "short"
    assert fitted("0123456789", 10) == "0123456789"
    assert fitted("0123456789A", 10) == "0123456…"
    assert fitted("ü" * 6, 10) == "üüü…"
    assert fitted("one two three", 10) == "one two…"


@pytest.mark.parametrize("whole", ["e\u0301", "\U0001f44d\U0001f3fd", "\U0001f469\u200d\U0001f527", "☎\ufe0f"])
def test_grapheme_clusters_are_not_split(whole: str) -> None:
    for bytes_max in range(8, 40):
        cut = fitted("ab" + whole * 10, bytes_max)
        assert cut.removeprefix("ab").removesuffix("…").replace(whole, "") == ""


@given(st.text(max_size=5_000), st.integers(min_value=8, max_value=300))
def test_a_cut_text_fits_and_is_a_prefix(text: str, bytes_max: int) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    cut = fitted(text, bytes_max)

    assert len(msgspec.json.encode(cut)) - 2 <= bytes_max
    assert len(cut.removesuffix("…")) <= len(text)


@pytest.mark.parametrize("filling", ["x", "ü", "\N{PARTY POPPER}", '"', "\\", "\x00", "\n"])
def test_the_longest_message_fits_the_limit_of_push_services(filling: str) -> None:
    push = msgspec.structs.replace(
        composed(record()), title=fitted(filling * 5_000, TITLE_BYTES), body=fitted(filling * 5_000, BODY_BYTES)
    )

    assert len(payload_of(push)) <= PLAIN_BYTES_MAX


def test_a_topic_is_a_short_hash() -> None:
    topic = topic_of(f"conversation/{BOOKING}")

    assert len(topic) == 32
    assert topic.replace("-", "").replace("_", "").isalnum()
    assert topic != topic_of(f"booking/{BOOKING}")

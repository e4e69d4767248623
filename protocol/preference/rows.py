"""Rows of notification preferences, written in the commit of the decision that causes them."""

from typing import ClassVar

from msgspec import field

from protocol.delivery.channels import Channel
from protocol.events import Row
from protocol.ids import UserId
from protocol.preference.terms import (
    DIGEST_HOUR_DEFAULT,
    ZONE_DEFAULT,
    ContactMethod,
    ContactTimes,
    Frequency,
    QuietHours,
)


class NotificationPreferences(Row, frozen=True, kw_only=True):
    """One user's preferences; a user without a row has the defaults."""

    table: ClassVar[str] = "notification_preferences"
    key: ClassVar[tuple[str, ...]] = ("user_id",)

    user_id: UserId
    zone: str = ZONE_DEFAULT
    quiet_hours: QuietHours | None = None
    #: Notification type → the wanted ones of its channels; a type left out uses all of them.
    channels: dict[str, tuple[Channel, ...]] = field(default_factory=dict)
    frequency: Frequency = Frequency.MODERATE
    contact_method: ContactMethod | None = None
    #: None: at any time.
    contact_times: ContactTimes | None = None
    digest_hour: int = DIGEST_HOUR_DEFAULT

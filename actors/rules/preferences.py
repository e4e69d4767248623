"""Validates notification preferences, and computes them after a command (rule N-2)."""

from collections.abc import Mapping

from msgspec.structs import replace

from protocol.delivery.channels import WRITTEN_CHANNELS, Channel
from protocol.delivery.terms import DIGEST
from protocol.errors import Invalid
from protocol.instants import UnknownZone, zone_info
from protocol.notification.registry import BY_NAME, NOTIFICATIONS
from protocol.notification.types import Importance, NotificationType
from protocol.preference.commands import SetContactPreferences, SetPreferences
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ContactTimes, QuietHours


def preferences_after(command: SetPreferences, before: NotificationPreferences) -> NotificationPreferences:
    """The preferences that replace all earlier ones. Raises: Invalid."""
    _check_zone(command.zone)
    _check_quiet_hours(command.quiet_hours)
    _check_channels(command.channels)
    _check_contact_times("contact_times", command.contact_times)
    return NotificationPreferences(
        user_id=before.user_id,
        zone=command.zone or before.zone,
        quiet_hours=command.quiet_hours,
        channels={name: tuple(dict.fromkeys(wanted)) for name, wanted in command.channels.items()},
        frequency=command.frequency,
        contact_method=command.contact_method,
        contact_times=command.contact_times,
        digest_hour=command.digest_hour,
    )


def contact_preferences_after(
    command: SetContactPreferences, before: NotificationPreferences
) -> NotificationPreferences:
    """The preferences with new contact method, times and frequency. Raises: Invalid."""
    _check_contact_times("contact_times", command.contact_times)
    return replace(
        before,
        contact_method=command.contact_method,
        contact_times=command.contact_times,
        frequency=command.frequency or before.frequency,
    )


def without_written_channels(template: str, before: NotificationPreferences) -> NotificationPreferences:
    """The preferences without written channels for the types of a template; push is unchanged."""
    types = [one for one in NOTIFICATIONS if _has_template(one, template)]
    chosen = {one.name: before.channels.get(one.name, tuple(sorted(one.channels))) for one in types}
    stopped = {name: tuple(one for one in wanted if one not in WRITTEN_CHANNELS) for name, wanted in chosen.items()}
    return replace(before, channels={**before.channels, **stopped})


def _has_template(one: NotificationType, template: str) -> bool:
    return one.importance is Importance.ORDINARY if template == DIGEST else one.name == template


def _check_zone(zone: str | None) -> None:
    if zone is None:
        return
    try:
        zone_info(zone)
    except UnknownZone as error:
        raise Invalid(zone=error.code) from None


def _check_quiet_hours(quiet: QuietHours | None) -> None:
    """Refuse equal ends: to be quiet all day, a user removes the noisy channels instead."""
    if quiet is not None and quiet.from_time == quiet.until_time:
        raise Invalid(**{"quiet_hours.until": "same_as_from"})


def _check_channels(channels: Mapping[str, tuple[Channel, ...]]) -> None:
    """Refuse unknown types, and channels that a type does not have."""
    for name, wanted in channels.items():
        if name not in BY_NAME:
            raise Invalid(**{f"channels.{name[:NAME_ECHO_MAX]}": "unknown_type"})
        for at, channel in enumerate(wanted):
            if channel not in BY_NAME[name].channels:
                raise Invalid(**{f"channels.{name}[{at}]": "not_offered"})


def _check_contact_times(field: str, times: ContactTimes | None) -> None:
    if times is not None and not (times.weekdays or times.weekends):
        raise Invalid(**{field: "never"})


#: Characters of an unknown name that an error repeats.
NAME_ECHO_MAX = 64

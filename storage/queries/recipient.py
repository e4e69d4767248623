"""Reads recipients and their preferences, many users in one statement."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
import structlog
from msgspec.structs import replace

from protocol.device.terms import Platform
from protocol.errors import NotFound
from protocol.ids import DeviceId, Kind, UserId
from protocol.instants import zone_names
from protocol.notice.facts import KnownUsers
from protocol.notification.registry import NOTIFICATIONS
from protocol.notification.terms import Reader, ReaderDevice
from protocol.preference.facts import PreferenceAsk, PreferenceFacts
from protocol.preference.rows import NotificationPreferences
from protocol.preference.terms import ZONE_DEFAULT
from protocol.preference.views import GetPreferences, PreferencesView, TypeView
from protocol.roles import Principal
from protocol.user.rows import Person
from storage.database import Pool
from storage.queries.page import AS_OF
from storage.registry import Sources, answers, loads

#: The language of users who never chose one.
LANGUAGE_DEFAULT = "en"

log = structlog.get_logger(__name__)

_preferences_decoder = msgspec.json.Decoder(NotificationPreferences)
_person_decoder = msgspec.json.Decoder(Person)

_READERS = """
SELECT p.user_id, p.name, p.language, p.email,
       CASE WHEN u.is_phone_verified AND s.number IS NULL THEN p.phone_number END AS phone_number,
       s.number IS NOT NULL AS opted_out,
       row_to_json(w)::text AS preferences,
       (SELECT g.day FROM digests g JOIN deliveries l ON l.id = g.delivery_id
         WHERE g.user_id = p.user_id AND l.state <> 'waiting' ORDER BY g.day DESC LIMIT 1) AS last_digest_day,
       v.devices, v.platforms
  FROM people p JOIN users u USING (user_id) LEFT JOIN notification_preferences w USING (user_id)
  LEFT JOIN opted_out_numbers s ON s.number = p.phone_number
 CROSS JOIN LATERAL (
    SELECT array_agg(d.device_id ORDER BY d.device_id) AS devices,
           array_agg(d.platform ORDER BY d.device_id) AS platforms
      FROM devices d WHERE d.user_id = p.user_id
       AND (d.session_id IS NULL OR EXISTS (
            SELECT FROM jsonb_to_recordset(u.sessions) o(session_id uuid, expires_at timestamptz)
             WHERE o.session_id = d.session_id AND o.expires_at > $2))) v
 WHERE p.user_id = ANY($1::uuid[])
"""
_FACTS = """
SELECT row_to_json(p)::text AS person, row_to_json(w)::text AS preferences,
       EXISTS (SELECT FROM bookings b WHERE b.business_id = g.business_id AND b.customer_id = g.user_id) AS is_customer
  FROM unnest($1::uuid[], $2::uuid[]) WITH ORDINALITY g(user_id, business_id, ord)
  LEFT JOIN people p ON p.user_id = g.user_id
  LEFT JOIN notification_preferences w ON w.user_id = g.user_id
 ORDER BY g.ord
"""
_OWN = f"""
SELECT p.language, row_to_json(w)::text AS preferences, {AS_OF}
  FROM people p LEFT JOIN notification_preferences w USING (user_id) WHERE p.user_id = $1
"""


async def load_readers(pool: Pool, ids: Sequence[UserId], at: datetime) -> dict[UserId, Reader]:
    """Load readers; erased users and devices whose session has expired at ``at`` are left out."""
    rows = await pool.fetch(_READERS, list(ids), at)
    return {row["user_id"]: _reader(row) for row in rows}


async def load_language(pool: Pool, user_id: UserId) -> str:
    """The language that a user reads; English for a user without a profile."""
    language: str | None = await pool.fetchval("SELECT language FROM people WHERE user_id = $1", user_id)
    return language or LANGUAGE_DEFAULT


@loads(PreferenceFacts)
async def load_preference_facts(sources: Sources, asks: Sequence[PreferenceAsk]) -> list[PreferenceFacts | NotFound]:
    """Load the facts for setting preferences, in order; an unknown or erased user is NotFound."""
    rows = await sources.pool.fetch(_FACTS, [user_id for user_id, _ in asks], [business_id for _, business_id in asks])
    return [_facts(user_id, row) for (user_id, _), row in zip(asks, rows, strict=True)]


@loads(KnownUsers)
async def load_known_users(sources: Sources, asks: Sequence[Sequence[UserId]]) -> list[KnownUsers]:
    """Return for each ask which of its users exist, in order."""
    wanted = list({user_id for ids in asks for user_id in ids})
    rows = await sources.pool.fetch("SELECT user_id FROM people WHERE user_id = ANY($1::uuid[])", wanted)
    known = {row["user_id"] for row in rows}
    return [KnownUsers(frozenset(known.intersection(ids))) for ids in asks]


@answers(GetPreferences)
async def get_preferences(pool: Pool, query: GetPreferences, principal: Principal) -> PreferencesView:
    """Return the caller's preferences. Raises: NotFound."""
    row = await pool.fetchrow(_OWN, principal.user_id)
    if row is None:
        raise NotFound(entity=Kind.USER.value, id=str(principal.user_id))
    preferences = _preferences_of(principal.user_id, row["preferences"])
    return PreferencesView(
        zone=preferences.zone,
        quiet_hours=preferences.quiet_hours,
        channels=preferences.channels,
        frequency=preferences.frequency,
        contact_method=preferences.contact_method,
        contact_times=preferences.contact_times,
        digest_hour=preferences.digest_hour,
        language=row["language"],
        types=_TYPES,
        as_of=row["as_of"],
    )


#: The notification types that preferences may name.
_TYPES = tuple(
    TypeView(type=one.name, importance=one.importance, channels=tuple(sorted(one.channels))) for one in NOTIFICATIONS
)


def _reader(row: Any) -> Reader:
    return Reader(
        user_id=row["user_id"],
        name=row["name"],
        language=row["language"],
        email=row["email"],
        phone_number=row["phone_number"],
        opted_out=row["opted_out"],
        devices=tuple(map(_device, row["devices"] or (), row["platforms"] or ())),
        preferences=_preferences_of(row["user_id"], row["preferences"]),
        last_digest_day=row["last_digest_day"],
    )


def _device(device_id: DeviceId, platform: str) -> ReaderDevice:
    return ReaderDevice(device_id, Platform(platform).channel)


def _preferences_of(user_id: UserId, data: str | None) -> NotificationPreferences:
    """Decode preferences; the defaults for a user without any, or with some that only a newer server understands."""
    defaults = NotificationPreferences(user_id=user_id)
    try:
        preferences = defaults if data is None else _preferences_decoder.decode(data)
    except msgspec.ValidationError as error:
        log.warning("preferences.unreadable", action="defaults", error=str(error))
        return defaults
    return preferences if preferences.zone in zone_names() else replace(preferences, zone=ZONE_DEFAULT)


def _facts(user_id: UserId, row: Any) -> PreferenceFacts | NotFound:
    if row["person"] is None:
        return NotFound(entity=Kind.USER.value, id=str(user_id))
    return PreferenceFacts(
        person=_person_decoder.decode(row["person"]),
        preferences=_preferences_of(user_id, row["preferences"]),
        is_customer=row["is_customer"],
    )

"""Reading whom to reach, and how they want to be reached: many people in one statement."""

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

log = structlog.get_logger(__name__)

_preferences = msgspec.json.Decoder(NotificationPreferences)
_person = msgspec.json.Decoder(Person)

_READERS = """
SELECT p.user_id, p.name, p.language, p.email,
       CASE WHEN u.is_phone_verified AND s.number IS NULL THEN p.phone_number END AS phone_number,
       s.number IS NOT NULL AS stopped,
       row_to_json(w)::text AS preferences,
       (SELECT g.day FROM digests g JOIN deliveries l ON l.id = g.delivery_id
         WHERE g.user_id = p.user_id AND l.state <> 'waiting' ORDER BY g.day DESC LIMIT 1) AS last_digest_day,
       v.devices, v.platforms
  FROM people p JOIN users u USING (user_id) LEFT JOIN notification_preferences w USING (user_id)
  LEFT JOIN stopped_numbers s ON s.number = p.phone_number
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
    """How to reach these people at an instant; who was erased is not among them, nor a device whose session expired."""
    rows = await pool.fetch(_READERS, list(ids), at)
    return {row["user_id"]: _reader(row) for row in rows}


@loads(PreferenceFacts)
async def load_preference_facts(sources: Sources, asks: Sequence[PreferenceAsk]) -> list[PreferenceFacts | NotFound]:
    """Whose preferences are to be set, for which business, in order; who never was, or was erased, is not found."""
    rows = await sources.pool.fetch(_FACTS, [user_id for user_id, _ in asks], [business_id for _, business_id in asks])
    return [_facts(user_id, row) for (user_id, _), row in zip(asks, rows, strict=True)]


@loads(KnownUsers)
async def load_known_users(sources: Sources, asks: Sequence[Sequence[UserId]]) -> list[KnownUsers]:
    """Say which of these users there are, in order."""
    wanted = list({user_id for ids in asks for user_id in ids})
    rows = await sources.pool.fetch("SELECT user_id FROM people WHERE user_id = ANY($1::uuid[])", wanted)
    known = {row["user_id"] for row in rows}
    return [KnownUsers(frozenset(known.intersection(ids))) for ids in asks]


@answers(GetPreferences)
async def get_preferences(pool: Pool, query: GetPreferences, principal: Principal) -> PreferencesView:
    """Show somebody how they want to be reached. Raises: NotFound."""
    row = await pool.fetchrow(_OWN, principal.user_id)
    if row is None:
        raise NotFound(entity=Kind.USER.value, id=str(principal.user_id))
    wishes = _wishes(principal.user_id, row["preferences"])
    return PreferencesView(
        zone=wishes.zone,
        quiet_hours=wishes.quiet_hours,
        channels=wishes.channels,
        frequency=wishes.frequency,
        contact_method=wishes.contact_method,
        contact_times=wishes.contact_times,
        digest_hour=wishes.digest_hour,
        language=row["language"],
        types=_TYPES,
        as_of=row["as_of"],
    )


#: What the catalogue offers.
_TYPES = tuple(
    TypeView(type=told.name, importance=told.importance, channels=tuple(sorted(told.channels)))
    for told in NOTIFICATIONS
)


def _reader(row: Any) -> Reader:
    return Reader(
        user_id=row["user_id"],
        name=row["name"],
        language=row["language"],
        email=row["email"],
        phone_number=row["phone_number"],
        stopped=row["stopped"],
        devices=tuple(map(_device, row["devices"] or (), row["platforms"] or ())),
        preferences=_wishes(row["user_id"], row["preferences"]),
        last_digest_day=row["last_digest_day"],
    )


def _device(device_id: DeviceId, platform: str) -> ReaderDevice:
    return ReaderDevice(device_id, Platform(platform).channel)


def _wishes(user_id: UserId, data: str | None) -> NotificationPreferences:
    """What was said; the defaults for who said nothing, or something that only a newer server understands."""
    defaults = NotificationPreferences(user_id=user_id)
    try:
        wishes = defaults if data is None else _preferences.decode(data)
    except msgspec.ValidationError as error:
        log.warning("preferences.unreadable", action="defaults", error=str(error))
        return defaults
    return wishes if wishes.zone in zone_names() else replace(wishes, zone=ZONE_DEFAULT)


def _facts(user_id: UserId, row: Any) -> PreferenceFacts | NotFound:
    if row["person"] is None:
        return NotFound(entity=Kind.USER.value, id=str(user_id))
    return PreferenceFacts(
        person=_person.decode(row["person"]),
        preferences=_wishes(user_id, row["preferences"]),
        is_customer=row["is_customer"],
    )

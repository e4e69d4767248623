"""Devices: bounded, held by the user who registered them last, and removed with the session that registered them.

Rule N-6.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest

from actors.user.actor import User
from protocol.code.commands import SetPassword
from protocol.device.commands import ForgetDevice, RegisterDevice, RemoveDevice
from protocol.device.events import DeviceForgotten, DeviceRegistered
from protocol.device.facts import DeviceFacts
from protocol.device.rows import DeviceRow
from protocol.device.terms import DEVICES_MAX, ForgetReason, Platform, PushKeys, PushSubscription, address_hash
from protocol.device.views import DeviceReply
from protocol.effects import DropRow, PutRow, Send
from protocol.errors import Invalid, NotFound, Unauthenticated
from protocol.events import Event
from protocol.ids import SYSTEM, DeviceId, Kind, Ref, SessionId, UserId
from protocol.roles import Principal, Role
from protocol.user.commands import EndSession, OpenSession, RevokeSession, RevokeSessions
from protocol.user.events import SessionOpened, UserSignedUp
from tests.support.actors import ACTOR_ID, Decided, decide, replay
from tests.support.effects import of, rows
from tests.support.web_push import Browser

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
ADA = UserId(ACTOR_ID)
BOB = UserId(UUID(int=7))
PHONE = SessionId(UUID(int=101))
LAPTOP = SessionId(UUID(int=102))
TOKEN = "fcm-token-of-a-telephone:0123456789"
SERVER = Principal(user_id=SYSTEM, role=Role.SYSTEM, roles=frozenset({Role.SYSTEM}))
FREE = DeviceFacts()


def ada(session_id: SessionId | None = PHONE) -> Principal:
    return Principal(user_id=ADA, role=Role.CUSTOMER, roles=frozenset({Role.CUSTOMER}), session_id=session_id)


def signed_in(*sessions: SessionId) -> list[Event]:
    opened = [
        SessionOpened(session_id=one, device="app", role=Role.CUSTOMER, expires_at=NOW + timedelta(days=30), at=NOW)
        for one in sessions or (PHONE,)
    ]
    return [UserSignedUp(at=NOW), *opened]


def device(number: int) -> DeviceId:
    return DeviceId(UUID(int=1000 + number))


def registered(number: int = 1, token: str = TOKEN, session_id: SessionId | None = PHONE, *, after_s: int = 0) -> Event:
    return DeviceRegistered(
        device_id=device(number),
        platform=Platform.FCM,
        address_hash=address_hash(token),
        session_id=session_id,
        at=NOW + timedelta(seconds=after_s),
    )


def tell(
    events: list[Event], command: Any, principal: Principal | None = None, facts: Any = None, *, after_s: int = 0
) -> Decided:
    return decide(User, events, command, principal or ada(), NOW + timedelta(seconds=after_s), facts)


def telephone(token: str = TOKEN) -> RegisterDevice:
    return RegisterDevice(platform=Platform.FCM, token=token)


def browser(endpoint: str = "https://push.example/abc", **keys: str) -> RegisterDevice:
    keys = {**Browser(endpoint).keys, **keys}
    return RegisterDevice(
        platform=Platform.WEB, subscription=PushSubscription(endpoint=endpoint, keys=PushKeys(**keys))
    )


def dropped(decided: Decided) -> set[str]:
    assert all(drop.table == "devices" for drop in of(decided.effects, DropRow))
    return {drop.key["device_id"] for drop in of(decided.effects, DropRow)}


def test_a_telephone_is_registered_and_its_token_stands_in_its_row_alone() -> None:
    decided = tell(signed_in(), telephone(), facts=FREE)

    assert isinstance(decided.reply, DeviceReply)
    (row,) = rows(decided.effects, DeviceRow)
    assert (row.address, row.user_id, row.session_id) == (TOKEN, ADA, PHONE)
    state = replay(User, [*signed_in(), *decided.events])
    assert [one.device_id for one in state.devices.known] == [decided.reply.device_id]
    for written in (state, decided.reply, *decided.events):
        assert TOKEN.encode() not in msgspec.json.encode(written)
    assert TOKEN not in repr(telephone()) + repr(row)


def test_a_browser_is_registered_with_its_keys() -> None:
    command = browser()

    (row,) = rows(tell(signed_in(), command, facts=FREE).effects, DeviceRow)

    assert command.subscription is not None
    assert (row.address, row.p256dh, row.auth) == (
        command.subscription.endpoint,
        command.subscription.keys.p256dh,
        command.subscription.keys.auth,
    )


def test_registering_again_refreshes_the_same_device_and_takes_it_into_the_session_of_now() -> None:
    events = [*signed_in(PHONE, LAPTOP), registered()]

    decided = tell(events, telephone(), ada(LAPTOP), DeviceFacts(holder=(ADA, device(1))), after_s=60)

    assert decided.reply == DeviceReply(device_id=device(1))
    (one,) = replay(User, [*events, *decided.events]).devices.known
    assert (one.session_id, one.registered_at, one.used_at) == (LAPTOP, NOW, NOW + timedelta(seconds=60))


def test_of_too_many_the_one_unused_for_longest_goes() -> None:
    events = [*signed_in(), *(registered(n, f"{TOKEN}{n}", after_s=n) for n in range(DEVICES_MAX))]
    events.append(registered(0, f"{TOKEN}0", after_s=100))

    decided = tell(events, telephone(), facts=FREE, after_s=200)

    assert DeviceForgotten(device_id=device(1), reason=ForgetReason.DISPLACED) in decided.events
    assert dropped(decided) == {str(device(1))}
    assert len(replay(User, [*events, *decided.events]).devices.known) == DEVICES_MAX


def test_a_device_that_somebody_else_has_moves_and_they_are_told() -> None:
    decided = tell(signed_in(), telephone(), facts=DeviceFacts(holder=(BOB, device(5))))

    (sent,) = of(decided.effects, Send)
    assert sent.to == Ref(Kind.USER, BOB)
    assert sent.command == ForgetDevice(user_id=BOB, device_id=device(5), reason=ForgetReason.MOVED)
    (row,) = rows(decided.effects, DeviceRow)
    assert row.user_id == ADA


def test_a_device_that_comes_back_is_another_one_so_that_late_news_of_its_leaving_harms_nothing() -> None:
    events = [*signed_in(), registered()]
    back = tell(events, telephone(), facts=DeviceFacts(holder=(BOB, device(5))))
    assert isinstance(back.reply, DeviceReply)
    assert back.reply.device_id != device(1)

    late = ForgetDevice(user_id=ADA, device_id=device(1), reason=ForgetReason.MOVED)
    decided = tell([*events, *back.events], late, SERVER)

    assert (decided.events, of(decided.effects, DropRow)) == ([], [])


@pytest.mark.parametrize(
    ("command", "principal"),
    [
        (EndSession(), ada()),
        (RevokeSession(session_id=PHONE), ada(LAPTOP)),
        (RevokeSessions(), ada(LAPTOP)),
        (SetPassword(user_id=ADA, password_hash="argon2", password_version=1, session_id=LAPTOP), SERVER),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_device_goes_with_the_session_that_it_was_registered_in(command: Any, principal: Principal) -> None:
    events = [*signed_in(PHONE, LAPTOP), registered(1), registered(2, f"{TOKEN}2", LAPTOP)]

    decided = tell(events, command, principal)

    assert dropped(decided) == {str(device(1))}
    assert [one.device_id for one in replay(User, [*events, *decided.events]).devices.known] == [device(2)]


def test_devices_of_expired_sessions_go_at_the_next_sign_in() -> None:
    events = [*signed_in(), registered()]
    again = OpenSession(
        user_id=ADA,
        session_id=LAPTOP,
        device="app",
        refresh_hash=bytes(32),
        family_hash=bytes(32),
        device_mark=b"app",
        lifetime_s=60,
    )

    decided = tell(events, again, SERVER, after_s=31 * 86_400)

    assert dropped(decided) == {str(device(1))}
    assert replay(User, [*events, *decided.events]).devices.known == ()


def test_a_session_that_is_over_registers_nothing() -> None:
    assert isinstance(tell(signed_in(LAPTOP), telephone(), ada(PHONE), FREE).reply, Unauthenticated)


def test_the_user_takes_a_device_off_their_list() -> None:
    decided = tell([*signed_in(), registered()], RemoveDevice(device_id=device(1)))

    assert decided.events == [DeviceForgotten(device_id=device(1), reason=ForgetReason.BY_USER)]
    assert dropped(decided) == {str(device(1))}
    assert isinstance(tell(signed_in(), RemoveDevice(device_id=device(1))).reply, NotFound)


def test_what_its_service_knows_no_longer_is_forgotten_once() -> None:
    gone = ForgetDevice(user_id=ADA, device_id=device(1), reason=ForgetReason.GONE)

    assert tell([*signed_in(), registered()], gone, SERVER).events == [
        DeviceForgotten(device_id=device(1), reason=ForgetReason.GONE)
    ]
    assert tell(signed_in(), gone, SERVER).events == []


@pytest.mark.parametrize(
    ("command", "field", "problem"),
    [
        (RegisterDevice(platform=Platform.FCM), "token", "required"),
        (RegisterDevice(platform=Platform.WEB), "subscription", "required"),
        (RegisterDevice(platform=Platform.WEB, token=TOKEN), "subscription", "required"),
        (browser("http://push.example/abc"), "subscription.endpoint", "not_https"),
        (browser("https://127.0.0.1/abc"), "subscription.endpoint", "private_address"),
        (browser("https://localhost/abc"), "subscription.endpoint", "private_address"),
        (browser(p256dh="BAAA"), "subscription.keys.p256dh", "not_a_p256_point"),
        (browser(p256dh="!" * 87), "subscription.keys.p256dh", "not_a_p256_point"),
        (browser(auth="AAAA"), "subscription.keys.auth", "not_16_bytes"),
        (browser(auth="ÄÖÜ"), "subscription.keys.auth", "not_16_bytes"),
    ],
    ids=str,
)
def test_what_nobody_can_be_reached_by_is_refused_by_name(command: RegisterDevice, field: str, problem: str) -> None:
    refusal = tell(signed_in(), command, facts=FREE).reply

    assert isinstance(refusal, Invalid)
    assert refusal.fields == {field: problem}


def test_private_endpoints_are_fine_where_the_operator_says_so() -> None:
    decided = tell(signed_in(), browser("http://127.0.0.1:9/abc"), facts=DeviceFacts(private_endpoints=True))

    assert isinstance(decided.reply, DeviceReply)
    assert len(of(decided.effects, PutRow)) == 2

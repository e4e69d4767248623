"""Devices over REST: registered, listed, moved, and gone with their session; each address has one holder (rule N-6)."""

import asyncio
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from actors.actor import ACTORS
from protocol.booking.commands import PayBooking
from protocol.delivery.channels import Channel
from protocol.device.terms import DEVICES_MAX
from protocol.ids import UserId
from server.ops.verify import verify
from storage.queries.recipient import load_readers
from tests.support.faults import until
from tests.support.server import Person, Site
from tests.support.web_push import Browser


def token() -> str:
    return f"telephone-{uuid4().hex}"


async def register(site: Site, person: Person, address: str) -> str:
    answer = await site.request("POST", "/devices/", person, {"platform": "fcm", "token": address})
    assert answer.status == 200, answer.body
    device_id: str = answer.json["device_id"]
    return device_id


async def devices(site: Site, person: Person) -> list[dict[str, Any]]:
    answer = await site.request("GET", "/devices/", person)
    assert answer.status == 200, answer.body
    listed: list[dict[str, Any]] = answer.json["devices"]
    return listed


async def test_what_is_registered_is_listed_and_can_be_removed(server: Site) -> None:
    ada = await server.person("Ada")
    browser = Browser("https://push.example/abc")
    phone = await register(server, ada, token())
    answer = await server.request("POST", "/devices/", ada, {"platform": "web", "subscription": browser.subscription})
    assert answer.status == 200, answer.body

    laptop, telephone = await devices(server, ada)
    assert (laptop["platform"], laptop["current"]) == ("web", True)
    assert (telephone["id"], telephone["platform"]) == (phone, "fcm")
    assert set(telephone) == {"id", "platform", "current", "registered_at", "used_at"}

    assert (await server.request("DELETE", f"/devices/{phone}/", ada)).status == 200
    assert [one["id"] for one in await devices(server, ada)] == [laptop["id"]]
    assert (await server.request("DELETE", f"/devices/{phone}/", ada)).status == 404


async def test_a_reader_has_the_channels_of_their_devices(server: Site) -> None:
    ada, bob = await server.people("Ada", "Bob")
    await register(server, ada, token())
    browser = Browser("https://push.example/abc")
    await server.request("POST", "/devices/", ada, {"platform": "web", "subscription": browser.subscription})

    readers = await load_readers(server.node.pool, [ada.id, bob.id, UserId(uuid4())], server.node.clock.now())

    assert sorted(one.channel for one in readers[ada.id].devices) == [Channel.PUSH, Channel.WEB_PUSH]
    assert readers[bob.id].devices == ()


async def test_no_address_is_kept_but_in_its_row(server: Site) -> None:
    ada = await server.person("Ada")
    address = token()
    await register(server, ada, address)
    await register(server, await server.person("Bob"), address)
    await server.at_rest()

    for table in ("journal", "actors", "command_log", "agenda"):
        held = await server.node.pool.fetchval(f"SELECT count(*) FROM {table} t WHERE t::text LIKE $1", f"%{address}%")
        assert held == 0, table
    assert await server.node.pool.fetchval("SELECT count(*) FROM devices WHERE address = $1", address) == 1


async def test_a_device_that_somebody_else_signs_in_on_is_theirs_from_then_on(server: Site) -> None:
    ada, bob = await server.people("Ada", "Bob")
    address = token()
    await register(server, ada, address)

    await register(server, bob, address)
    await server.at_rest()

    assert await devices(server, ada) == []
    assert len(await devices(server, bob)) == 1
    await register(server, ada, address)
    await server.at_rest()
    assert len(await devices(server, ada)) == 1
    assert await devices(server, bob) == []
    await server.prove()


async def test_of_many_who_register_one_device_at_once_exactly_one_has_it(server: Site) -> None:
    people = await server.people(*[f"Person {number}" for number in range(8)])
    address = token()

    await asyncio.gather(*[register(server, person, address) for person in people])
    await server.at_rest()

    listed = [await devices(server, person) for person in people]
    assert sorted(map(len, listed)) == [0] * 7 + [1]
    await server.prove()


async def test_whoever_lost_a_device_takes_it_from_nobody_by_signing_out(server: Site) -> None:
    ada, bob = await server.people("Ada", "Bob")
    address = token()
    await register(server, ada, address)
    await register(server, bob, address)

    await server.request("POST", "/auth/signout/", ada)
    await server.at_rest()

    assert len(await devices(server, bob)) == 1


@pytest.mark.parametrize("ends", ["sign_out", "revoke"])
async def test_nothing_goes_to_a_device_whose_session_is_over(server: Site, ends: str) -> None:
    phone = await server.person("Ada")
    laptop = await server.sign_in(phone.me.email)
    await register(server, phone, token())
    stays = await register(server, laptop, token())

    if ends == "sign_out":
        answer = await server.request("POST", "/auth/signout/", phone)
    else:
        answer = await server.request("DELETE", "/auth/sessions/", laptop)
    assert answer.status == 200

    assert [one["id"] for one in await devices(server, laptop)] == [stays]
    assert await server.node.pool.fetchval("SELECT count(*) FROM devices") == 1


async def test_nothing_goes_to_a_device_whose_session_has_expired(server: Site) -> None:
    ada, pool = await server.person("Ada"), server.node.pool
    await register(server, ada, token())
    expires_at: datetime = await pool.fetchval(
        "SELECT (sessions->0->>'expires_at')::timestamptz FROM users WHERE user_id = $1", ada.id
    )

    async def reached(at: datetime) -> int:
        return len((await load_readers(pool, [ada.id], at))[ada.id].devices)

    assert await reached(expires_at - timedelta(seconds=1)) == 1
    assert await reached(expires_at) == 0


async def test_the_same_registration_again_is_harmless_and_they_are_bounded(server: Site) -> None:
    ada = await server.person("Ada")
    address = token()
    first = await register(server, ada, address)
    for _ in range(DEVICES_MAX - 1):
        await register(server, ada, token())

    assert await register(server, ada, address) == first
    await register(server, ada, token())

    listed = [one["id"] for one in await devices(server, ada)]
    assert len(listed) == DEVICES_MAX
    assert first in listed


async def test_a_device_that_its_user_does_not_know_of_is_found(server: Site) -> None:
    ada, bob = await server.people("Ada", "Bob")
    await register(server, ada, token())
    await server.prove()

    await server.node.pool.execute("UPDATE devices SET user_id = $1", bob.id)

    broken = {finding.name async for finding in verify(server.node.pool, ACTORS) if finding.broken}
    assert broken == {"a device that push messages go to is one of its user's"}


async def test_what_a_telephone_would_get_is_kept_in_development_without_its_token(server: Site) -> None:
    market = await server.market()
    address = token()
    device_id = await register(server, market.owner, address)
    customer = await server.person("Carla Customer")
    booking_id = await server.booked(market, customer)
    await server.captured(await customer.call(PayBooking(booking_id=booking_id)))

    async def kept() -> bool:
        # Behind its own commit the delivery is planned, and due half a minute later.
        await server.advance(timedelta(seconds=31))
        return bool(await server.node.pool.fetchval("SELECT count(*) FROM development_mailbox WHERE channel = 'push'"))

    await until(kept)
    message = await server.node.pool.fetchval("SELECT message::text FROM development_mailbox WHERE channel = 'push'")
    assert device_id in message
    assert address not in message

"""Saved addresses, an owned record: put, listed, dropped, bounded and told of, over REST and WebSocket."""

import asyncio
from typing import Any

import pytest

from protocol.address.record import ADDRESSES_MAX
from protocol.records import RECORDS
from protocol.snapshot import GetSnapshot
from storage.database import Pool
from storage.queries.records import page_of
from tests.support.query_plans import generic_plan
from tests.support.server import Person, Site

HOME = {"label": "Home", "street": "Torstraße 1", "city": "Berlin", "country": "DE", "postal_code": "10119"}


async def put(site: Site, person: Person, **fields: Any) -> str:
    answer = await site.request("POST", "/addresses/", person, HOME | fields)
    assert answer.status == 200, answer.body
    address_id: str = answer.json["address_id"]
    return address_id


async def labels(site: Site, person: Person, query: str = "") -> list[str]:
    answer = await site.request("GET", f"/addresses/{query}", person)
    assert answer.status == 200, answer.body
    return [one["label"] for one in answer.json["items"]]


async def test_an_address_is_saved_listed_changed_and_dropped(server: Site) -> None:
    ada = await server.person("Ada")
    home = await put(server, ada, latitude=52.52, longitude=13.4)
    work = await put(server, ada, label="Work")

    answer = await server.request("GET", "/addresses/", ada)
    assert [one["label"] for one in answer.json["items"]] == ["Work", "Home"]
    assert answer.json["items"][1] == {
        **HOME,
        "id": home,
        "details": "",
        "region": "",
        "latitude": 52.52,
        "longitude": 13.4,
        "put_at": answer.json["items"][1]["put_at"],
    }

    changed = await server.request("PUT", f"/addresses/{home}/", ada, HOME | {"label": "Old home"})
    assert (changed.status, changed.json["address_id"]) == (200, home)
    assert await labels(server, ada) == ["Old home", "Work"]

    assert (await server.request("DELETE", f"/addresses/{work}/", ada)).status == 200
    assert await labels(server, ada) == ["Old home"]
    assert (await server.request("DELETE", f"/addresses/{work}/", ada)).status == 404


async def test_what_is_one_s_own_is_nobody_else_s(server: Site) -> None:
    ada, bob = await server.people("Ada", "Bob")
    home = await put(server, ada)

    assert await labels(server, bob) == []
    assert (await server.request("PUT", f"/addresses/{home}/", bob, HOME)).status == 404
    assert (await server.request("DELETE", f"/addresses/{home}/", bob)).status == 404
    assert await labels(server, ada) == ["Home"]


async def test_all_devices_learn_that_one_changed_and_no_event_says_where_anybody_lives(server: Site) -> None:
    ada = await server.person("Ada", live=True)

    home = await put(server, ada)

    event = await ada.hears("address.changed", f"user/{ada.me.id}")
    assert event.data == {"id": home}


async def test_the_bound_holds_however_many_are_put_at_once(server: Site) -> None:
    ada = await server.person("Ada")

    answers = await asyncio.gather(
        *[server.request("POST", "/addresses/", ada, HOME | {"label": f"No. {n}"}) for n in range(ADDRESSES_MAX + 5)]
    )

    assert sorted(answer.status for answer in answers) == [200] * ADDRESSES_MAX + [429] * 5
    refused = next(answer.json for answer in answers if answer.status == 429)
    assert (refused["code"], refused["fields"]["limit"]) == ("limit_reached", "addresses")
    assert len(await labels(server, ada, "?limit=100")) == ADDRESSES_MAX


async def test_the_database_itself_keeps_the_bound(server: Site) -> None:
    ada = await server.person("Ada")
    await put(server, ada)
    claimed = await server.node.pool.fetch("SELECT key FROM unique_keys WHERE scope = 'address_place'")

    assert [row["key"] for row in claimed] == [f"{ada.me.id}/0"]


async def test_a_place_that_was_dropped_can_be_taken_again(server: Site) -> None:
    ada = await server.person("Ada")
    ids = [await put(server, ada, label=f"No. {n}") for n in range(ADDRESSES_MAX)]
    assert (await server.request("POST", "/addresses/", ada, HOME)).status == 429

    await server.request("DELETE", f"/addresses/{ids[7]}/", ada)

    await put(server, ada, label="New")
    assert len(await labels(server, ada, "?limit=100")) == ADDRESSES_MAX


async def test_a_retry_saves_nothing_twice(server: Site) -> None:
    ada = await server.person("Ada")
    first = await server.request("POST", "/addresses/", ada, HOME, **{"Idempotency-Key": "home-1"})
    again = await server.request("POST", "/addresses/", ada, HOME, **{"Idempotency-Key": "home-1"})

    assert first.json == again.json
    assert await labels(server, ada) == ["Home"]


async def test_pages_go_on_where_the_one_before_ended(server: Site) -> None:
    ada = await server.person("Ada")
    for n in range(5):
        await put(server, ada, label=f"No. {n}")

    first = (await server.request("GET", "/addresses/?limit=3", ada)).json
    rest = (await server.request("GET", f"/addresses/?limit=3&cursor={first['next_cursor']}", ada)).json

    assert [one["label"] for one in first["items"] + rest["items"]] == [f"No. {n}" for n in reversed(range(5))]
    assert rest["next_cursor"] is None
    assert rest["as_of"] == (await ada.call(GetSnapshot())).as_of


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"label": ""}, "label"),
        ({"label": "  "}, "label"),
        ({"street": "A\nB"}, "street"),
        ({"street": "x" * 201}, "street"),
        ({"country": "Germany"}, "country"),
        ({"latitude": 52.5}, "longitude"),
        ({"latitude": 91, "longitude": 0}, "latitude"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(server: Site, fields: dict[str, Any], named: str) -> None:
    ada = await server.person("Ada")

    answer = await server.request("POST", "/addresses/", ada, HOME | fields)

    assert (answer.status, answer.json["code"]) == (422, "invalid")
    assert named in answer.json["fields"]
    assert await labels(server, ada) == []


async def test_a_page_is_read_from_the_index(pool: Pool) -> None:
    await pool.execute("""
        INSERT INTO addresses
        SELECT md5('u' || n % 2000)::uuid, md5('a' || n)::uuid, n / 2000, 'L', 'S', '', '', 'C', '', 'DE', NULL, NULL,
               now() - n * interval '1 minute' FROM generate_series(0, 19999) n;
        ANALYZE addresses;
    """)

    plan = await generic_plan(pool, page_of(RECORDS["address"]))

    assert "addresses_listed" in plan

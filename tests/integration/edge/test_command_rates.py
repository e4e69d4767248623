"""A command's own rate limits its user over all transports together, and refusals say when to retry."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest

from protocol.business.commands import RegisterBusiness
from protocol.errors import LimitReached
from protocol.rates import HOUR_S
from protocol.registry import BY_TYPE
from protocol.service.views import FindSlots
from server.edge.config import LimitsConfig
from tests.support.live_server import Client as Line
from tests.support.live_server import connect_client
from tests.support.server import Person, Response, Site, codes_of, make_config, open_site, outcome_of

DATA = {"name": "Shop", "category_id": "repair", "city": "Berlin", "zone": "Europe/Berlin", "currency": "EUR"}
REGISTER = msgspec.convert(DATA, RegisterBusiness)


def own_rate() -> int:
    """The burst of registering businesses."""
    rate = BY_TYPE[RegisterBusiness].rate
    assert rate is not None
    assert rate.window_s == HOUR_S
    return rate.burst


async def by_route(site: Site, person: Person, key: str) -> Response:
    return await site.request("POST", "/providers/register/", person, DATA, **{"Idempotency-Key": key})


async def by_envelope(site: Site, person: Person, key: str, data: Any = DATA) -> Response:
    return await site.request("POST", "/v1/commands", person, {"name": "business.register", "data": data, "id": key})


async def by_socket(line: Line, key: str, data: Any = DATA) -> dict[str, Any]:
    await line.send(frame="command", id=key, name="business.register", data=data)
    return await line.answer(key)


@pytest.fixture
async def site(database_dsn: str, tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(database_dsn, make_config(tmp_path, limits=LimitsConfig())) as site:
        yield site


async def test_all_transports_draw_on_one_rate(site: Site) -> None:
    ada, bob = await site.people("Ada", "Bob")
    async with connect_client(site.url, await ada.rest.token()) as line:
        for number in range(own_rate()):
            if number % 3 == 0:
                assert (await by_route(site, ada, str(uuid4()))).status == 201
            elif number % 3 == 1:
                assert (await by_envelope(site, ada, str(uuid4()))).status == 201
            else:
                assert (await by_socket(line, str(uuid4())))["frame"] == "reply"
        refused = [await by_route(site, ada, "r"), await by_envelope(site, ada, "e")]
        frame = await by_socket(line, "s")
        other = await by_socket(line, "o", {})

    page = (await site.request("GET", "/metrics")).body.decode()
    assert 'guildwire_rate_limited_total{limit="business.register"} 3.0' in page
    for answer in refused:
        assert answer.status == 429
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert (answer.json["code"], answer.json["fields"]["limit"]) == ("limit_reached", "business.register")
        assert 0 < int(answer.headers["Retry-After"]) <= HOUR_S / own_rate()
    assert (frame["code"], frame["fields"]) == ("limit_reached", {"limit": "business.register"})
    assert 0 < frame["retry_after_s"] <= HOUR_S / own_rate()
    assert other["code"] == "invalid", "what is no such command is said first"
    assert (await by_route(site, bob, str(uuid4()))).status == 201


async def test_a_retry_counts_and_an_invalid_command_does_not(site: Site) -> None:
    ada = await site.person("Ada")
    for _ in range(own_rate() + 1):
        assert (await by_envelope(site, ada, "bad", {"name": "Shop"})).status == 422
    for _ in range(own_rate()):
        assert (await by_envelope(site, ada, "once")).status == 201
    refused = await by_envelope(site, ada, "once")

    assert refused.status == 429


async def test_own_rates_can_be_switched_off(database_dsn: str, tmp_path: Path) -> None:
    config = make_config(tmp_path, limits=LimitsConfig(command_rates=False))
    async with open_site(database_dsn, config) as site:
        ada = await site.person("Ada", live=True)
        outcomes = [await outcome_of(ada.send(REGISTER)) for _ in range(own_rate() + 1)]

    assert set(codes_of(outcomes)) == {"ok"}


async def test_welcome_has_the_configured_rates(database_dsn: str, tmp_path: Path) -> None:
    limits = LimitsConfig(commands_per_s=7, queries_per_s=3, connections_per_user=4)
    async with open_site(database_dsn, make_config(tmp_path, limits=limits)) as site:
        ada = await site.person("Ada")
        async with connect_client(site.url, await ada.rest.token()) as line:
            said = line.welcome["limits"]

    assert (said["commands_per_s"], said["commands_burst"]) == (7.0, 28)
    assert (said["queries_per_s"], said["queries_burst"], said["connections"]) == (3.0, 12, 4)


async def test_both_transports_say_when_to_retry(site: Site) -> None:
    ada = await site.person("Ada", live=True)
    for _ in range(own_rate()):
        await ada.send(REGISTER)
    refusals = [await outcome_of(ada.send(REGISTER)), await outcome_of(ada.call(REGISTER))]

    for refused in refusals:
        assert isinstance(refused, LimitReached)
        assert 0 < refused.fields["retry_after_s"] <= HOUR_S / own_rate()


def search_burst() -> int:
    """The burst of searches for slots."""
    rate = BY_TYPE[FindSlots].rate
    assert rate is not None
    return rate.burst


async def search(site: Site, address: str) -> Response:
    return await site.request("GET", f"/services/{uuid4()}/slots", **{"X-Forwarded-For": address})


async def test_searches_for_slots_have_a_rate_for_each_address_without_a_token(site: Site) -> None:
    burst = search_burst()
    answers = [await search(site, "203.0.113.9") for _ in range(burst)]
    while answers[-1].status != 429:  # the bucket refills meanwhile, slowly
        assert len(answers) < 2 * burst
        answers.append(await search(site, "203.0.113.9"))
    other = await search(site, "203.0.113.10")

    assert {answer.status for answer in answers[:-1]} == {404}
    assert answers[-1].json["fields"]["limit"] == "service.slots"
    assert other.status == 404


async def test_searches_over_a_socket_count_for_their_user(site: Site) -> None:
    burst = search_burst()
    ada, bob = await site.people("Ada", "Bob")
    codes: list[str] = []
    async with connect_client(site.url, await ada.rest.token()) as line:
        while "limit_reached" not in codes:
            assert len(codes) < 2 * burst
            await line.send(frame="query", id=str(len(codes)), name="service.slots", data={"service_id": str(uuid4())})
            codes.append((await line.answer(str(len(codes))))["code"])
    async with connect_client(site.url, await bob.rest.token()) as line:
        await line.send(frame="query", id="b", name="service.slots", data={"service_id": str(uuid4())})
        other = await line.answer("b")

    assert len(codes) > burst
    assert other["code"] == "not_found"

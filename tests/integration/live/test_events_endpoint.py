"""Events over plain HTTP on the whole server: replicas converge by stream and poll, and signing out ends both."""

from collections.abc import Mapping
from typing import Any

import msgspec

from protocol.snapshot import GetSnapshot, Snapshot
from protocol.user.commands import EndSession
from server.client import Event, Replica
from tests.support.event_stream import open_stream, poll
from tests.support.server import Person, Site


async def test_a_replica_updated_by_stream_and_poll_equals_the_next_snapshot(server: Site) -> None:
    market, customer = await server.market(), await server.person("Carla Customer")
    await server.confirmed(market, customer)
    first: Snapshot = await customer.call(GetSnapshot())
    streamed, polled = Replica(first, customer.me), Replica(first, customer.me)
    token = await customer.rest.token()

    async with open_stream(server.url, token, first.as_of) as stream:
        await server.completed(market, customer, hours=3)
        await server.booked(market, customer, hours=6)
        await server.at_rest()
        fresh: Snapshot = await customer.call(GetSnapshot())
        await stream.event(int(fresh.as_of.partition(":")[2]))
    for frame in stream.events:
        streamed.apply(_event(frame))
    while polled.as_of != fresh.as_of:
        status, page = await poll(server.url, token, since=polled.as_of, limit=3, wait_s=0)
        assert (status, page["outcome"]) == (200, "resumed")
        for frame in page["events"]:
            polled.apply(_event(frame))
        assert page["as_of"] == polled.as_of

    for replica in (streamed, polled):
        await _fill(replica, customer)
        assert replica.as_of == fresh.as_of
        assert replica.bookings == {booking.id: booking for booking in fresh.bookings}
        assert replica.conversations == {thread.id: thread for thread in fresh.conversations}


async def test_signing_out_ends_the_stream_for_good(server: Site) -> None:
    person = await server.person()
    token = await person.rest.token()

    async with open_stream(server.url, token) as stream:
        await person.call(EndSession())
        bye = await stream.end()
    status, problem = await poll(server.url, token)

    assert (bye.data["reason"], bye.data["reconnect"]) == ("revoked", False)
    assert (status, problem["fields"]) == (401, {"reason": "revoked"})


async def test_a_page_of_another_origin_may_request_it(server: Site) -> None:
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "GET"}
    answer = await server.request("OPTIONS", "/v1/events", **asked)

    assert answer.status == 204
    assert "Last-Event-ID" in answer.headers["Access-Control-Allow-Headers"]


def _event(frame: Mapping[str, Any]) -> Event:
    return msgspec.convert({name: value for name, value in frame.items() if name != "frame"}, Event)


async def _fill(replica: Replica, person: Person) -> None:
    """Fetch what the events do not contain."""
    for query in list(replica.to_fetch):
        replica.put(await person.call(query))

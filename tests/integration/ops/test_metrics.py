"""``/metrics``: requests by route, queries by name, versions; series that alerts rely on exist from the start."""

import re

import pytest

from protocol.booking.views import GetBooking
from protocol.delivery.channels import Channel
from protocol.ids import BookingId
from protocol.registry import BY_NAME, Mode
from tests.support.server import Site


async def page_of(site: Site) -> str:
    return (await site.request("GET", "/metrics")).body.decode()


def value_of(page: str, name: str, **labels: str) -> float | None:
    """The value of one series."""
    said = ",".join(f'{label}="{value}"' for label, value in sorted(labels.items()))
    found = re.search(rf"^{re.escape(f'{name}{{{said}}}' if said else name)} (\S+)$", page, re.MULTILINE)
    return None if found is None else float(found[1])


async def test_requests_are_counted_by_route_template_and_status(server: Site) -> None:
    ada = await server.person("Ada")
    for number in range(3):
        await server.request("GET", f"/bookings/00000000-0000-0000-0000-00000000000{number}/", ada)

    page = await page_of(server)

    labels = {"method": "GET", "route": "/bookings/{booking_id}/"}
    assert value_of(page, "guildwire_http_requests_total", **labels, code="404") == 3
    assert value_of(page, "guildwire_http_request_seconds_count", **labels) == 3


async def test_unknown_paths_and_methods_make_no_series_of_their_own(server: Site) -> None:
    for number, method in enumerate(("PROPFIND", "MKCOL", "LOCK")):
        await server.request("GET", f"/nowhere/{number}")
        await server.request(method, "/nowhere")

    page = await page_of(server)

    assert value_of(page, "guildwire_http_requests_total", method="GET", route="none", code="404") == 3
    assert value_of(page, "guildwire_http_requests_total", method="other", route="none", code="404") == 3
    assert "nowhere" not in page
    assert "PROPFIND" not in page


async def test_queries_are_counted_by_outcome_over_every_transport(server: Site) -> None:
    ada = await server.person("Ada", live=True)
    await server.request("GET", "/notifications/", ada)
    missing = GetBooking(booking_id=BookingId(ada.id))
    for _ in range(2):
        with pytest.raises(Exception, match="not_found"):
            await ada.phone.ask(missing)

    page = await page_of(server)

    assert value_of(page, "guildwire_queries_total", query="notification.list", outcome="ok") == 1
    assert value_of(page, "guildwire_queries_total", query="booking.get", outcome="not_found") == 2
    assert value_of(page, "guildwire_query_seconds_count", query="booking.get") == 2


async def test_series_of_alerts_exist_before_anything_happens(server: Site) -> None:
    page = await page_of(server)

    for declaration in BY_NAME.values():
        if declaration.mode is Mode.COMMAND:
            assert value_of(page, "guildwire_commands_total", command=declaration.name, outcome="internal") == 0
        elif declaration.mode is Mode.QUERY:
            assert value_of(page, "guildwire_queries_total", query=declaration.name, outcome="internal") == 0
    for channel in Channel:
        for state in ("waiting", "sending", "dead"):
            assert value_of(page, "guildwire_deliveries", channel=channel, state=state) == 0
        assert value_of(page, "guildwire_deliveries_overdue_seconds", channel=channel) == 0
    assert value_of(page, "guildwire_verify_last_run_timestamp_seconds") == 0
    assert value_of(page, "guildwire_sessions_opened_total", outcome="reset") == 0
    assert value_of(page, "guildwire_sockets_closed_total", reason="slow") == 0


async def test_the_page_says_what_runs(server: Site) -> None:
    page = await page_of(server)

    assert re.search(r'^guildwire_build_info\{python="3\.\S+",version="\S+"\} 1\.0$', page, re.MULTILINE)


async def test_no_label_collides_with_those_of_prometheus_and_no_timestamp_leaks(server: Site) -> None:
    page = await page_of(server)

    assert not re.search(r'[{,](job|instance)="', page)
    assert "_created" not in page


async def test_counters_and_only_they_end_in_total(server: Site) -> None:
    page = await page_of(server)

    kinds = dict(re.findall(r"^# TYPE (guildwire_\S+) (\S+)$", page, re.MULTILINE))
    assert {name for name, kind in kinds.items() if name.endswith("_total")} == {
        name for name, kind in kinds.items() if kind == "counter"
    }

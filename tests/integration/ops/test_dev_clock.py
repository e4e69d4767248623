"""``/dev/clock``: shows the domain's clock, and moves it within limits."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.support.server import Site


async def test_the_clock_moves_forward_by_what_is_asked(server: Site) -> None:
    before = (await server.request("GET", "/dev/clock")).json
    after = (await server.request("POST", "/dev/clock", None, {"advance_s": 3600})).json

    assert after["offset_s"] == before["offset_s"] + 3600
    assert datetime.fromisoformat(after["now"]) - datetime.fromisoformat(before["now"]) >= timedelta(hours=1)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"advance_s": "missing"}),
        ({"advance_s": -1}, {"advance_s": "too_small"}),
        ({"advance_s": "soon"}, {"advance_s": "wrong_type"}),
        ({"advance_s": 1, "by": 2}, {"by": "unknown_field"}),
    ],
)
async def test_an_invalid_request_is_refused_by_field(server: Site, body: Any, fields: dict[str, str]) -> None:
    answer = await server.request("POST", "/dev/clock", None, body)

    assert (answer.status, answer.json["fields"]) == (422, fields)


async def test_a_body_that_is_not_utf8_is_malformed(server: Site) -> None:
    async with server._http.post(
        f"{server.url}/dev/clock", headers={"Content-Type": "application/json"}, data=b"\xff"
    ) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_a_page_of_another_site_can_send_is_refused(server: Site, media_type: str) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    async with server._http.post(
        f"{server.url}/dev/clock", headers=headers, data=b'{"advance_s": 1}', skip_auto_headers=("Content-Type",)
    ) as answer:
        assert answer.status == 415

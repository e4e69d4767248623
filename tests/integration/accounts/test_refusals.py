"""Refused sign-ins, refreshes, codes and tokens leave a log line without secrets, and count by reason."""

import re
from typing import Any

import aiohttp
from structlog.testing import capture_logs

from protocol.errors import Unauthenticated
from protocol.frames import SUBPROTOCOL_JSON
from server.edge.rates import REFUSALS_LOGGED, RateLimiter
from server.edge.refusals import Refusals
from tests.support.mailbox import another, code
from tests.support.server import PASSWORD, Site

WRONG = "not the password of Ada"


def refused(logs: list[Any]) -> list[tuple[str, str, str | None]]:
    return [(one["what"], one["reason"], one["user_id"]) for one in logs if one["event"] == "auth.refused"]


def counted(site: Site) -> dict[tuple[str, str], float]:
    """The counter on /metrics, by what was refused and why."""
    page = site.node.metrics.render().decode()
    found = re.findall(r'^guildwire_auth_refused_total\{reason="(\w+)",what="(\w+)"\} (.*)$', page, re.MULTILINE)
    return {(what, reason): float(count) for reason, what, count in found}


async def test_each_refusal_is_logged_and_counted_without_secrets(server: Site) -> None:
    ada = await server.person("Ada")
    assert ada.rest.signed_in is not None
    email, refresh_token = ada.me.email, "gwr_" + "A" * 86
    asked = await server.request("POST", "/auth/reset-password/", None, {"email": email})
    wrong_code = another(await code(server, "reset.email"))

    with capture_logs() as logs:
        for address in (email, "nobody@people.test"):
            await server.request("POST", "/auth/signin/", None, {"email": address, "password": WRONG})
        await server.request("POST", "/auth/signup/", None, {"email": email, "password": PASSWORD, "name": "Eve"})
        await server.request("POST", "/auth/refresh/", None, {"refresh_token": refresh_token})
        request_id = asked.json["request_id"]
        body = {"email": email, "code": wrong_code, "request_id": request_id, "new_password": "quite another secret"}
        await server.request("POST", "/auth/reset-password/", None, body)
        body = {"password": WRONG, "new_password": "quite another secret"}
        await server.request("POST", "/auth/change-password/", ada, body)
        await server.request("GET", "/auth/current-user/")

    assert refused(logs) == [
        ("sign_in", "wrong_credentials", str(ada.id)),
        ("sign_in", "wrong_credentials", None),
        ("sign_up", "email_taken", None),
        ("refresh", "invalid", None),
        ("code", "code_invalid", str(ada.id)),
        ("password", "wrong_password", str(ada.id)),
        ("token", "missing_token", None),
    ]
    assert {one["address"] for one in logs if one["event"] == "auth.refused"} == {"127.0.0.1"}
    assert [secret for secret in (email, WRONG, refresh_token, wrong_code) if secret in str(logs)] == []
    assert counted(server)["sign_in", "wrong_credentials"] == 2
    assert counted(server)["token", "missing_token"] == 1


async def test_a_revoked_refresh_token_names_its_user(server: Site) -> None:
    ada = await server.person("Ada")
    assert ada.rest.signed_in is not None
    body = {"refresh_token": ada.rest.signed_in.tokens.refresh_token}
    await server.request("POST", "/auth/signout/", ada)

    with capture_logs() as logs:
        await server.request("POST", "/auth/refresh/", None, body)
        await server.request("GET", "/auth/current-user/", ada)

    assert refused(logs) == [("refresh", "revoked", str(ada.id)), ("token", "revoked", str(ada.id))]


async def test_a_token_refused_over_a_socket_counts_too(server: Site) -> None:
    with capture_logs() as logs:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(f"{server.url}/v1/socket", protocols=[SUBPROTOCOL_JSON]) as socket,
        ):
            await socket.send_json({"frame": "hello", "token": "made.up.token"})
            await socket.receive()

    assert refused(logs) == [("token", "invalid", None)]


def test_the_lines_of_one_address_are_bounded_and_all_are_counted() -> None:
    refusals = Refusals(RateLimiter("refusals_logged", REFUSALS_LOGGED, now=lambda: 0.0).take)

    with capture_logs() as logs:
        for _ in range(REFUSALS_LOGGED.burst + 10):
            refusals.note("token", Unauthenticated(reason="invalid"), "192.0.2.1")
        refusals.note("token", Unauthenticated(reason="invalid"), "198.51.100.1")

    assert len(logs) == REFUSALS_LOGGED.burst + 1
    assert refusals.total["token", "invalid"] == REFUSALS_LOGGED.burst + 11

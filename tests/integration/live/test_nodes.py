"""Sessions end everywhere: on every socket, over either transport, and on other nodes that share the database."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from protocol.roles import Role
from protocol.user.commands import RevokeRole, RevokeSessions
from protocol.user.views import CurrentUser, Sessions
from tests.support.gateway import line_to
from tests.support.server import Site, make_config, open_site

#: What the specification allows; the watch looks every 2 s.
WITHIN_S = 5


@asynccontextmanager
async def two_nodes(dsn: str, folder: Path) -> AsyncIterator[tuple[Site, Site]]:
    """Two servers on one database, which know the same keys."""
    async with open_site(dsn, make_config(folder / "a")) as first:
        shutil.copytree(folder / "a" / "keys", folder / "b" / "keys")
        async with open_site(dsn, make_config(folder / "b")) as second:
            yield first, second


async def test_a_revoked_session_loses_its_sockets_on_another_node_within_seconds(
    database_dsn: str, tmp_path: Path
) -> None:
    async with two_nodes(database_dsn, tmp_path) as (first, second):
        ada = await first.person("Ada")
        phone = await first.sign_in(ada.me.email)
        async with (
            line_to(second.url, await phone.rest.token()) as lost,
            line_to(second.url, await ada.rest.token()) as kept,
        ):
            assert len((await ada.call(Sessions())).sessions) == 2
            await ada.call(RevokeSessions())
            async with asyncio.timeout(WITHIN_S):
                assert await lost.end() == (4503, "revoked")
            refused = await second.request(
                "GET", "/auth/current-user/", Authorization=f"Bearer {await phone.rest.token()}"
            )
            assert (refused.status, refused.json["fields"]["reason"]) == (401, "revoked")
            await kept.send(frame="ping")
            assert await kept.until("pong")


async def test_rights_taken_on_one_node_end_the_tokens_of_another(database_dsn: str, tmp_path: Path) -> None:
    async with two_nodes(database_dsn, tmp_path) as (first, second):
        admin = await first.admin()
        async with line_to(second.url, await admin.rest.token()) as line:
            await first.system(RevokeRole(user_id=admin.id, role=Role.ADMIN))
            async with asyncio.timeout(WITHIN_S):
                assert await line.end() == (4003, "token_expired")


async def test_sessions_are_listed_and_revoked_on_every_socket(server: Site) -> None:
    ada = await server.person("Ada")
    phone = await server.sign_in(ada.me.email)
    async with (
        line_to(server.url, await ada.rest.token()) as here,
        line_to(server.url, await phone.rest.token()) as there,
    ):
        await here.send(frame="query", id="q", name="auth.sessions", data={})
        sessions = (await here.answer("q"))["data"]["sessions"]
        (elsewhere,) = [one["id"] for one in sessions if not one["current"]]

        await here.send(frame="command", id="c", name="auth.revoke_session", data={"session_id": elsewhere})

        assert (await here.answer("c"))["frame"] == "reply"
        assert await there.end() == (4503, "revoked")
        await here.send(frame="query", id="again", name="auth.sessions", data={})
        assert len((await here.answer("again"))["data"]["sessions"]) == 1


async def test_nobody_revokes_the_session_of_somebody_else(server: Site) -> None:
    ada, eve = await server.people("Ada", "Eve")
    theirs = (await ada.call(Sessions())).sessions[0].id
    async with line_to(server.url, await eve.rest.token()) as line:
        await line.send(frame="command", id="c", name="auth.revoke_session", data={"session_id": str(theirs)})
        assert (await line.answer("c"))["code"] == "not_found"
    assert (await ada.call(CurrentUser())).id == ada.id


async def test_a_refresh_prolongs_and_another_users_token_closes(server: Site) -> None:
    ada, eve = await server.people("Ada", "Eve")
    async with line_to(server.url, await ada.rest.token()) as line:
        await line.send(frame="refresh", id="r", token=await ada.rest.token())
        assert (await line.answer("r"))["frame"] == "reply"
        await line.send(frame="refresh", id="bad", token="no.such.token")
        assert (await line.answer("bad"))["code"] == "unauthenticated"
        await line.send(frame="refresh", id="eve", token=await eve.rest.token())
        assert await line.end() == (4501, "invalid_token")

"""A revoked session ends everywhere: on all its connections, and on the other nodes of the database."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from protocol.roles import Role
from protocol.user.commands import RevokeRole, RevokeSessions
from protocol.user.views import CurrentUser, Sessions
from tests.support.live_server import connect_client
from tests.support.server import Site, make_config, open_site

#: Nodes look for revocations every 2 s.
WITHIN_S = 5


@asynccontextmanager
async def two_nodes(dsn: str, folder: Path) -> AsyncIterator[tuple[Site, Site]]:
    """Two servers with one database and the same keys."""
    async with open_site(dsn, make_config(folder / "a")) as first:
        shutil.copytree(folder / "a" / "keys", folder / "b" / "keys")
        async with open_site(dsn, make_config(folder / "b")) as second:
            yield first, second


async def test_revoking_a_session_closes_its_websockets_on_other_nodes_within_seconds(
    database_dsn: str, tmp_path: Path
) -> None:
    async with two_nodes(database_dsn, tmp_path) as (first, second):
        ada = await first.person("Ada")
        phone = await first.sign_in(ada.me.email)
        async with (
            connect_client(second.url, await phone.rest.token()) as lost,
            connect_client(second.url, await ada.rest.token()) as kept,
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


async def test_revoking_a_role_on_one_node_expires_the_tokens_on_another(database_dsn: str, tmp_path: Path) -> None:
    async with two_nodes(database_dsn, tmp_path) as (first, second):
        admin = await first.admin()
        async with connect_client(second.url, await admin.rest.token()) as client:
            await first.system(RevokeRole(user_id=admin.id, role=Role.ADMIN))
            async with asyncio.timeout(WITHIN_S):
                assert await client.end() == (4003, "token_expired")


async def test_sessions_are_listed_and_revoked_over_a_websocket(server: Site) -> None:
    ada = await server.person("Ada")
    phone = await server.sign_in(ada.me.email)
    async with (
        connect_client(server.url, await ada.rest.token()) as here,
        connect_client(server.url, await phone.rest.token()) as there,
    ):
        await here.send(frame="query", id="q", name="auth.sessions", data={})
        sessions = (await here.answer("q"))["data"]["sessions"]
        (elsewhere,) = [one["id"] for one in sessions if not one["current"]]

        await here.send(frame="command", id="c", name="auth.revoke_session", data={"session_id": elsewhere})

        assert (await here.answer("c"))["frame"] == "reply"
        assert await there.end() == (4503, "revoked")
        await here.send(frame="query", id="again", name="auth.sessions", data={})
        assert len((await here.answer("again"))["data"]["sessions"]) == 1


async def test_a_user_cannot_revoke_the_session_of_another(server: Site) -> None:
    ada, eve = await server.people("Ada", "Eve")
    theirs = (await ada.call(Sessions())).sessions[0].id
    async with connect_client(server.url, await eve.rest.token()) as client:
        await client.send(frame="command", id="c", name="auth.revoke_session", data={"session_id": str(theirs)})
        assert (await client.answer("c"))["code"] == "not_found"
    assert (await ada.call(CurrentUser())).id == ada.id


async def test_a_refresh_extends_the_session_and_another_users_token_closes_it(server: Site) -> None:
    ada, eve = await server.people("Ada", "Eve")
    async with connect_client(server.url, await ada.rest.token()) as client:
        await client.send(frame="refresh", id="r", token=await ada.rest.token())
        assert (await client.answer("r"))["frame"] == "reply"
        await client.send(frame="refresh", id="bad", token="no.such.token")
        assert (await client.answer("bad"))["code"] == "unauthenticated"
        await client.send(frame="refresh", id="eve", token=await eve.rest.token())
        assert await client.end() == (4501, "invalid_token")

"""An admin disables an account: its devices are signed out and nobody signs in, until it is enabled (rule P-18)."""

from tests.support.live_server import connect_client
from tests.support.server import PASSWORD, Person, Response, Site


async def sign_in(site: Site, person: Person, password: str = PASSWORD) -> Response:
    body = {"email": person.me.email, "password": password}
    return await site.request("POST", "/auth/signin/", None, body)


async def test_a_disabled_user_is_signed_out_and_refused_until_enabled(server: Site) -> None:
    ada, admin = await server.person("Ada"), await server.admin()
    token = await ada.rest.token()

    async with connect_client(server.url, token) as phone:
        done = await server.request("POST", f"/admin/users/{ada.id}/disable/", admin)
        assert await phone.end() == (4503, "revoked")

    assert done.status == 200
    assert (await server.request("GET", "/auth/current-user/", ada)).status == 401
    refused = await sign_in(server, ada)
    assert (refused.status, refused.json["code"]) == (403, "account_disabled")
    assert (await sign_in(server, ada, "a wrong password")).status == 401
    assert (await server.request("POST", f"/admin/users/{ada.id}/enable/", admin)).status == 200
    assert (await sign_in(server, ada)).status == 200
    await server.prove()


async def test_only_admins_disable_and_not_themselves(server: Site) -> None:
    ada, admin = await server.person("Ada"), await server.admin()

    by_user = await server.request("POST", f"/admin/users/{admin.id}/disable/", ada)
    by_self = await server.request("POST", f"/admin/users/{admin.id}/disable/", admin)

    assert (by_user.status, by_self.status) == (403, 403)
    assert (await sign_in(server, admin)).status == 200

"""Membership by invitation, over REST: before a person accepts, nothing of theirs is shown or changed (rule P-11)."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from protocol.business.commands import AcceptInvitation, AddMember, RegisterBusiness
from protocol.business.terms import INVITATION_LIFETIME, OWNED_MAX, MemberRole
from protocol.roles import Role
from tests.support.server import Market, Person, Site

SECOND = timedelta(seconds=1)


@pytest.fixture
async def market(server: Site) -> Market:
    """A business without staff."""
    return await server.market(staff=0, owner_serves=True)


async def invite(server: Site, market: Market, user_id: Any, role: str = "staff") -> dict[str, Any]:
    """Invite a user, with the body that has always added one; returns the reply."""
    path = f"/providers/{market.business_id}/members"
    answer = await server.request("POST", path, market.owner, {"user_id": str(user_id), "role": role})
    assert answer.status == 201, answer.json
    invitation: dict[str, Any] = answer.json
    return invitation


async def mine(server: Site, person: Person) -> list[dict[str, Any]]:
    """The open invitations of a user."""
    items: list[dict[str, Any]] = (await server.request("GET", "/invitations/", person)).json["items"]
    return items


async def theirs(server: Site, market: Market) -> list[tuple[str, str]]:
    """The invitations that the business sees: user and status."""
    answer = await server.request("GET", f"/providers/{market.business_id}/invitations", market.owner)
    return [(one["user_id"], one["status"]) for one in answer.json["items"]]


async def staff_names(server: Site, market: Market) -> list[str]:
    """The names that anyone can read without a token."""
    answer = await server.request("GET", f"/providers/{market.business_id}/staff")
    return [one["name"] for one in answer.json["items"]]


async def notifications(server: Site, person: Person) -> list[tuple[str, str]]:
    """Type and text of a user's notifications."""
    answer = await server.request("GET", "/notifications/", person)
    return [(one["type"], one["body"]) for one in answer.json["items"]]


async def test_nobody_reads_the_name_before_the_person_accepts(server: Site, market: Market) -> None:
    person = await server.person("Vera Private")

    reply = await invite(server, market, person.id)
    await server.at_rest()

    assert reply["status"] == "invited"
    assert "Vera" not in str(reply)
    assert await staff_names(server, market) == ["Olga Owner"]
    assert await theirs(server, market) == [(str(person.id), "invited")]


async def test_accepting_makes_a_member(server: Site, market: Market) -> None:
    person = await server.person("Vera Willing")
    reply = await invite(server, market, person.id)

    answer = await server.request("POST", f"/invitations/{reply['invitation_id']}/accept", person)
    await server.at_rest()

    assert (answer.status, answer.json["status"]) == (200, "accepted")
    assert await staff_names(server, market) == ["Olga Owner", "Vera Willing"]
    assert (await person.rest.act_as(Role.STAFF)).user.business_id == market.business_id
    assert await mine(server, person) == []
    assert await theirs(server, market) == []


async def test_the_next_sign_in_acts_as_before(server: Site, market: Market) -> None:
    person = await server.person("Vera Customer")
    reply = await invite(server, market, person.id, "employee")
    assert (await server.sign_in(person.me.email)).me.role is Role.CUSTOMER

    await server.request("POST", f"/invitations/{reply['invitation_id']}/accept", person)
    await server.at_rest()

    again = await server.sign_in(person.me.email)
    assert (again.me.role, set(again.me.roles)) == (Role.CUSTOMER, {Role.CUSTOMER, Role.EMPLOYEE})


async def test_inviting_and_withdrawing_ends_no_session(server: Site, market: Market) -> None:
    person = await server.person("Vera Undisturbed")
    await server.connect(person)
    reply = await invite(server, market, person.id)
    invitation = f"/providers/{market.business_id}/invitations/{reply['invitation_id']}"

    assert (await server.request("DELETE", invitation, market.owner)).status == 200
    await server.at_rest()

    assert await mine(server, person) == []
    assert (await server.request("GET", "/notifications/", person)).status == 200
    roles = await server.node.pool.fetchval(
        "SELECT count(*) FROM journal WHERE kind = 'user' AND id = $1 AND type LIKE 'role.%'", person.id
    )
    assert roles == 0


async def test_the_same_person_is_not_invited_again_and_again(server: Site, market: Market) -> None:
    person = await server.person("Vera Declines")
    reply = await invite(server, market, person.id)
    await server.request("POST", f"/invitations/{reply['invitation_id']}/decline", person)
    await server.at_rest()
    assert await theirs(server, market) == [(str(person.id), "declined")]

    path, body = f"/providers/{market.business_id}/members", {"user_id": str(person.id), "role": "staff"}
    again = await server.request("POST", path, market.owner, body)

    assert (again.status, again.json["code"]) == (409, "already_invited")


async def test_invitations_of_strangers_never_cost_the_role_of_an_owner(server: Site, market: Market) -> None:
    person = await server.person("Vera Founder")
    others = [await server.market(staff=0) for _ in range(2)]
    for other in (market, *others):
        await invite(server, other, person.id)
    register = RegisterBusiness(name="Own", category_id="repair", city="Berlin", zone="Europe/Berlin", currency="EUR")

    registered = await person.call(register)
    await server.at_rest()

    tokens = await person.rest.act_as(Role.OWNER, registered.business_id)
    assert tokens.user.business_id == registered.business_id


async def test_a_business_that_its_owner_could_not_run_is_not_registered(server: Site) -> None:
    person = await server.person("Vera Collector")
    body = {"name": "Own", "category_id": "repair", "city": "Berlin", "zone": "Europe/Berlin", "currency": "EUR"}
    for _ in range(OWNED_MAX):
        assert (await server.request("POST", "/providers/register/", person, body)).status == 201

    answer = await server.request("POST", "/providers/register/", person, body)
    await server.at_rest()

    assert (answer.status, answer.json["code"]) == (429, "limit_reached")
    owned = await server.node.pool.fetchval("SELECT count(*) FROM businesses WHERE owner_id = $1", person.id)
    granted = await server.node.pool.fetchval(
        "SELECT count(*) FROM journal WHERE kind = 'user' AND id = $1 AND type = 'role.granted'", person.id
    )
    assert owned == granted == OWNED_MAX


async def test_a_user_who_does_not_exist_is_invited_alike(server: Site, market: Market) -> None:
    person = await server.person("Vera Real")
    real, unreal = [await invite(server, market, one) for one in (person.id, uuid4())]
    await server.at_rest()

    for reply in (real, unreal):
        del reply["invitation_id"], reply["user_id"], reply["expires_at"]
    assert real == unreal
    assert [status for _, status in await theirs(server, market)] == ["invited", "invited"]


async def test_the_invited_person_is_told_which_business_it_is(server: Site, market: Market) -> None:
    person = await server.person("Vera Informed")

    await invite(server, market, person.id)
    await server.at_rest()

    (invitation,) = await mine(server, person)
    assert (invitation["business_name"], invitation["role"]) == ("Workshop", "staff")
    assert [body for type_, body in await notifications(server, person) if type_ == "user.invited"] == [
        "Workshop invites you to join its team. You can accept or decline in the app."
    ]


async def test_an_invitation_is_for_one_person(server: Site, market: Market) -> None:
    person, other = await server.people("Vera Invited", "Otto Other")
    reply = await invite(server, market, person.id)

    answer = await server.request("POST", f"/invitations/{reply['invitation_id']}/accept", other)

    assert answer.status == 404


async def test_an_invitation_disappears_when_its_time_is_over(server: Site, market: Market) -> None:
    person = await server.person("Vera Late")
    reply = await invite(server, market, person.id)

    await server.advance(INVITATION_LIFETIME + SECOND)
    await server.at_rest()

    person, owner = await server.sign_in(person.me.email), await server.sign_in(market.owner.me.email)
    answer = await server.request("POST", f"/invitations/{reply['invitation_id']}/accept", person)
    assert answer.status == 404
    assert await mine(server, person) == []
    again = AddMember(business_id=market.business_id, user_id=person.id, role=MemberRole.STAFF)
    accepted = await owner.call(again)
    assert (await person.call(AcceptInvitation(invitation_id=accepted.invitation_id))).status == "accepted"

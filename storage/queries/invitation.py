"""Queries of invitations to a business, and the loaders of their facts."""

from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from protocol.business.facts import (
    InvitationAsk,
    InvitationRecord,
    InviteeAsk,
    InviteeRecord,
    OwnerAsk,
    OwnerRecord,
)
from protocol.business.rows import InvitationRow
from protocol.business.terms import INVITATIONS_MAX, INVITATIONS_OF_PERSON_MAX
from protocol.business.views import (
    InvitationList,
    InvitationView,
    ListInvitations,
    ListMyInvitations,
    MyInvitation,
    MyInvitations,
)
from protocol.errors import Forbidden, Unauthenticated
from protocol.ids import BusinessId
from protocol.roles import Principal
from storage.database import Pool
from storage.registry import Sources, answers, loads

_invitation = msgspec.json.Decoder(InvitationRow)

_MINE = f"""
SELECT i.id, i.business_id, b.name AS business_name, i.role, i.manager, i.invited_at, i.expires_at
  FROM invitations i JOIN businesses b ON b.id = i.business_id
 WHERE i.user_id = $1 AND i.status = 'invited'
 ORDER BY i.invited_at DESC, i.id DESC LIMIT {INVITATIONS_OF_PERSON_MAX}
"""


@answers(ListMyInvitations)
async def list_my_invitations(pool: Pool, query: ListMyInvitations, principal: Principal | None) -> MyInvitations:
    """Show the sender's open invitations. Raises: Unauthenticated."""
    if principal is None:
        raise Unauthenticated(reason="missing_token")
    rows = await pool.fetch(_MINE, principal.user_id)
    return MyInvitations(items=tuple(msgspec.convert(dict(row), MyInvitation) for row in rows))


_OF_BUSINESS = f"""
SELECT id, user_id, role, manager, status, invited_at, expires_at FROM invitations
 WHERE business_id = $1 ORDER BY invited_at DESC, id DESC LIMIT {INVITATIONS_MAX}
"""


@answers(ListInvitations)
async def list_invitations(pool: Pool, query: ListInvitations, principal: Principal | None) -> InvitationList:
    """Show the invitations of a business to its managers. Raises: Forbidden."""
    if principal is None or not principal.manages(query.business_id):
        raise Forbidden(reason="managers_only")
    rows = await pool.fetch(_OF_BUSINESS, query.business_id)
    items = tuple(msgspec.convert(dict(row), InvitationView) for row in rows)
    return InvitationList(business_id=query.business_id, items=items)


async def load_business_names(pool: Pool, business_ids: Sequence[BusinessId]) -> Mapping[BusinessId, str]:
    """The names of businesses."""
    rows = await pool.fetch("SELECT id, name FROM businesses WHERE id = ANY ($1)", business_ids)
    return {BusinessId(row["id"]): row["name"] for row in rows}


# Facts


@loads(InvitationRecord)
async def load_invitations(sources: Sources, asks: Sequence[InvitationAsk]) -> list[InvitationRecord]:
    """Read invitations, in the order asked for."""
    ids = [ask.invitation_id for ask in asks]
    rows = await sources.pool.fetch("SELECT id, to_jsonb(i)::text AS row FROM invitations i WHERE id = ANY ($1)", ids)
    found = {row["id"]: _invitation.decode(row["row"]) for row in rows}
    return [InvitationRecord(row=found.get(one)) for one in ids]


@loads(InviteeRecord)
async def load_invitees(sources: Sources, asks: Sequence[InviteeAsk]) -> list[InviteeRecord]:
    """Read the places that people's open invitations take, in the order asked for."""
    ids = [ask.user_id for ask in asks]
    rows = await sources.pool.fetch(
        "SELECT user_id, array_agg(place) AS taken FROM invitations"
        " WHERE user_id = ANY ($1) AND status = 'invited' GROUP BY user_id",
        ids,
    )
    found: dict[UUID, tuple[int, ...]] = {row["user_id"]: tuple(row["taken"]) for row in rows}
    return [InviteeRecord(taken=found.get(one, ())) for one in ids]


@loads(OwnerRecord)
async def load_owners(sources: Sources, asks: Sequence[OwnerAsk]) -> list[OwnerRecord]:
    """Read how many businesses people own, in the order asked for."""
    ids = [ask.user_id for ask in asks]
    rows = await sources.pool.fetch(
        "SELECT owner_id, count(*) AS owned FROM businesses WHERE owner_id = ANY ($1) GROUP BY owner_id", ids
    )
    found: dict[UUID, int] = {row["owner_id"]: row["owned"] for row in rows}
    return [OwnerRecord(owned=found.get(one, 0)) for one in ids]

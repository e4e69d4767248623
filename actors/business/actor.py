"""A business: its settings, opening hours, members and services.

Owns the members with their rights, the invitations (``invitations.py``), the services and the staff who do them
(``services.py``), opening and working hours, and the list of blocked customers. Its events go to the owner, the
managers and the members concerned, and it sends each member's user actor the roles that they have here. Bookings read
the services when they are made and keep the agreed terms; the business sends them nothing.

    register ──▶ active ◀── update is_active ──▶ inactive (its services can be neither booked nor found)

    a member:   invited ── accepts ──▶ active ◀─ update ─▶ … ── remove ──▶ inactive (may be invited again);
                the owner stays
"""

from collections.abc import Iterable
from typing import ClassVar, TypeVar

from msgspec import UNSET, Struct, UnsetType
from msgspec.structs import asdict, replace

from actors.actor import Actor, actor, handles
from actors.business import invitations, leaving, services
from actors.business.membership import grant, put_member
from actors.business.permissions import emit_to_managers, managers_only, owner_only
from actors.business.state import BusinessState, Member, after
from actors.business.validation import Validator, business_row, changes
from actors.records import records_of
from actors.rules.commission import COMMISSION_BP_DEFAULT
from protocol.business.commands import (
    BlockCustomer,
    RegisterBusiness,
    RemoveMember,
    SetAvailability,
    SetOpeningHours,
    UnblockCustomer,
    UpdateBusiness,
    UpdateMember,
)
from protocol.business.events import (
    BusinessAvailabilityChanged,
    BusinessCustomerBlocked,
    BusinessCustomerUnblocked,
    BusinessHoursChanged,
    BusinessMemberChanged,
    BusinessMemberRemoved,
    BusinessRegistered,
    BusinessUpdated,
)
from protocol.business.facts import BusinessRecord, MemberAsk, MemberRecord, OwnerAsk, OwnerRecord
from protocol.business.rows import BlockedPairRow, BusinessMemberRow, BusinessRow
from protocol.business.terms import OWNED_MAX, OWNED_PLACE, OwnerStays
from protocol.business.views import BusinessReply, MemberRemovedReply, MemberReply
from protocol.errors import Forbidden, LimitReached, NotFound
from protocol.ids import BusinessId, Kind, Ref, ServiceId, UserId
from protocol.registry import Command
from protocol.roles import Role
from protocol.user.commands import RevokeRole

#: Fields of ``UpdateBusiness`` that are copied into the row.
_SETTINGS = (
    *("name", "category_id", "description", "city", "zone", "latitude", "longitude"),
    *("lead_time_minutes", "auto_approve", "is_active"),
)

R = TypeVar("R", BusinessRow, BusinessMemberRow)


def _own_id(business: Actor[BusinessState], cmd: Command) -> BusinessId:
    return BusinessId(business.actor_id)


def _owner_ask(business: Actor[BusinessState], cmd: RegisterBusiness) -> OwnerAsk:
    return OwnerAsk(business.principal.user_id)


def _member_ask(business: Actor[BusinessState], cmd: UpdateMember | RemoveMember) -> MemberAsk:
    return MemberAsk(BusinessId(business.actor_id), cmd.user_id)


def _availability_ask(business: Actor[BusinessState], cmd: SetAvailability) -> MemberAsk:
    return MemberAsk(BusinessId(business.actor_id), cmd.staff_id or business.principal.user_id)


@actor(Kind.BUSINESS)
class Business(Actor[BusinessState]):
    """One business; its services are a part of their own."""

    state_type: ClassVar[type[Struct]] = BusinessState
    parts = (invitations, leaving, services, records_of(Kind.BUSINESS))

    # Settings

    @handles(RegisterBusiness, facts=OwnerRecord, asks=_owner_ask)
    def register(self, cmd: RegisterBusiness, facts: OwnerRecord) -> BusinessReply:
        """Register the business; the sender becomes its owner. Raises: Invalid, LimitReached."""
        check = Validator()
        check.names(name=cmd.name, city=cmd.city)
        check.category(cmd.category_id)
        check.zone(cmd.zone)
        check.currency(cmd.currency)
        check.place(cmd.latitude, cmd.longitude)
        hours = check.hours("hours", cmd.hours, cmd.zone)
        check.raise_problems()
        assert hours is not None, "checked"
        if facts.owned >= OWNED_MAX:
            raise LimitReached(limit="businesses", max=OWNED_MAX)
        owner_id = self.principal.user_id
        self.claim_key(OWNED_PLACE, f"{owner_id}/{facts.owned}")
        self.emit(
            BusinessRegistered(
                owner_id=owner_id,
                serves=cmd.owner_serves,
                category=cmd.category_id,
                zone=cmd.zone,
                currency=cmd.currency,
                commission_bp=COMMISSION_BP_DEFAULT,
            )
        )
        self.put(business_row(cmd, self._id, owner_id, hours, self.now))
        put_member(self, owner_id, bio="", working=None)
        grant(self, owner_id)
        return self._reply()

    @handles(UpdateBusiness, facts=BusinessRecord, asks=_own_id)
    def update(self, cmd: UpdateBusiness, facts: BusinessRecord) -> BusinessReply:
        """Change settings. Raises: Invalid, Forbidden, NotFound."""
        if self.principal.role is not Role.ADMIN:
            managers_only(self)
        elif not self.exists:
            raise NotFound(entity="business", id=str(self.actor_id))
        row = _own(facts.row)
        changed = changes(cmd, row, _SETTINGS)
        updated = replace(row, **changed)
        check = Validator()
        check.names(name=cmd.name, city=cmd.city)
        check.category(cmd.category_id)
        check.zone(cmd.zone)
        check.currency(cmd.currency, self.state.currency)
        check.place(updated.latitude, updated.longitude)
        check.raise_problems()
        if changed:
            updated = replace(updated, hours=replace(row.hours, zone=updated.zone))
            self.emit(BusinessUpdated(fields=tuple(changed), zone=updated.zone, is_active=updated.is_active))
            self.put(updated)
            self._move_clocks(updated.zone, facts.members)
        return self._reply()

    @handles(SetOpeningHours, facts=BusinessRecord, asks=_own_id)
    def set_opening_hours(self, cmd: SetOpeningHours, facts: BusinessRecord) -> BusinessReply:
        """Set the opening hours. Raises: Invalid, Forbidden."""
        managers_only(self)
        check = Validator()
        hours = check.hours("hours", cmd.hours, self.state.zone)
        check.raise_problems()
        assert hours is not None, "checked"
        self.emit(BusinessHoursChanged(), to=self.state.members)
        self.put(replace(_own(facts.row), hours=hours))
        return self._reply()

    # Members

    @handles(UpdateMember, facts=MemberRecord, asks=_member_ask)
    def update_member(self, cmd: UpdateMember, facts: MemberRecord) -> MemberReply:
        """Change a member's role, rights or bio. Raises: Invalid, Forbidden, NotFound, OwnerStays."""
        was = self._member(cmd.user_id)
        becomes = self._becomes(cmd, was)
        if becomes != was or cmd.user_id != self.principal.user_id:
            managers_only(self)
        if becomes.manager != was.manager or (was.manager and cmd.user_id != self.principal.user_id):
            owner_only(self)
        row = _own(facts.row)
        bio = row.bio if isinstance(cmd.bio, UnsetType) else cmd.bio
        if becomes == was and bio == row.bio:
            return self._member_reply(cmd.user_id)
        rights = asdict(becomes)
        emit_to_managers(self, BusinessMemberChanged(user_id=cmd.user_id, **rights), cmd.user_id)
        self.put(replace(row, bio=bio, **rights))
        if was.serves and not becomes.serves:
            self._end_offers(cmd.user_id, facts.service_ids)
            if not becomes.manager:
                leaving.release_leaver(self, cmd.user_id)
        if becomes.role is not was.role:
            self._revoke(cmd.user_id, was.role)
        if (becomes.role, becomes.manager) != (was.role, was.manager):
            grant(self, cmd.user_id)
        return self._member_reply(cmd.user_id)

    @handles(RemoveMember, facts=MemberRecord, asks=_member_ask)
    def remove_member(self, cmd: RemoveMember, facts: MemberRecord) -> MemberRemovedReply:
        """Remove a member, or leave the business. Raises: Forbidden, NotFound, OwnerStays."""
        member = self._member(cmd.user_id)
        if cmd.user_id != self.principal.user_id:
            managers_only(self)
            if member.manager:
                owner_only(self)
        if cmd.user_id == self.state.owner_id:
            raise OwnerStays()
        emit_to_managers(self, BusinessMemberRemoved(user_id=cmd.user_id), cmd.user_id)
        self.put(replace(_own(facts.row), active=False, manager=False))
        self._end_offers(cmd.user_id, facts.service_ids)
        self._revoke(cmd.user_id, member.role)
        leaving.release_leaver(self, cmd.user_id)
        return MemberRemovedReply(**asdict(self._reply()), open_bookings=facts.open_bookings)

    @handles(SetAvailability, facts=MemberRecord, asks=_availability_ask)
    def set_availability(self, cmd: SetAvailability, facts: MemberRecord) -> MemberReply:
        """Set a member's working hours. Raises: Invalid, Forbidden, NotFound."""
        user_id = cmd.staff_id or self.principal.user_id
        self._member(user_id)
        if user_id != self.principal.user_id:
            managers_only(self)
        check = Validator()
        working = check.hours("working", cmd.working, self.state.zone)
        check.raise_problems()
        emit_to_managers(self, BusinessAvailabilityChanged(user_id=user_id), user_id)
        self.put(replace(_own(facts.row), working=working))
        return self._member_reply(user_id)

    # Customers

    @handles(BlockCustomer)
    def block_customer(self, cmd: BlockCustomer) -> None:
        """Block a customer. Raises: Forbidden."""
        managers_only(self)
        self.emit(BusinessCustomerBlocked(customer_id=cmd.customer_id))
        self.put(BlockedPairRow(business_id=self._id, customer_id=cmd.customer_id, blocked_at=self.now))

    @handles(UnblockCustomer)
    def unblock_customer(self, cmd: UnblockCustomer) -> None:
        """Unblock a customer. Raises: Forbidden."""
        managers_only(self)
        self.emit(BusinessCustomerUnblocked(customer_id=cmd.customer_id))
        self.drop("blocked_pairs", business_id=self._id, customer_id=cmd.customer_id)

    # Guards

    def _member(self, user_id: UserId) -> Member:
        """The member of that id, if the sender is a member too. Raises: NotFound, Forbidden."""
        if self.principal.user_id not in self.state.members:
            raise Forbidden(reason="members_only")
        member = self.state.members.get(user_id)
        if member is None:
            raise NotFound(entity="member", id=str(user_id))
        return member

    def _becomes(self, cmd: UpdateMember, was: Member) -> Member:
        """The member after the update. Raises: Invalid, OwnerStays."""
        role = was.role if isinstance(cmd.role, UnsetType) else Role(cmd.role)
        if cmd.user_id == self.state.owner_id:
            if role is not Role.OWNER or cmd.manager is False:
                raise OwnerStays()
            return Member(role, True, was.serves if isinstance(cmd.serves, UnsetType) else cmd.serves)
        kept = was.manager and role is was.role
        manager = kept if isinstance(cmd.manager, UnsetType) else cmd.manager
        check = Validator()
        check.manager_right(role, manager)
        serves = role is Role.STAFF
        if cmd.serves not in (UNSET, serves):
            check.add("serves", "follows_role")
        check.raise_problems()
        return Member(role, manager, serves)

    # Effects

    def _move_clocks(self, zone: str, members: Iterable[BusinessMemberRow]) -> None:
        """Move working hours to a new zone of the business; the local times stay."""
        for member in members:
            if member.working is not None and member.working.zone != zone:
                self.put(replace(member, working=replace(member.working, zone=zone)))

    def _end_offers(self, user_id: UserId, service_ids: Iterable[ServiceId]) -> None:
        for service_id in service_ids:
            self.drop("service_staff", service_id=service_id, staff_id=user_id)

    def _revoke(self, user_id: UserId, role: Role) -> None:
        self.send(Ref(Kind.USER, user_id), RevokeRole(user_id=user_id, role=role, business_id=self._id))

    # What follows from the state

    @property
    def _id(self) -> BusinessId:
        return BusinessId(self.actor_id)

    def audience(self) -> Iterable[UserId]:
        """The owner and the managers."""
        return self.state.managers()

    def _reply(self) -> BusinessReply:
        state = self.state
        return BusinessReply(
            business_id=self._id,
            owner_id=state.owner_id,
            zone=state.zone,
            currency=state.currency,
            is_active=state.is_active,
        )

    def _member_reply(self, user_id: UserId) -> MemberReply:
        member = self.state.members[user_id]
        return MemberReply(
            business_id=self._id,
            user_id=user_id,
            role=member.role,
            manager=member.manager,
            serves=member.serves,
        )

    evolve = staticmethod(after)


def _own(row: R | None) -> R:
    """Assert that a row of the actor's own exists, as it was written with the state."""
    assert row is not None, "the state names something without a row"
    return row

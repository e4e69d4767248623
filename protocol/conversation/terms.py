"""Terms of conversations: bounds, enums, small structs and refusals."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.ids import BusinessId, UserId
from protocol.roles import ANYONE, PROVIDERS, Principal, Role

MEMBERS_MAX = 64


TEXT_CHARS_MAX = 4000


#: How long after its end a job's conversation becomes read-only (rule T-5).
READ_ONLY_AFTER = timedelta(hours=48)


#: Unread messages are counted among this many newest ones; a client shows "99+".
UNREAD_MAX = 100


#: Characters of the last message that a list of conversations shows.
PREVIEW_CHARS_MAX = 200


#: The text of a message. Its length is counted in code points.
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]


class ConversationKind(StrEnum):
    """The kinds of conversation."""

    #: Tied to a booking; its id is the booking's.
    CUSTOMER_STAFF = "customer_staff"
    CUSTOMER_BUSINESS = "customer_business"
    STAFF_OWNER = "staff_owner"
    ADMIN = "admin"


#: The roles of members by kind of conversation. A member sees it while acting in that role.
ROLES_IN: dict[ConversationKind, frozenset[Role]] = {
    ConversationKind.CUSTOMER_STAFF: frozenset({Role.CUSTOMER, Role.STAFF, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.CUSTOMER_BUSINESS: frozenset({Role.CUSTOMER, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.STAFF_OWNER: frozenset({Role.STAFF, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.ADMIN: ANYONE,
}


def roles_seen(principal: Principal) -> frozenset[Role]:
    """The roles of members in which the principal sees conversations now, by the active role (rule T-2).

    An owner or employee who does jobs, but does not have the role staff, sees the conversations of those jobs as well.
    """
    if principal.role in PROVIDERS and Role.STAFF not in principal.roles:
        return frozenset({principal.role, Role.STAFF})
    return frozenset({principal.role})


def takes_part(principal: Principal, role: Role, business_id: BusinessId | None) -> bool:
    """Whether the principal acts as a member with this role of a conversation of this business (rule T-2).

    Members of a business take part only while they act for it, which only present members can.
    """
    if role is not principal.role and role not in roles_seen(principal):
        return False
    return business_id is None or role not in PROVIDERS or principal.business_id == business_id


class Participant(Struct, frozen=True, kw_only=True):
    """A member of a conversation, with their role in it."""

    user_id: UserId
    role: Role

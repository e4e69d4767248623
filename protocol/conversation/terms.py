"""Terms of conversations: bounds, enums, small structs and refusals."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from protocol.ids import UserId
from protocol.roles import ANYONE, PROVIDERS, Principal, Role

MEMBERS_MAX = 64


TEXT_CHARS_MAX = 4000


#: A job's thread becomes read-only so long after the job has ended (rule T-5).
READ_ONLY_AFTER = timedelta(hours=48)


#: Unread messages are counted among the newest so many; a client shows "99+".
UNREAD_MAX = 100


#: Of the last message, a thread in a list shows so much.
PREVIEW_CHARS_MAX = 200


#: What is written, as typed. Counted in code points.
Text = Annotated[str, Meta(min_length=1, max_length=TEXT_CHARS_MAX)]


class ConversationKind(StrEnum):
    """Who talks to whom in a thread."""

    #: Tied to a booking; its id is the booking's.
    CUSTOMER_STAFF = "customer_staff"
    CUSTOMER_BUSINESS = "customer_business"
    STAFF_OWNER = "staff_owner"
    ADMIN = "admin"


#: As what somebody can be in a thread of each kind. Whoever is in it as staff finds it when acting as staff, and so on.
ROLES_IN: dict[ConversationKind, frozenset[Role]] = {
    ConversationKind.CUSTOMER_STAFF: frozenset({Role.CUSTOMER, Role.STAFF}),
    ConversationKind.CUSTOMER_BUSINESS: frozenset({Role.CUSTOMER, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.STAFF_OWNER: frozenset({Role.STAFF, Role.OWNER, Role.EMPLOYEE}),
    ConversationKind.ADMIN: ANYONE,
}


def roles_seen(principal: Principal) -> frozenset[Role]:
    """As what somebody must be in a thread to see it now: the active role decides (rule T-2).

    An owner or employee who does jobs, but has no role of staff to switch to, sees the threads of those jobs as well.
    """
    if principal.role in PROVIDERS and Role.STAFF not in principal.roles:
        return frozenset({principal.role, Role.STAFF})
    return frozenset({principal.role})


class Participant(Struct, frozen=True, kw_only=True):
    """A member of a thread, and as what."""

    user_id: UserId
    role: Role

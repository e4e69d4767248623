"""Roles, and the principal of a verified token."""

from enum import StrEnum

from msgspec import Struct

from protocol.ids import BusinessId, SessionId, UserId


class Role(StrEnum):
    """The roles of users. A user has a set of them; a token has one active role (rule P-1)."""

    CUSTOMER = "customer"
    STAFF = "staff"
    EMPLOYEE = "employee"
    OWNER = "owner"
    ADMIN = "admin"
    SYSTEM = "system"

    __hash__ = str.__hash__  # in C, while Enum's is not


#: All users with an account.
ANYONE = frozenset({Role.CUSTOMER, Role.STAFF, Role.EMPLOYEE, Role.OWNER, Role.ADMIN})
#: Those who book.
CUSTOMERS = frozenset({Role.CUSTOMER})
#: Members of a business.
PROVIDERS = frozenset({Role.STAFF, Role.EMPLOYEE, Role.OWNER})
#: No token needed.
PUBLIC: frozenset[Role] = frozenset()
#: Only the server itself: timers, messages between actors, verified webhooks.
INTERNAL = frozenset({Role.SYSTEM})


class Principal(Struct, frozen=True, kw_only=True):
    """The sender of a command, as given by the verified token."""

    user_id: UserId
    role: Role
    roles: frozenset[Role]
    #: The business acted for; None for customers and admins.
    business_id: BusinessId | None = None
    #: An employee with the manager right, or the owner.
    manager: bool = False
    session_id: SessionId | None = None

    def manages(self, business_id: BusinessId) -> bool:
        """Whether the principal is a manager (rule P-2) of this business."""
        return self.manager and self.business_id == business_id

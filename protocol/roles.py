"""Who may do things: roles, and the principal that a verified token stands for."""

from enum import StrEnum

from msgspec import Struct

from protocol.ids import BusinessId, SessionId, UserId


class Role(StrEnum):
    """What somebody acts as. A user has a set of them; a token has one that is active (rule P-1)."""

    CUSTOMER = "customer"
    STAFF = "staff"
    EMPLOYEE = "employee"
    OWNER = "owner"
    ADMIN = "admin"
    SYSTEM = "system"

    __hash__ = str.__hash__  # in C, while Enum's is not


#: Everybody with an account.
ANYONE = frozenset({Role.CUSTOMER, Role.STAFF, Role.EMPLOYEE, Role.OWNER, Role.ADMIN})
#: Whoever buys.
CUSTOMERS = frozenset({Role.CUSTOMER})
#: Whoever works for a business.
PROVIDERS = frozenset({Role.STAFF, Role.EMPLOYEE, Role.OWNER})
#: No token needed.
PUBLIC: frozenset[Role] = frozenset()
#: Only the server itself: timers, messages between actors, verified webhooks.
INTERNAL = frozenset({Role.SYSTEM})


class Principal(Struct, frozen=True, kw_only=True):
    """Whoever sends a command, as the verified token says."""

    user_id: UserId
    role: Role
    roles: frozenset[Role]
    #: The business acted for; None for customers and admins.
    business_id: BusinessId | None = None
    #: An employee with the manager right, or the owner.
    manager: bool = False
    session_id: SessionId | None = None

    def manages(self, business_id: BusinessId) -> bool:
        """Whether the principal is a manager (rule P-2) of this very business."""
        return self.manager and self.business_id == business_id

"""Users: the actor, and its state."""

from actors.user.actor import User
from actors.user.state import UserState

__all__ = ["User", "UserState"]

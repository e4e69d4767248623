"""Views of signing in, and the queries that return them."""

from protocol.confidential import Confidential
from protocol.registry import View
from protocol.user.views import UserView


class Tokens(Confidential, View, frozen=True, kw_only=True):
    """An access token, the refresh token that gets the next one, and whose they are."""

    access_token: str
    #: None when the one that the client has stays in force.
    refresh_token: str | None
    token_type: str = "Bearer"
    #: Seconds until the access token expires.
    expires_in_s: int
    user: UserView


class CodeStep(View, frozen=True, kw_only=True):
    """How far it is with a code."""

    #: The code was right, or none was needed. False: look for it where it goes; whether one goes out is not said.
    done: bool
    #: How long a code that goes out now holds.
    expires_in_s: int | None = None

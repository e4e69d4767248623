"""Views of signing in, and the queries that return them."""

from protocol.confidential import Confidential
from protocol.registry import View
from protocol.user.views import UserView


class Tokens(Confidential, View, frozen=True, kw_only=True):
    """An access token, its refresh token, and their user."""

    access_token: str
    #: None: the client's present one stays valid.
    refresh_token: str | None
    token_type: str = "Bearer"
    #: Seconds until the access token expires, under OAuth's name (RFC 6749 §5.1).
    expires_in: int
    #: The same as ``expires_in``.
    expires_in_s: int
    user: UserView


class CodeStep(View, frozen=True, kw_only=True):
    """The state of a verification by code."""

    #: Whether the code was right, or none was needed. False: the client asks for a code; it may be on its way.
    done: bool
    #: Seconds for which a code sent now is valid.
    expires_in_s: int | None = None
    #: To be sent with the code, for a new password only.
    request_id: str | None = None

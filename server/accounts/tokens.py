"""Access tokens: made from the user actor's grant, and verified on every request in one or two microseconds.

A token is a JWT signed with Ed25519. Checking the signature takes about 100 µs, so verified tokens are cached until
they expire. Revocations of the session and of the user's roles are checked each time.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import jwt
import msgspec
from msgspec import Struct

from actors.runtime.call import Published
from protocol.errors import Unauthenticated
from protocol.events import Event
from protocol.ids import BusinessId, SessionId, UserId
from protocol.roles import Principal, Role
from protocol.user.events import RoleGranted, RoleRevoked, SessionEnded, SessionRevoked
from protocol.user.views import SessionGrant
from server.accounts.keys import SigningKeys
from server.accounts.limits import TOKEN_BYTES_MAX, TOKENS_CACHED_MAX
from server.accounts.revocations import Revocations

ISSUER = "guildwire"
ALGORITHM = "EdDSA"
#: What the library checks; types are checked by ``Claims``, and times against our own clock.
_CHECKS: Any = {
    "require": ["sub", "sid", "iat", "exp", "iss"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_aud": False,  # by ``_decode``
}
#: The header's ``typ``, so that no other token signed with these keys is taken for one (RFC 9068 §2.1).
TOKEN_TYPE = "at+jwt"


class Claims(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The claims of a token, by their names on the wire."""

    iss: str
    #: The servers that accept it; None: made by a version that did not name them.
    aud: str | None = None
    sub: UserId
    #: The session.
    sid: SessionId
    role: Role
    roles: tuple[Role, ...]
    #: The acting business.
    biz: BusinessId | None = None
    #: Whether the user is a manager there.
    mgr: bool = False
    #: The user's ``roles_version``.
    rv: int = 0
    iat: int
    exp: int


class Verified(Struct, frozen=True):
    """The content of a token with a valid signature."""

    principal: Principal
    session_id: SessionId
    roles_version: int
    #: Seconds since 1970.
    issued_at: float
    expires_at: float


class TokenService:
    """Issues and verifies the access tokens of this node.

    Args:
        lifetime_s: how long a token is valid; a revoked one is refused at once.
        now: seconds since 1970 by the wall clock, which the movable clock of development does not change.
    """

    def __init__(
        self,
        keys: SigningKeys,
        *,
        lifetime_s: int,
        issuer: str = ISSUER,
        now: Callable[[], float] = time.time,
        cached_max: int = TOKENS_CACHED_MAX,
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self.lifetime_s = lifetime_s
        self._now = now
        self._cached_max = cached_max
        self._cache: dict[str, Verified] = {}
        self._revocations = Revocations(lifetime_s, now)
        #: Called for each session that ended or was revoked; its connections have to be closed.
        self.on_revoked: Callable[[UserId, SessionId], None] = lambda user_id, session_id: None
        #: Called for each user whose roles changed; the tokens of their connections are no longer valid.
        self.on_invalidated: Callable[[UserId], None] = lambda user_id: None
        #: Called when a key with unexpired tokens was retired; connections have to reauthenticate.
        self.on_retired: Callable[[], None] = lambda: None
        #: Key id → when the last of its tokens that were seen here expires.
        self._needed_until: dict[str, float] = {}
        self._handlers: Mapping[type[Event], Callable[[UserId, Any], None]] = {
            SessionEnded: lambda user_id, event: self._revoke(user_id, event.session_id),
            SessionRevoked: lambda user_id, event: self._revoke(user_id, event.session_id),
            RoleRevoked: lambda user_id, event: self._invalidate(user_id, event.roles_version),
            RoleGranted: lambda user_id, event: self._invalidate(user_id, event.roles_version),
        }

    def issue(self, user_id: UserId, grant: SessionGrant) -> str:
        """Make the token for a grant by the user's actor."""
        issued_at = int(self._now())
        claims = Claims(
            iss=self._issuer,
            aud=self._issuer,
            sub=user_id,
            sid=grant.session_id,
            role=grant.role,
            roles=grant.roles,
            biz=grant.business_id,
            mgr=grant.manager,
            rv=grant.roles_version,
            iat=issued_at,
            exp=issued_at + self.lifetime_s,
        )
        payload: dict[str, Any] = msgspec.to_builtins(claims)
        headers = {"kid": self._keys.key_id, "typ": TOKEN_TYPE}
        return jwt.encode(payload, self._keys.private, algorithm=ALGORITHM, headers=headers)

    def verify(self, token: str) -> Principal:
        """Return the principal of a token. Raises: Unauthenticated with a ``reason``: expired, invalid or revoked.

        A token issued before its user's roles changed counts as expired: the client refreshes it.
        """
        return self.read(token).principal

    def read(self, token: str) -> Verified:
        """Like ``verify``, with the session and the instant at which the token expires."""
        verified = self._cache.get(token)
        if verified is None:
            verified = self._decode(token)
            if verified.expires_at > self._now():
                if len(self._cache) >= self._cached_max:
                    del self._cache[next(iter(self._cache))]
                self._cache[token] = verified
        if self._revocations.has_session(verified.session_id):
            raise Unauthenticated(reason="revoked").about(verified.principal.user_id)
        user_id = verified.principal.user_id
        invalidated = self._revocations.invalidates(user_id, verified.roles_version, verified.issued_at)
        if invalidated or verified.expires_at <= self._now():
            self._cache.pop(token, None)
            raise Unauthenticated(reason="expired").about(user_id)
        return verified

    def use(self, keys: SigningKeys) -> None:
        """Sign and verify with these keys from now on; tokens signed by removed keys are no longer valid."""
        retired = self._keys.public.keys() - keys.public.keys()
        self._keys = keys
        if not retired:
            return
        self._cache.clear()
        if any(self._needed_until.pop(key_id, 0.0) > self._now() for key_id in retired):
            self.on_retired()

    def on_event(self, published: Published) -> None:
        """Apply a committed event of this node."""
        event = published.emitted.event
        handle = self._handlers.get(type(event))
        if handle is not None:
            handle(UserId(published.to.id), event)

    def restore(self, events: Sequence[tuple[UUID, Event]]) -> None:
        """Apply recent revocations, from before a restart or from other nodes; known ones have no effect."""
        for user_id, event in events:
            self._handlers[type(event)](UserId(user_id), event)

    def _revoke(self, user_id: UserId, session_id: SessionId) -> None:
        if self._revocations.add_session(session_id):
            self.on_revoked(user_id, session_id)

    def _invalidate(self, user_id: UserId, roles_version: int | None) -> None:
        if roles_version is not None and self._revocations.set_min_roles_version(user_id, roles_version):
            self.on_invalidated(user_id)

    def _decode(self, token: str) -> Verified:
        """Check size, key, signature, issuer, audience and types. Raises: Unauthenticated.

        A token of a version that named no audience counts as expired: the client refreshes it.
        """
        if len(token) > TOKEN_BYTES_MAX:
            raise Unauthenticated(reason="invalid")
        try:
            header = jwt.get_unverified_header(token)
            key_id = header["kid"]
            key = self._keys.public[key_id]
            payload = jwt.decode(token, key, algorithms=[ALGORITHM], issuer=self._issuer, options=_CHECKS)
            claims = msgspec.convert(payload, Claims)
        except (jwt.InvalidTokenError, msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
            raise Unauthenticated(reason="invalid") from error
        if claims.aud is None:
            raise Unauthenticated(reason="expired")
        if claims.aud != self._issuer or header.get("typ") != TOKEN_TYPE:
            raise Unauthenticated(reason="invalid")
        self._needed_until[key_id] = max(self._needed_until.get(key_id, 0.0), claims.exp)
        principal = Principal(
            user_id=claims.sub,
            role=claims.role,
            roles=frozenset(claims.roles),
            business_id=claims.biz,
            manager=claims.mgr,
            session_id=claims.sid,
        )
        return Verified(principal, claims.sid, claims.rv, claims.iat, claims.exp)

"""Who may send what, and how often: the checks before a request is decoded."""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp.web import BaseRequest

from protocol.errors import Forbidden, Unauthenticated
from protocol.registry import Declaration, Mode
from protocol.roles import Principal
from server.edge.addresses import limited_as
from server.edge.exchange import EXCHANGE
from server.edge.rates import Limiters


@dataclass(frozen=True, slots=True)
class Gate:
    """Authenticates requests, checks roles and counts against the rate limits."""

    authenticate: Callable[[str], Principal]
    limiters: Limiters

    def principal(self, request: BaseRequest) -> Principal:
        """Verify the bearer token. Raises: Unauthenticated."""
        header = request.headers.get("Authorization")
        if header is None:
            raise Unauthenticated(reason="missing_token")
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if not token or scheme.lower() != "bearer":
            raise Unauthenticated(reason="malformed_token")
        return self.authenticate(token)

    def admit(self, request: BaseRequest, declaration: Declaration) -> Principal:
        """Admit a user with a permitted role. Raises: Unauthenticated, Forbidden, LimitReached."""
        principal = self.principal(request)
        self.allow(principal, declaration)
        if declaration.mode is Mode.QUERY:
            self.limiters.query(principal.user_id)
        else:
            self.limiters.command(principal.user_id)
        return principal

    def count(self, principal: Principal, declaration: Declaration) -> None:
        """Count a decoded command against its own rate, if it has one. Raises: LimitReached."""
        if declaration.rate is not None:
            self.limiters.own(declaration, principal.user_id)

    def allow(self, principal: Principal, declaration: Declaration) -> None:
        """Check the active role. Raises: Forbidden."""
        if principal.role not in declaration.by:
            raise Forbidden(reason="role", role=principal.role, roles=sorted(declaration.by))

    def admit_public(self, request: BaseRequest, declaration: Declaration) -> Principal | None:
        """Admit anyone to a public route; the principal is None without a valid token. Raises: LimitReached."""
        if declaration.mode is Mode.PROCEDURE and (key := limited_as(request[EXCHANGE].address)) is not None:
            self.limiters.public.take(key)
        if "Authorization" not in request.headers:
            return None
        try:
            return self.principal(request)
        except Unauthenticated:
            # An expired token must not prevent signing in again.
            return None

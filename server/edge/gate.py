"""Authentication, role check and rate limits of a request."""

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
    """Admits requests by token, role and rate."""

    authenticate: Callable[[str], Principal]
    limiters: Limiters

    def principal(self, request: BaseRequest) -> Principal:
        """Verify the bearer token; a refusal is logged and counted. Raises: Unauthenticated."""
        try:
            return self._verified(request)
        except Unauthenticated as error:
            self.limiters.refusals.note("token", error, request[EXCHANGE].address)
            raise

    def _verified(self, request: BaseRequest) -> Principal:
        header = request.headers.get("Authorization")
        if header is None:
            raise Unauthenticated(reason="missing_token")
        scheme, _, token = header.partition(" ")
        token = token.strip()
        if not token or scheme.lower() != "bearer":
            raise Unauthenticated(reason="malformed_token")
        return self.authenticate(token)

    def admit(self, request: BaseRequest, declaration: Declaration) -> Principal:
        """Admit a user with a role that the declaration allows. Raises: Unauthenticated, Forbidden, LimitReached."""
        principal = self.principal(request)
        self.allow(principal, declaration)
        if declaration.mode is Mode.QUERY:
            self.limiters.query(principal.user_id)
        else:
            self.limiters.command(principal.user_id)
        return principal

    def count(self, principal: Principal, declaration: Declaration) -> None:
        """Count a command that has a rate of its own, once it is decoded. Raises: LimitReached."""
        if declaration.rate is not None:
            self.limiters.own(declaration, principal.user_id)

    def allow(self, principal: Principal, declaration: Declaration) -> None:
        """Check the active role. Raises: Forbidden."""
        if principal.role not in declaration.by:
            raise Forbidden(reason="role", role=principal.role, roles=sorted(declaration.by))

    def admit_public(self, request: BaseRequest, declaration: Declaration) -> Principal | None:
        """Admit a request to a public route; returns its principal if it has a valid token. Raises: LimitReached."""
        if declaration.mode is Mode.PROCEDURE and (key := limited_as(request[EXCHANGE].address)) is not None:
            self.limiters.public.take(key)
        principal = self._known(request)
        if declaration.mode is Mode.QUERY and declaration.rate is not None:
            caller = principal.user_id if principal else limited_as(request[EXCHANGE].address)
            self.limiters.own(declaration, caller)
        return principal

    def _known(self, request: BaseRequest) -> Principal | None:
        if "Authorization" not in request.headers:
            return None
        try:
            return self._verified(request)
        except Unauthenticated:
            # An expired token must not prevent signing in again.
            return None

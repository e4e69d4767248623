"""What a procedure gets of its request, beside its own struct."""

from dataclasses import dataclass

from protocol.roles import Principal


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One REST request, as a procedure sees it."""

    #: None for a public procedure that was called without a valid token.
    principal: Principal | None
    #: The client's address, also behind trusted proxies.
    address: str
    user_agent: str
    #: The client's preferred language among those supported.
    language: str
    request_id: str
    #: The Idempotency-Key, if the client gave one.
    key: str | None = None

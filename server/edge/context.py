"""The request that a procedure serves, beside its own struct."""

from dataclasses import dataclass

from protocol.roles import Principal


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What a procedure may read of a REST request."""

    #: None for a public procedure without a valid token.
    principal: Principal | None
    #: The client's address, behind trusted proxies too.
    address: str
    user_agent: str
    #: The supported language that the client prefers.
    language: str
    request_id: str
    #: The Idempotency-Key, if the client gave one.
    key: str | None = None

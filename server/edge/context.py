"""What a procedure knows of the request that it serves, beside its own struct."""

from dataclasses import dataclass

from protocol.roles import Principal


@dataclass(frozen=True, slots=True)
class RequestContext:
    """One REST request, as far as a procedure may care."""

    #: None for a public procedure that is called without a token, or with one that does not hold.
    principal: Principal | None
    #: The client's address, behind trusted proxies too.
    address: str
    user_agent: str
    #: The texts' language that the client asks for, of those that there are.
    language: str
    request_id: str
    #: The Idempotency-Key, if the client gave one.
    key: str | None = None

"""Procedures whose refusals are counted and logged."""

from collections.abc import Mapping
from typing import Any

from aiohttp.web import StreamResponse
from msgspec import Struct

from protocol.auth.procedures import (
    ChangePassword,
    Refresh,
    Register,
    ResetPassword,
    SignIn,
    VerifyEmail,
    VerifyPhone,
)
from protocol.code.terms import CodeInvalid
from protocol.errors import EmailTaken, Forbidden, LimitReached, Unauthenticated
from protocol.registry import Procedure
from protocol.user.terms import AccountDisabled
from server.edge.context import RequestContext
from server.edge.handlers import ProcedureHandler
from server.edge.refusals import Refusals

#: What a refusal of the procedure is named in the log and on /metrics.
WATCHED: Mapping[type[Procedure], str] = {
    Register: "sign_up",
    SignIn: "sign_in",
    Refresh: "refresh",
    VerifyPhone: "code",
    VerifyEmail: "code",
    ResetPassword: "code",
    ChangePassword: "password",
}
_REFUSED = (Unauthenticated, Forbidden, AccountDisabled, LimitReached, CodeInvalid, EmailTaken)


def watched(
    handlers: Mapping[type[Procedure], ProcedureHandler], refusals: Refusals
) -> dict[type[Procedure], ProcedureHandler]:
    """The handlers, with their refusals noted."""
    return {
        one: _watched(WATCHED[one], handle, refusals) if one in WATCHED else handle for one, handle in handlers.items()
    }


def _watched(what: str, handle: ProcedureHandler, refusals: Refusals) -> ProcedureHandler:
    async def watch(procedure: Any, context: RequestContext) -> Struct | StreamResponse:
        try:
            return await handle(procedure, context)
        except _REFUSED as error:
            user_id = None if context.principal is None else context.principal.user_id
            refusals.note(what, error, context.address, user_id)
            raise

    return watch

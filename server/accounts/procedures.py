"""Sign-up, sign-in, refresh and role switch: hashing and tokens, around commands to the user's actor.

No command contains a password or token: the actor gets hashes, and returns a grant without secrets.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

from msgspec import Struct

from actors.rules.texts import text_problem
from actors.runtime.turns import Runtime
from protocol.auth.procedures import ActAs, Refresh, Register, SignIn
from protocol.auth.views import Tokens
from protocol.errors import Busy, EmailTaken, Invalid, NotFound, Unauthenticated
from protocol.ids import SessionId, UserId
from protocol.registry import Procedure
from protocol.user.commands import OpenSession, RehashPassword, RotateSession, SignUp, SwitchRole
from protocol.user.terms import AccountDisabled
from protocol.user.views import Rotated, SessionGrant
from server.accounts.attempts import Attempts
from server.accounts.contact import normal_email, normal_phone
from server.accounts.passwords import Passwords, password_problem
from server.accounts.refresh import make_refresh_token, make_successor, parse_refresh_token
from server.accounts.sending import UserActors
from server.accounts.tokens import TokenService
from server.edge.context import RequestContext
from storage.database import Pool
from storage.queries.user import StoredPassword, find_password, load_revocations, load_user

#: Changes with each update of a browser.
_VERSION = re.compile(r"[0-9._]+")
DEVICE_MARK_BYTES = 16

Handler = Callable[[Any, RequestContext], Awaitable[Struct]]


class Accounts:
    """The procedures of accounts.

    Args:
        session_s: how long a session lasts without being refreshed.
    """

    def __init__(
        self,
        runtime: Runtime,
        pool: Pool,
        tokens: TokenService,
        passwords: Passwords,
        *,
        session_s: int,
        attempts: Attempts | None = None,
    ) -> None:
        self._runtime = runtime
        self._users = UserActors(runtime)
        self._pool = pool
        self._tokens = tokens
        self._passwords = passwords
        self._session_s = session_s
        self._attempts = attempts or Attempts()

    @property
    def procedures(self) -> Mapping[type[Procedure], Handler]:
        """The handlers, for the transports."""
        return {
            Register: self.register,
            SignIn: self.sign_in,
            Refresh: self.refresh,
            ActAs: self.act_as,
        }

    async def start(self) -> None:
        """Load recent revocations; to be awaited after events are subscribed to and before requests are served."""
        since = self._runtime.clock.now() - timedelta(seconds=self._tokens.lifetime_s)
        self._tokens.restore(await load_revocations(self._pool, since))

    async def register(self, procedure: Register, context: RequestContext) -> Tokens:
        """Make an account and sign in. Raises: Invalid, EmailTaken, Busy.

        A retry with the same Idempotency-Key finds its own account. If the password matches, it signs in, since the
        tokens of the lost reply are not stored.
        """
        email = normal_email(procedure.email)
        name = " ".join(procedure.name.split())
        if problem := text_problem(name, lines=False):
            raise Invalid(name=problem)
        phone = normal_phone(procedure.phone_number) if procedure.phone_number else None
        if problem := password_problem(procedure.password, email=email, name=name):
            raise Invalid(password=problem)
        command = SignUp(
            email=email,
            name=name,
            phone_number=phone,
            language=procedure.language,
            password_hash=await self._passwords.hash(procedure.password),
        )
        user_id = UserId(self._runtime.new_id())
        try:
            await self._users.send(command, user_id)
        except EmailTaken:
            user_id = await self._registered_before(email, procedure.password, context)
        self._attempts.remember(context.address, email)
        return await self._open_session(user_id, procedure, context)

    async def sign_in(self, procedure: SignIn, context: RequestContext) -> Tokens:
        """Sign in by password. Raises: Invalid, Unauthenticated, AccountDisabled, LimitReached, Busy."""
        stored = await self._authenticate(normal_email(procedure.email), procedure.password, context.address)
        if self._passwords.is_outdated(stored.password_hash):
            with suppress(Busy):  # a later sign-in does it
                await self._rehash(stored, procedure.password)
        try:
            return await self._open_session(stored.user_id, procedure, context)
        except AccountDisabled as error:
            raise error.about(stored.user_id) from None

    async def refresh(self, procedure: Refresh, context: RequestContext) -> Tokens:
        """Exchange a refresh token for new tokens. Raises: Unauthenticated."""
        presented = parse_refresh_token(procedure.refresh_token)
        fresh = make_successor(presented)
        command = RotateSession(
            user_id=presented.user_id,
            session_id=presented.session_id,
            presented_hash=presented.hash,
            refresh_hash=fresh.hash,
            family_hash=presented.family_hash,
            lifetime_s=self._session_s,
        )
        try:
            rotated = await self._users.ask(command, presented.user_id, Rotated)
        except NotFound as error:
            raise Unauthenticated(reason="invalid") from error
        except Unauthenticated as error:
            if error.fields["reason"] != "invalid":
                error.about(presented.user_id)
            raise
        if rotated.grant is None:
            raise Unauthenticated(reason="revoked").about(presented.user_id)
        tokens = await self._make_tokens(presented.user_id, rotated.grant, fresh.text)
        self._attempts.remember(context.address, tokens.user.email)
        return tokens

    async def act_as(self, procedure: ActAs, context: RequestContext) -> Tokens:
        """Switch the active role; the refresh token stays valid. Raises: Unauthenticated, Forbidden, Invalid."""
        principal = context.principal
        if principal is None or principal.session_id is None:
            raise Unauthenticated(reason="missing_token")
        command = SwitchRole(
            user_id=principal.user_id,
            session_id=principal.session_id,
            role=procedure.role,
            business_id=procedure.business_id,
        )
        grant = await self._users.ask(command, principal.user_id, SessionGrant, principal, context.key)
        return await self._make_tokens(principal.user_id, grant, None)

    async def _registered_before(self, email: str, password: str, context: RequestContext) -> UserId:
        if context.key is None:
            raise EmailTaken()
        try:
            return (await self._authenticate(email, password, context.address)).user_id
        except Unauthenticated as error:
            raise EmailTaken() from error

    async def _authenticate(self, email: str, password: str, address: str) -> StoredPassword:
        """Check the password of an account; takes the same time whether the account exists or not.

        Raises: Unauthenticated, LimitReached, Busy.
        """
        self._attempts.begin(address, email)
        stored = await find_password(self._pool, email)
        matches = await self._passwords.verify(password, None if stored is None else stored.password_hash)
        if stored is None:
            raise Unauthenticated(reason="wrong_credentials")
        if not matches:
            raise Unauthenticated(reason="wrong_credentials").about(stored.user_id)
        self._attempts.succeeded(address, email)
        return stored

    async def _rehash(self, stored: StoredPassword, password: str) -> None:
        command = RehashPassword(
            user_id=stored.user_id,
            password_hash=await self._passwords.hash(password),
            password_version=stored.password_version,
        )
        await self._users.send(command, stored.user_id)

    async def _open_session(self, user_id: UserId, procedure: Register | SignIn, context: RequestContext) -> Tokens:
        session_id = SessionId(self._runtime.new_id())
        token = make_refresh_token(user_id, session_id)
        command = OpenSession(
            user_id=user_id,
            session_id=session_id,
            device=procedure.device,
            refresh_hash=token.hash,
            family_hash=token.family_hash,
            device_mark=_device_mark(user_id, procedure, context.user_agent),
            lifetime_s=self._session_s,
        )
        grant = await self._users.ask(command, user_id, SessionGrant)
        return await self._make_tokens(user_id, grant, token.text)

    async def _make_tokens(self, user_id: UserId, grant: SessionGrant, refresh_token: str | None) -> Tokens:
        user = await load_user(
            self._pool, user_id, role=grant.role, business_id=grant.business_id, manager=grant.manager
        )
        return Tokens(
            access_token=self._tokens.issue(user_id, grant),
            refresh_token=refresh_token,
            expires_in=self._tokens.lifetime_s,
            expires_in_s=self._tokens.lifetime_s,
            user=user,
        )


def _device_mark(user_id: UserId, procedure: Register | SignIn, user_agent: str) -> bytes:
    """By which a device is known again: its installation if the app names it, else its program without versions."""
    device = procedure.installation or f"{procedure.device} {_VERSION.sub('', user_agent)}"
    return sha256(user_id.bytes + device.encode()).digest()[:DEVICE_MARK_BYTES]

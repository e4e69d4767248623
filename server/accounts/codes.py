"""Codes by SMS and e-mail that verify contact data or set a new password (rule P-5).

A caller cannot find out whether an address has an account: the replies are the same, and so is the work behind them.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from hashlib import sha256
from hmac import new as hmac
from secrets import randbelow, token_bytes, token_urlsafe
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from actors.runtime.turns import Runtime
from protocol.auth.procedures import ChangePassword, ResetPassword, VerifyEmail, VerifyPhone
from protocol.auth.views import CodeStep
from protocol.code.commands import ResetByCode, SendCode, SetPassword, VerifyContact
from protocol.code.terms import CODE_DIGITS, CODE_VALID_S, ChannelUnavailable, CodeInvalid, Purpose
from protocol.code.views import CodeChecked
from protocol.delivery.channels import Channel
from protocol.errors import Forbidden, Invalid, LimitReached, NotFound, Unauthenticated
from protocol.ids import SessionId, UserId
from protocol.registry import Done, Procedure
from protocol.roles import Principal
from protocol.user.terms import email_key
from server.accounts.attempts import Attempts
from server.accounts.contact import normal_email, normal_phone
from server.accounts.limits import (
    CODE_GUESSES,
    CODE_KEYS_MAX,
    CODES_PER_ADDRESS,
    CODES_PER_RANGE,
    CODES_PER_TARGET,
    RANGE_DIGITS,
    RESET_STEP_S,
)
from server.accounts.passwords import Passwords, password_problem
from server.accounts.sending import UserActors
from server.edge.addresses import limited_as
from server.edge.context import RequestContext
from server.edge.rates import RateLimiter
from storage.database import Pool
from storage.queries.codes import find_account, find_own_password, load_contact

Handler = Callable[[Any, RequestContext], Awaitable[Struct]]

NONCE_BYTES = 16


class CodeKey:
    """Makes codes and their keyed hashes; only the hashes are stored."""

    def __init__(self, secret: str) -> None:
        self._key = sha256(b"codes " + secret.encode()).digest()

    @staticmethod
    def make() -> str:
        """A new code."""
        return f"{randbelow(10**CODE_DIGITS):0{CODE_DIGITS}}"

    def hash(self, user_id: UserId, purpose: Purpose, code: str) -> bytes:
        """The stored form of a code, valid for one user and one purpose."""
        return hmac(self._key, f"{purpose.value} {user_id} {code}".encode(), sha256).digest()


class CodeLimits:
    """Rate limits of codes, independent of the caller: each SMS costs money, and each e-mail may be unwanted."""

    def __init__(self) -> None:
        def limiter(name: str, rate: Any) -> RateLimiter:
            return RateLimiter(name, rate, keys_max=CODE_KEYS_MAX)

        self._by_address = limiter("codes_per_address", CODES_PER_ADDRESS)
        self._by_target = limiter("codes_per_target", CODES_PER_TARGET)
        self._by_range = limiter("codes_per_range", CODES_PER_RANGE)
        self._guesses = limiter("code_guesses", CODE_GUESSES)

    def sending(self, address: str, target: str, *, own: bool = False) -> None:
        """Count a request for a code, by the client's address and the target's. Raises: LimitReached.

        Args:
            own: whether the target's user is signed in at this address: others' requests then do not count.
        """
        network = limited_as(address)
        if network is not None:
            self._by_address.take(network)
        self._by_target.take((target, network) if own else target)
        if target.startswith("+"):
            self._by_range.take(target[:-RANGE_DIGITS])

    def guessing(self, address: str, email: str) -> None:
        """Count a code submitted by a caller that is not signed in. Raises: LimitReached."""
        self._guesses.take((limited_as(address) or address, email_key(email)))


class CodeProcedures:
    """The procedures around codes and passwords.

    Args:
        channels: the channels that this installation has.
        wake: called with the channels for which a delivery was just stored.
        may_text: whether SMS are sent to a number at all.
        attempts: the failed sign-ins; a new password clears them.
    """

    def __init__(
        self,
        runtime: Runtime,
        pool: Pool,
        passwords: Passwords,
        key: CodeKey,
        *,
        channels: Collection[Channel],
        wake: Callable[[Collection[Channel]], None] = lambda channels: None,
        may_text: Callable[[str], bool] = lambda number: True,
        attempts: Attempts | None = None,
        limits: CodeLimits | None = None,
    ) -> None:
        self._runtime = runtime
        self._users = UserActors(runtime)
        self._pool = pool
        self._passwords = passwords
        self._key = key
        self._channels = channels
        self._wake = wake
        self._may_text = may_text
        self._attempts = attempts or Attempts()
        self._limits = limits or CodeLimits()

    @property
    def procedures(self) -> Mapping[type[Procedure], Handler]:
        """The handlers, for the transports."""
        return {
            VerifyPhone: self.verify_phone,
            VerifyEmail: self.verify_email,
            ResetPassword: self.reset_password,
            ChangePassword: self.change_password,
        }

    async def verify_phone(self, procedure: VerifyPhone, context: RequestContext) -> CodeStep:
        """Send a code to a number, or check one.

        Raises: Invalid, Forbidden, CodeInvalid, PhoneTaken, LimitReached, Busy.
        """
        principal, _ = _signed_in(context)
        number = None if procedure.phone_number is None else normal_phone(procedure.phone_number)
        if procedure.code is not None:
            return await self._verify(Purpose.PHONE, procedure.code, number, principal, context)
        contact = await load_contact(self._pool, principal.user_id)
        if number in (None, contact.phone_number) and contact.is_phone_verified:
            return CodeStep(done=True)
        number = number or contact.phone_number
        if number is None:
            raise Invalid(phone_number="missing")
        if not self._may_text(number):
            raise Invalid(phone_number="country_not_served")
        if contact.is_phone_verified:  # another number than the verified one
            await self._prove(principal.user_id, procedure.password, context)
        return await self._send(Purpose.PHONE, Channel.SMS, number, principal, context)

    async def verify_email(self, procedure: VerifyEmail, context: RequestContext) -> CodeStep:
        """Send a code to an address, or check one.

        Raises: Invalid, Forbidden, CodeInvalid, EmailTaken, LimitReached, Busy.
        """
        principal, _ = _signed_in(context)
        email = None if procedure.email is None else normal_email(procedure.email)
        if procedure.code is not None:
            return await self._verify(Purpose.EMAIL, procedure.code, email, principal, context)
        contact = await load_contact(self._pool, principal.user_id)
        if email in (None, contact.email) and contact.is_email_verified:
            return CodeStep(done=True)
        if email not in (None, contact.email):
            await self._prove(principal.user_id, procedure.password, context)
        return await self._send(Purpose.EMAIL, Channel.EMAIL, email or contact.email, principal, context)

    async def reset_password(self, procedure: ResetPassword, context: RequestContext) -> CodeStep:
        """Send a code to the address of an account, or set a new password by one.

        An address without an account goes through the same steps with an unused user id, and the reply comes at the
        same time.

        Raises: Invalid, CodeInvalid, LimitReached, Busy.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            return await self._reset_password(procedure, context)
        finally:
            await asyncio.sleep((began - loop.time()) % RESET_STEP_S)

    async def change_password(self, procedure: ChangePassword, context: RequestContext) -> Done:
        """Replace the password, given the old one. Raises: Invalid, Forbidden, LimitReached, Busy."""
        principal, session_id = _signed_in(context)
        user_id = principal.user_id
        contact = await load_contact(self._pool, user_id)
        if problem := password_problem(procedure.new_password, email=contact.email, name=contact.name):
            raise Invalid(new_password=problem)
        password_version = await self._prove(user_id, procedure.password, context)
        command = SetPassword(
            user_id=user_id,
            password_hash=await self._passwords.hash(procedure.new_password),
            password_version=password_version,
            session_id=session_id,
        )
        await self._users.send(command, user_id, principal)
        return Done()

    async def _prove(self, user_id: UserId, password: str | None, context: RequestContext) -> int:
        """Check that the caller knows the user's password, since a token may be stolen; returns the password's version.

        Raises: Forbidden, LimitReached, Busy.
        """
        if password is None:
            raise Forbidden(reason="password_needed")
        self._attempts.begin(context.address, str(user_id))
        known = await find_own_password(self._pool, user_id)
        if not await self._passwords.verify(password, known and known[0]) or known is None:
            raise Forbidden(reason="wrong_password")
        self._attempts.succeeded(context.address, str(user_id))
        return known[1]

    async def _reset_password(self, procedure: ResetPassword, context: RequestContext) -> CodeStep:
        email = normal_email(procedure.email)
        if procedure.code is None and procedure.new_password is None:
            self._require(Channel.EMAIL)
            own = self._attempts.knows(context.address, email)
            self._limits.sending(context.address, email_key(email), own=own)
            user_id = await self._account_id(email)
            request_id = token_urlsafe(NONCE_BYTES)
            sending = replace(
                self._sending(Purpose.PASSWORD, Channel.EMAIL, user_id), request_hash=_request_hash(request_id), own=own
            )
            with suppress(NotFound, LimitReached):
                await self._users.send(sending, user_id)
            self._wake((Channel.EMAIL,))
            return CodeStep(done=False, expires_in_s=CODE_VALID_S, request_id=request_id)
        if procedure.code is None:
            raise Invalid(code="missing")
        if procedure.request_id is None:
            raise Invalid(request_id="missing")
        if procedure.new_password is None:
            raise Invalid(new_password="missing")
        self._limits.guessing(context.address, email)
        await self._reset(email, procedure.code, procedure.request_id, procedure.new_password)
        self._attempts.succeeded(context.address, email)
        return CodeStep(done=True)

    async def _send(
        self, purpose: Purpose, channel: Channel, target: str, principal: Principal, context: RequestContext
    ) -> CodeStep:
        self._require(channel)
        self._limits.sending(context.address, email_key(target))
        user_id = principal.user_id
        await self._users.send(self._sending(purpose, channel, user_id, target), user_id, principal)
        self._wake((channel,))
        return CodeStep(done=False, expires_in_s=CODE_VALID_S)

    async def _verify(
        self, purpose: Purpose, code: str, target: str | None, principal: Principal, context: RequestContext
    ) -> CodeStep:
        user_id = principal.user_id
        command = VerifyContact(
            user_id=user_id, purpose=purpose, code_hash=self._key.hash(user_id, purpose, code), target=target
        )
        checked = await self._users.ask(command, user_id, CodeChecked, principal, context.key)
        if not checked.right:
            raise CodeInvalid()
        self._wake((Channel.EMAIL,))  # the previous address may get a notice
        return CodeStep(done=True)

    async def _reset(self, email: str, code: str, request_id: str, password: str) -> None:
        """Raises: Invalid, CodeInvalid, Busy."""
        if problem := password_problem(password, email=email, name=email):
            raise Invalid(new_password=problem)
        user_id = await self._account_id(email)
        command = ResetByCode(
            user_id=user_id,
            code_hash=self._key.hash(user_id, Purpose.PASSWORD, code),
            request_hash=_request_hash(request_id),
            password_hash=await self._passwords.hash(password),
        )
        try:
            checked = await self._users.ask(command, user_id, CodeChecked)
        except NotFound:
            raise CodeInvalid() from None
        if not checked.right:
            raise CodeInvalid().about(user_id)

    async def _account_id(self, email: str) -> UserId:
        """The id of the account with this address; an unused id if there is none."""
        return await find_account(self._pool, email) or UserId(self._runtime.new_id())

    def _require(self, channel: Channel) -> None:
        if channel not in self._channels:
            raise ChannelUnavailable(channel=channel.value)

    def _sending(self, purpose: Purpose, channel: Channel, user_id: UserId, target: str | None = None) -> SendCode:
        code = self._key.make()
        return SendCode(
            user_id=user_id,
            purpose=purpose,
            code=code,
            code_hash=self._key.hash(user_id, purpose, code),
            nonce=token_bytes(NONCE_BYTES),
            channel=channel,
            target=target,
        )


def _request_hash(request_id: str) -> bytes:
    """What the server keeps of a request's id."""
    return sha256(request_id.encode()).digest()


def _signed_in(context: RequestContext) -> tuple[Principal, SessionId]:
    principal = context.principal
    if principal is None or principal.session_id is None:
        raise Unauthenticated(reason="missing_token")
    return principal, principal.session_id

"""Makes many accounts at once, for demo data and benchmarks: by commands as usual, but with one password hash."""

import asyncio
from collections.abc import Sequence

from msgspec import Struct

from actors.runtime.turns import Runtime
from protocol.confidential import Confidential
from protocol.ids import Kind, Ref, UserId
from protocol.user.commands import SignUp
from server.accounts.limits import BULK_AT_ONCE


class NewAccount(Confidential, Struct, frozen=True, kw_only=True):
    """An account to make. Address and number are in their normal form."""

    email: str
    name: str
    phone_number: str | None = None
    language: str = "en"


async def make_accounts(runtime: Runtime, accounts: Sequence[NewAccount], password_hash: str) -> list[UserId]:
    """Sign all of them up with one password, as verified by e-mail; returns their ids in order.

    Args:
        password_hash: made once by ``Passwords.hash``.

    Raises: EmailTaken, or the error of the first one that fails.
    """
    made: list[UserId] = []
    for start in range(0, len(accounts), BULK_AT_ONCE):
        some = accounts[start : start + BULK_AT_ONCE]
        made += await asyncio.gather(*(_make(runtime, account, password_hash) for account in some))
    return made


async def _make(runtime: Runtime, account: NewAccount, password_hash: str) -> UserId:
    user_id = UserId(runtime.new_id())
    command = SignUp(
        email=account.email,
        name=account.name,
        phone_number=account.phone_number,
        language=account.language,
        password_hash=password_hash,
        is_email_verified=True,
    )
    to = Ref(Kind.USER, user_id)
    outcome = await runtime.call(command, to)
    if outcome.error is not None:
        raise outcome.error
    return user_id

"""Accounts, as a part of the server."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial

from protocol.delivery.channels import Channel
from server.accounts.attempts import Attempts
from server.accounts.codes import CodeKey, CodeProcedures
from server.accounts.config import AuthConfig
from server.accounts.contact import is_in
from server.accounts.keys import SETTLE_S, load_keys
from server.accounts.passwords import Passwords
from server.accounts.procedures import Accounts
from server.accounts.tokens import TokenService
from server.accounts.watch import Watch
from server.accounts.watched import watched
from server.edge.part import Context, Part
from server.edge.secret_file import load_secret


@dataclass(frozen=True, kw_only=True)
class AccountsPart(Part):
    """The part, with the token service that the transports verify by."""

    tokens: TokenService


def open_accounts(
    context: Context,
    config: AuthConfig,
    *,
    channels: Collection[Channel],
    wake: Callable[[Collection[Channel]], None],
    countries: Collection[str],
) -> AccountsPart:
    """Open accounts. Raises: UnusableKey.

    Args:
        channels: the channels by which codes can be sent.
        wake: wakes the delivery workers of channels.
        countries: the countries whose phone numbers get codes; empty for all.
    """
    node = context.node
    keys = partial(load_keys, context.server.keys_dir, settle_s=SETTLE_S)
    tokens = TokenService(keys(), lifetime_s=config.access_token_s)
    passwords, attempts = Passwords(), Attempts()
    accounts = Accounts(node.runtime, node.pool, tokens, passwords, session_s=config.refresh_token_s, attempts=attempts)
    codes = CodeProcedures(
        node.runtime,
        node.pool,
        passwords,
        CodeKey(load_secret(context.server.keys_dir / "codes.secret")),
        channels=channels,
        wake=wake,
        may_text=partial(is_in, countries=countries),
        attempts=attempts,
    )
    watch = Watch(node.pool, tokens, node.clock, keys)

    async def start() -> None:
        await accounts.start()
        watch.start()

    async def stop() -> None:
        await watch.stop()
        passwords.close()

    return AccountsPart(
        tokens=tokens,
        procedures=watched({**accounts.procedures, **codes.procedures}, context.limiters.refusals),
        metrics=[context.limiters.refusals],
        listeners=[tokens.on_event],
        tasks=lambda: [watch.task],
        start=start,
        stop=stop,
    )

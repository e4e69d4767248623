"""Password rules, and Argon2id hashes made and checked in a few threads.

Hashing is slow on purpose, so its queue is bounded: when it is full, a call raises Busy at once.
"""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from protocol.auth.terms import PASSWORD_MAX, PASSWORD_MIN
from protocol.errors import RETRY_AFTER_S, Busy
from server.accounts.common_passwords import is_common
from server.accounts.limits import (
    ARGON2_LANES,
    ARGON2_MEMORY_KIB,
    ARGON2_PASSES,
    HASH_THREADS,
    HASHES_MAX,
)

T = TypeVar("T")


def password_problem(password: str, *, email: str, name: str) -> str | None:
    """Return why a password is not acceptable, as a code; None if it is.

    Args:
        email, name: of the account; easy to guess, so not accepted as its password.
    """
    plain = password.casefold()
    known = {email.casefold(), email.casefold().partition("@")[0], name.casefold(), name.casefold().replace(" ", "")}
    if len(password) < PASSWORD_MIN:
        return "too_short"
    if len(password) > PASSWORD_MAX:
        return "too_long"
    if plain in known:
        return "same_as_name_or_email"
    if is_common(password):
        return "too_common"
    if len(set(plain)) <= 2:
        return "too_monotonous"
    return None


class Passwords:
    """Hashes and checks passwords off the event loop.

    Args:
        hasher: a weaker one than the limits name, for tests.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
        )
        self._threads = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="passwords")
        #: Released when the work is done, not when a cancelled caller returns.
        self._room = BoundedSemaphore(HASHES_MAX)
        #: Verified for an address without an account, so that it takes the same time.
        self._decoy = self._hasher.hash("nobody's password")

    def close(self) -> None:
        """Shut the threads down without waiting for their work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a password. Raises: Busy."""
        return await self._in_thread(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the password matches; takes the same time if there is no hash. Raises: Busy."""
        matches = await self._in_thread(lambda: self._matches(password, password_hash or self._decoy))
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than the present ones."""
        return self._hasher.check_needs_rehash(password_hash)

    def _matches(self, password: str, password_hash: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if not self._room.acquire(blocking=False):
            raise Busy(queue="passwords", retry_after_s=RETRY_AFTER_S)
        future = self._threads.submit(work)
        future.add_done_callback(lambda done: self._room.release())
        return await asyncio.wrap_future(future)


def _normal(password: str) -> str:
    """Normalise the Unicode form: systems encode accents in different ways."""
    return unicodedata.normalize("NFKC", password)

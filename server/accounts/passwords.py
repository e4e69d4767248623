"""Passwords: the rules for new ones, and their Argon2id hashes, made and checked in a few threads.

Hashing is slow on purpose, so it is bounded: beyond the bound, callers are refused as busy.
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
from server.accounts.limits import (
    ARGON2_LANES,
    ARGON2_MEMORY_KIB,
    ARGON2_PASSES,
    HASH_THREADS,
    HASHES_MAX,
)

T = TypeVar("T")

#: The most common passwords, in lower case; the other rules exclude most of the usual lists.
COMMON = frozenset(
    {
        "password", "passwort", "password1", "password123", "passw0rd", "12345678", "123456789", "1234567890",
        "87654321", "qwertyui", "qwertyuiop", "qwerty123", "qwertz123", "1q2w3e4r", "iloveyou", "letmein1",
        "sunshine", "princess", "football", "baseball", "superman", "trustno1", "welcome1", "changeme",
        "abcd1234", "abc12345", "admin123", "asdfghjk", "11223344", "guildwire",
    }
)  # fmt: skip


def password_problem(password: str, *, email: str, name: str) -> str | None:
    """Return why a password is not allowed, as a code; None if it is.

    Args:
        email, name: of its owner; too easy to guess.
    """
    plain = password.casefold()
    known = {email.casefold(), email.casefold().partition("@")[0], name.casefold(), name.casefold().replace(" ", "")}
    if len(password) < PASSWORD_MIN:
        return "too_short"
    if len(password) > PASSWORD_MAX:
        return "too_long"
    if plain in known:
        return "same_as_name_or_email"
    if plain in COMMON:
        return "too_common"
    if len(set(plain)) <= 2:
        return "too_monotonous"
    return None


class Passwords:
    """Hashes and checks passwords off the event loop.

    Args:
        hasher: of another strength, for tests.
    """

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(
            time_cost=ARGON2_PASSES, memory_cost=ARGON2_MEMORY_KIB, parallelism=ARGON2_LANES
        )
        self._threads = ThreadPoolExecutor(HASH_THREADS, thread_name_prefix="passwords")
        #: Released by the threads, so that a cancelled caller frees no place before its work is done.
        self._room = BoundedSemaphore(HASHES_MAX)
        #: Checked for an address without an account, so that it takes the same time.
        self._decoy = self._hasher.hash("nobody's password")

    def close(self) -> None:
        """Stop the threads, without waiting for their work."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def hash(self, password: str) -> str:
        """Hash a password. Raises: Busy."""
        return await self._in_thread(lambda: self._hasher.hash(_normal(password)))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; the same work if there is no hash at all. Raises: Busy."""
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
    """The normal form of a password: systems encode accents differently."""
    return unicodedata.normalize("NFKC", password)

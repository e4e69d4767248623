"""The limits of accounts."""

from protocol.rates import Rate

#: Longer access tokens are refused without decoding.
TOKEN_BYTES_MAX = 4_096
#: Verified tokens that are cached, about 1 KB each.
TOKENS_CACHED_MAX = 20_000
#: Revoked sessions, and users with revoked rights, within the lifetime of an access token.
REVOCATIONS_MAX = 50_000
#: How often the revocations of other nodes and the key files are polled.
POLL_EVERY_S = 2.0
#: How far each poll overlaps with the one before: nodes' clocks differ, and a decision may commit long after it was
#: made.
POLL_OVERLAP_S = 120.0

#: Threads that hash passwords; argon2 releases the GIL.
HASH_THREADS = 2
#: Passwords that are being hashed or wait for it; further ones are refused with Busy.
HASHES_MAX = 32
#: Argon2id's memory in KiB, passes and lanes: OWASP's first recommendation, about 20 ms.
ARGON2_MEMORY_KIB = 19_456
ARGON2_PASSES = 2
ARGON2_LANES = 1

#: Failed sign-ins to one account from one address: a burst, then one every 90 s.
SIGN_IN_ATTEMPTS = Rate(per_s=1 / 90, burst=10)
#: Failed sign-ins to one account from all addresses that it was not signed in from before: a burst, then one every
#: 5 min.
SIGN_IN_ATTEMPTS_ELSEWHERE = Rate(per_s=1 / 300, burst=50)
#: Pairs of address and account whose attempts are counted, accounts, and pairs that have signed in.
SIGN_IN_KEYS_MAX = 50_000

#: Codes requested from one client address, and codes sent to one e-mail address or number.
CODES_PER_ADDRESS = Rate(per_s=1 / 60, burst=20)
CODES_PER_TARGET = Rate(per_s=1 / 300, burst=5)
#: Codes to numbers that differ in their last digits only: SMS fraud uses consecutive numbers.
CODES_PER_RANGE = Rate(per_s=1 / 60, burst=20)
RANGE_DIGITS = 3
#: Replies to a password reset are delayed to a multiple of this, so that their timing reveals nothing.
RESET_STEP_S = 0.25
#: Codes submitted for one account from one address.
CODE_GUESSES = Rate(per_s=1 / 60, burst=10)
#: Addresses, targets and ranges that are counted.
CODE_KEYS_MAX = 50_000

#: Accounts created concurrently by ``make_accounts``.
BULK_AT_ONCE = 256

"""The bounds of accounts."""

from protocol.rates import Rate

#: Longer tokens are refused unread.
TOKEN_BYTES_MAX = 4_096
#: Verified tokens that are cached, about 1 KB each.
TOKENS_CACHED_MAX = 20_000
#: Revoked sessions, and users with revoked roles, within the lifetime of an access token.
REVOCATIONS_MAX = 50_000
#: How often revocations of other nodes and changed key files are looked for.
LOOK_EVERY_S = 2.0
#: How far each look overlaps the one before: clocks differ, and a commit may come long after its decision.
LOOK_BACK_S = 120.0

#: Threads that hash passwords; argon2 releases the interpreter's lock.
HASH_THREADS = 2
#: Passwords that are being hashed or wait for it; more are refused as busy.
HASHES_MAX = 32
#: Argon2id's memory in KiB, passes and lanes: OWASP's first choice, some 20 ms.
ARGON2_MEMORY_KIB = 19_456
ARGON2_PASSES = 2
ARGON2_LANES = 1

#: Failed sign-ins to one account from one address: a burst, then one every 90 s.
SIGN_IN_ATTEMPTS = Rate(per_s=1 / 90, burst=10)
#: Pairs of address and account of which attempts are remembered.
SIGN_IN_KEYS_MAX = 50_000

#: Codes requested from one address, and codes to one mailbox or number.
CODES_PER_ADDRESS = Rate(per_s=1 / 60, burst=20)
CODES_PER_TARGET = Rate(per_s=1 / 300, burst=5)
#: Codes to numbers that differ in their last digits only: fraud with premium numbers uses whole ranges.
CODES_PER_RANGE = Rate(per_s=1 / 60, burst=20)
RANGE_DIGITS = 3
#: Responses to password resets come at multiples of this, so that their timing shows nothing.
RESET_STEP_S = 0.25
#: Codes entered for one account from one address.
CODE_GUESSES = Rate(per_s=1 / 60, burst=10)
#: Addresses, targets and ranges that are remembered.
CODE_KEYS_MAX = 50_000

#: Accounts that are made at once when many are made.
BULK_AT_ONCE = 256

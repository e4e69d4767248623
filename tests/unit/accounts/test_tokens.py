"""Access tokens: checked by signature, clock and revocations (rules P-1, P-4)."""

import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from actors.runtime.call import Published
from protocol.effects import Emitted
from protocol.errors import Unauthenticated
from protocol.events import Event
from protocol.ids import BusinessId, Kind, Ref, SessionId, UserId
from protocol.roles import Principal, Role
from protocol.user.events import RoleGranted, RoleRevoked, SessionEnded, SessionRevoked, UserSignedUp
from protocol.user.terms import RevokeReason
from protocol.user.views import SessionGrant
from server.accounts.keys import SigningKeys, add_key, load_keys
from server.accounts.refresh import PREFIX, make_refresh_token, make_successor, parse_refresh_token
from server.accounts.revocations import Revocations
from server.accounts.tokens import TokenService
from server.edge.secret_file import UnusableKey

LIFETIME_S = 600
ADA = UserId(UUID(int=1))
SESSION = SessionId(UUID(int=2))
SALON = BusinessId(UUID(int=3))
NOW = datetime(2026, 7, 1, tzinfo=UTC)
GRANT = SessionGrant(
    session_id=SESSION,
    role=Role.OWNER,
    roles=(Role.CUSTOMER, Role.OWNER),
    business_id=SALON,
    manager=True,
    roles_version=0,
)


class Wall:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    return load_keys(tmp_path / "keys")


@pytest.fixture
def tokens(keys: SigningKeys, wall: Wall) -> TokenService:
    return TokenService(keys, lifetime_s=LIFETIME_S, now=wall)


def refusal(tokens: TokenService, token: str) -> str:
    """Why a token is refused."""
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(token)
    return str(caught.value.fields["reason"])


def hear(tokens: TokenService, event: Event, user_id: UserId = ADA) -> None:
    tokens.on_event(Published(Ref(Kind.USER, user_id), 1, NOW, "cause", Emitted(event, (user_id,)), [1]))


def claims(wall: Wall, **changes: Any) -> dict[str, Any]:
    """The claims of a valid token, with changes."""
    issued_at = int(wall())
    ours = {
        "iss": "guildwire",
        "aud": "guildwire",
        "sub": str(ADA),
        "sid": str(SESSION),
        "role": "owner",
        "roles": ["owner"],
    }
    return {**ours, "iat": issued_at, "exp": issued_at + LIFETIME_S, **changes}


class TestVerify:
    def test_a_token_has_the_principal_it_was_issued_for(self, tokens: TokenService) -> None:
        assert tokens.verify(tokens.issue(ADA, GRANT)) == Principal(
            user_id=ADA,
            role=Role.OWNER,
            roles=frozenset({Role.CUSTOMER, Role.OWNER}),
            business_id=SALON,
            manager=True,
            session_id=SESSION,
        )

    def test_the_claims_have_their_names_on_the_wire(self, tokens: TokenService, keys: SigningKeys) -> None:
        token = tokens.issue(ADA, GRANT)

        payload = jwt.decode(token, options={"verify_signature": False})

        assert set(payload) == {"iss", "aud", "sub", "sid", "role", "roles", "biz", "mgr", "iat", "exp"}
        assert jwt.get_unverified_header(token) == {"alg": "EdDSA", "kid": keys.key_id, "typ": "at+jwt"}

    def test_a_token_expires(self, tokens: TokenService, wall: Wall) -> None:
        token = tokens.issue(ADA, GRANT)
        assert tokens.read(token).expires_at == wall() + LIFETIME_S

        wall.at += LIFETIME_S

        assert refusal(tokens, token) == "expired"

    def test_an_expired_token_that_is_not_cached_is_refused(self, tokens: TokenService, wall: Wall) -> None:
        token = tokens.issue(ADA, GRANT)
        wall.at += LIFETIME_S

        assert refusal(tokens, token) == "expired"

    @pytest.mark.parametrize("token", ["", "x", "a.b.c", "Ä.Ö.Ü", "x" * 5_000, ".." * 1_000])
    def test_text_that_is_not_a_token_is_invalid(self, tokens: TokenService, token: str) -> None:
        assert refusal(tokens, token) == "invalid"

    def test_a_changed_token_is_invalid(self, tokens: TokenService) -> None:
        head, payload, signature = tokens.issue(ADA, GRANT).split(".")
        body = urlsafe_b64decode(payload + "==").replace(b'"role":"owner"', b'"role":"admin"')
        forged = urlsafe_b64encode(body).rstrip(b"=").decode()

        assert refusal(tokens, f"{head}.{forged}.{signature}") == "invalid"

    def test_a_signature_by_another_key_with_our_key_id_is_invalid(
        self, tokens: TokenService, keys: SigningKeys, wall: Wall
    ) -> None:
        stranger = Ed25519PrivateKey.generate()
        token = jwt.encode(claims(wall), stranger, algorithm="EdDSA", headers={"kid": keys.key_id, "typ": "at+jwt"})

        assert refusal(tokens, token) == "invalid"

    def test_an_unsigned_token_is_invalid(self, tokens: TokenService, keys: SigningKeys, wall: Wall) -> None:
        token = jwt.encode(claims(wall), "", algorithm="none", headers={"kid": keys.key_id, "typ": "at+jwt"})

        assert refusal(tokens, token) == "invalid"

    def test_a_token_signed_with_the_public_key_as_shared_secret_is_invalid(
        self, tokens: TokenService, keys: SigningKeys, wall: Wall
    ) -> None:
        secret = keys.public[keys.key_id].public_bytes_raw()
        token = jwt.encode(claims(wall), secret, algorithm="HS256", headers={"kid": keys.key_id, "typ": "at+jwt"})

        assert refusal(tokens, token) == "invalid"

    @pytest.mark.parametrize(
        "changes",
        [
            {"iss": "another server"},
            {"aud": "another service"},
            {"aud": ["guildwire"]},
            {"sub": "ada"},
            {"sid": None},
            {"role": "king"},
            {"roles": "owner"},
            {"exp": "never"},
        ],
    )
    def test_claims_of_wrong_types_are_invalid(
        self, tokens: TokenService, keys: SigningKeys, wall: Wall, changes: dict[str, Any]
    ) -> None:
        token = jwt.encode(
            claims(wall, **changes), keys.private, algorithm="EdDSA", headers={"kid": keys.key_id, "typ": "at+jwt"}
        )

        assert refusal(tokens, token) == "invalid"

    def test_another_kind_of_token_signed_with_the_same_key_is_invalid(
        self, tokens: TokenService, keys: SigningKeys, wall: Wall
    ) -> None:
        for typ, reason in (("at+jwt", None), ("JWT", "invalid"), ("id+jwt", "invalid")):
            token = jwt.encode(claims(wall), keys.private, "EdDSA", headers={"kid": keys.key_id, "typ": typ})
            if reason is None:
                tokens.verify(token)
            else:
                assert refusal(tokens, token) == reason

    def test_a_token_that_names_no_audience_has_to_be_refreshed(
        self, tokens: TokenService, keys: SigningKeys, wall: Wall
    ) -> None:
        earlier = claims(wall)
        del earlier["aud"]
        token = jwt.encode(earlier, keys.private, algorithm="EdDSA", headers={"kid": keys.key_id})

        assert refusal(tokens, token) == "expired"

    def test_a_token_of_an_unknown_key_is_invalid(self, tokens: TokenService, keys: SigningKeys, wall: Wall) -> None:
        for headers in ({"kid": "unknown", "typ": "at+jwt"}, {"typ": "at+jwt"}):
            token = jwt.encode(claims(wall), keys.private, algorithm="EdDSA", headers=headers)
            assert refusal(tokens, token) == "invalid"

    def test_the_cache_is_bounded_and_an_evicted_token_stays_valid(self, keys: SigningKeys, wall: Wall) -> None:
        tokens = TokenService(keys, lifetime_s=LIFETIME_S, now=wall, cached_max=2)
        users = [UserId(UUID(int=number)) for number in range(5)]
        issued = [tokens.issue(user_id, GRANT) for user_id in users]

        for _ in range(2):
            assert [tokens.verify(token).user_id for token in issued] == users
        assert len(tokens._cache) == 2


class TestTakenAway:
    @pytest.mark.parametrize("seen_before", [True, False])
    @pytest.mark.parametrize(
        "event",
        [
            SessionEnded(session_id=SESSION, at=NOW),
            SessionRevoked(session_id=SESSION, reason=RevokeReason.REUSE, at=NOW),
        ],
    )
    def test_a_session_that_ended_invalidates_its_tokens(
        self, tokens: TokenService, event: Event, seen_before: bool
    ) -> None:
        token = tokens.issue(ADA, GRANT)
        if seen_before:
            tokens.verify(token)

        hear(tokens, event)

        assert refusal(tokens, token) == "revoked"

    def test_a_revoked_session_is_reported_once(self, tokens: TokenService) -> None:
        reported: list[tuple[UserId, SessionId]] = []
        tokens.on_revoked = lambda user_id, session_id: reported.append((user_id, session_id))

        hear(tokens, SessionEnded(session_id=SESSION, at=NOW))

        assert reported == [(ADA, SESSION)]

    @pytest.mark.parametrize(
        "event",
        [
            RoleRevoked(role=Role.OWNER, business_id=SALON, roles_version=1),
            RoleGranted(role=Role.EMPLOYEE, business_id=SALON, roles_version=1),
        ],
    )
    def test_a_change_of_roles_forces_a_refresh(self, tokens: TokenService, event: Event) -> None:
        before = tokens.issue(ADA, GRANT)
        reported: list[UserId] = []
        tokens.on_invalidated = reported.append

        hear(tokens, event)

        after = tokens.issue(ADA, SessionGrant(session_id=SESSION, role=Role.CUSTOMER, roles=(), business_id=None,
                                               manager=False, roles_version=1))  # fmt: skip
        assert refusal(tokens, before) == "expired"
        assert tokens.verify(after).role is Role.CUSTOMER
        assert reported == [ADA]

    @pytest.mark.parametrize("event", [RoleGranted(role=Role.STAFF, business_id=SALON), UserSignedUp(at=NOW)])
    def test_other_events_revoke_nothing(self, tokens: TokenService, event: Event) -> None:
        token = tokens.issue(ADA, GRANT)

        hear(tokens, event)

        assert tokens.verify(token).user_id == ADA

    def test_tokens_of_other_users_stay_valid(self, tokens: TokenService) -> None:
        token = tokens.issue(ADA, GRANT)

        hear(tokens, RoleRevoked(role=Role.OWNER, business_id=SALON, roles_version=1), UserId(UUID(int=9)))

        assert tokens.verify(token).user_id == ADA

    def test_revocations_survive_a_restart(self, tokens: TokenService, keys: SigningKeys, wall: Wall) -> None:
        ended = tokens.issue(ADA, GRANT)
        restarted = TokenService(keys, lifetime_s=LIFETIME_S, now=wall)

        restarted.restore([(ADA, SessionEnded(session_id=SESSION, at=NOW))])

        assert refusal(restarted, ended) == "revoked"


class TestRevocations:
    def test_entries_are_dropped_once_every_token_they_refuse_has_expired(self, wall: Wall) -> None:
        revocations = Revocations(LIFETIME_S, wall, uptime=wall)
        revocations.add_session(SESSION)
        revocations.set_min_roles_version(ADA, 1)

        wall.at += LIFETIME_S
        revocations.add_session(SessionId(UUID(int=8)))

        assert not revocations.has_session(SESSION)
        assert not revocations.invalidates(ADA, 0, wall())

    def test_the_minimum_roles_version_never_decreases(self, wall: Wall) -> None:
        revocations = Revocations(LIFETIME_S, wall, uptime=wall)
        revocations.set_min_roles_version(ADA, 3)
        revocations.set_min_roles_version(ADA, 2)

        assert revocations.invalidates(ADA, 2, wall())

    def test_when_the_set_is_full_all_earlier_tokens_are_refused(self, keys: SigningKeys, wall: Wall) -> None:
        revocations = Revocations(LIFETIME_S, wall, uptime=wall, entries_max=3)
        for number in range(4):
            revocations.add_session(SessionId(UUID(int=number)))

        assert revocations.invalidates(ADA, 0, wall())
        assert not revocations.invalidates(ADA, 0, wall() + 1)


class TestKeys:
    def test_the_key_is_made_once_and_only_its_owner_may_read_it(self, tmp_path: Path) -> None:
        directory = tmp_path / "keys"

        first, second = load_keys(directory), load_keys(directory)

        (path,) = directory.iterdir()
        assert first.key_id == second.key_id
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700

    def test_a_new_key_signs_and_the_old_one_still_verifies(self, tmp_path: Path, wall: Wall) -> None:
        old = TokenService(load_keys(tmp_path), lifetime_s=LIFETIME_S, now=wall)
        add_key(tmp_path)
        new = TokenService(load_keys(tmp_path), lifetime_s=LIFETIME_S, now=wall)

        assert new.verify(old.issue(ADA, GRANT)).user_id == ADA
        assert refusal(old, new.issue(ADA, GRANT)) == "invalid"

    def test_a_file_that_is_not_a_key_is_named(self, tmp_path: Path) -> None:
        (tmp_path / "token-0001.pem").write_text("not a key")

        with pytest.raises(UnusableKey, match=r"token-0001\.pem"):
            load_keys(tmp_path)


class TestRefreshTokens:
    def test_a_refresh_token_names_user_and_session_and_only_its_hash_is_stored(self) -> None:
        token = make_refresh_token(ADA, SESSION)

        assert parse_refresh_token(token.text) == token
        assert (token.user_id, token.session_id) == (ADA, SESSION)
        secret = urlsafe_b64decode(token.text.removeprefix(PREFIX) + "==")[32:]
        assert len(secret) == 32
        assert token.hash == sha256(secret).digest()

    def test_the_tokens_of_a_session_share_half_of_their_secret(self) -> None:
        token = make_refresh_token(ADA, SESSION)
        successor = make_successor(token)

        assert (successor.user_id, successor.session_id, successor.family_hash) == (ADA, SESSION, token.family_hash)
        assert successor.secret[16:] != token.secret[16:]
        assert make_refresh_token(ADA, SESSION).family_hash != token.family_hash

    def test_refresh_tokens_are_unique(self) -> None:
        assert make_refresh_token(ADA, SESSION) != make_refresh_token(ADA, SESSION)

    @pytest.mark.parametrize("text", ["", "x", PREFIX, f"{PREFIX}abc", "gwr_" + "A" * 87, "A" * 86, "gwr_ÄÖÜ"])
    def test_text_that_is_not_a_refresh_token_is_invalid(self, text: str) -> None:
        with pytest.raises(Unauthenticated):
            parse_refresh_token(text)

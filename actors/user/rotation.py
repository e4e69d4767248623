"""Refresh tokens of one session: which one may be exchanged, and what the exchange leaves behind (rule P-4).

               used by one tab                    used again, or by another tab, within REFRESH_GRACE_S
    CURRENT ──────────────────▶ USED ───────────────────────────────────────────▶ one more CURRENT token
       │                          └── presented later ──▶ the session is revoked
       └── another current token was used first ──▶ PASSED OVER ── within the grace ──▶ one more CURRENT token
                                                        └── presented later ──▶ refused, and the session stays

All tokens of a session begin with the same secret bytes, the family. A token of the family that is in none of these
lists was used long ago; one of another family was never given out, and presenting it changes nothing.
"""

from datetime import datetime, timedelta
from enum import Enum, auto

from msgspec.structs import replace

from actors.actor import applies
from actors.user.state import RefreshMark, SessionState, UserState
from protocol.user.events import SessionRefreshed
from protocol.user.terms import DEVICE_MARKS_MAX, REFRESH_GRACE_S, REFRESH_PASSED_OVER_MAX, REFRESH_SIBLINGS_MAX

GRACE = timedelta(seconds=REFRESH_GRACE_S)


class Presented(Enum):
    """What a presented refresh token is."""

    #: One of those in force.
    CURRENT = auto()
    #: Used, or passed over, so recently that the reply may have been lost or another tab may have been faster.
    IN_GRACE = auto()
    #: Never used; another token was used in its place.
    PASSED_OVER = auto()
    #: Used before: it may have been stolen.
    REUSED = auto()
    #: Never given out.
    UNKNOWN = auto()


def classify(session: SessionState, token_hash: bytes, family_hash: bytes, now: datetime) -> Presented:
    """Return what this token is to the session."""
    if token_hash in (session.refresh_hash, *session.siblings):
        return Presented.CURRENT
    passed_over = _mark_of(token_hash, session.passed_over)
    mark = passed_over or _mark_of(token_hash, _used(session))
    if mark is not None and now < mark.at + GRACE:
        return Presented.IN_GRACE
    if passed_over is not None:
        return Presented.PASSED_OVER
    return Presented.REUSED if mark is not None or family_hash == session.family_hash else Presented.UNKNOWN


@applies(SessionRefreshed)
def _refreshed(state: UserState, event: SessionRefreshed) -> UserState:
    changed = [_exchanged(one, event) if one.session_id == event.session_id else one for one in state.sessions]
    marks = state.device_marks
    if event.device_mark is not None:
        marks = (*(one for one in marks if one != event.device_mark), event.device_mark)[-DEVICE_MARKS_MAX:]
    return replace(state, sessions=tuple(changed), device_marks=marks)


def _exchanged(session: SessionState, event: SessionRefreshed) -> SessionState:
    family_hash = session.family_hash if event.family_hash is None else event.family_hash
    session = replace(session, expires_at=event.expires_at, family_hash=family_hash)
    if event.presented_hash is None:  # the first token, or an exchange recorded before siblings were kept
        return _replaced(session, event)
    if event.reply_lost:
        return _with_sibling(session, event.presented_hash, event)
    return _with_successor(session, event.presented_hash, event)


def _replaced(session: SessionState, event: SessionRefreshed) -> SessionState:
    if event.reply_lost:
        return replace(session, refresh_hash=event.refresh_hash)
    return replace(session, refresh_hash=event.refresh_hash, previous_hash=session.refresh_hash, refreshed_at=event.at)


def _with_successor(session: SessionState, presented_hash: bytes, event: SessionRefreshed) -> SessionState:
    """A current token was used: the others in force are passed over."""
    others = [one for one in (*session.siblings, session.refresh_hash) if one not in (None, presented_hash)]
    passed_over = (*session.passed_over, *(RefreshMark(one, event.at) for one in others if one is not None))
    used = tuple(one for one in _used(session) if event.at < one.at + GRACE)
    return replace(
        session,
        refresh_hash=event.refresh_hash,
        siblings=(),
        previous_hash=presented_hash,
        used=used[-REFRESH_SIBLINGS_MAX:],
        passed_over=passed_over[-REFRESH_PASSED_OVER_MAX:],
        refreshed_at=event.at,
    )


def _with_sibling(session: SessionState, presented_hash: bytes, event: SessionRefreshed) -> SessionState:
    """A token in its grace was used: one more token is in force; past the bound, the oldest one is passed over."""
    in_force = [one for one in (*session.siblings, session.refresh_hash) if one is not None]
    displaced, kept = in_force[: 1 - REFRESH_SIBLINGS_MAX], in_force[1 - REFRESH_SIBLINGS_MAX :]
    claimed = _mark_of(presented_hash, session.passed_over)
    passed_over = (
        *(one for one in session.passed_over if one != claimed),
        *(RefreshMark(one, event.at) for one in displaced),
    )
    used = session.used if claimed is None else (*session.used, claimed)
    return replace(
        session,
        refresh_hash=event.refresh_hash,
        siblings=tuple(kept),
        used=used[-REFRESH_SIBLINGS_MAX:],
        passed_over=passed_over[-REFRESH_PASSED_OVER_MAX:],
    )


def _used(session: SessionState) -> tuple[RefreshMark, ...]:
    """The tokens used last; in states from before siblings were kept, the previous one alone."""
    if session.previous_hash is None:
        return session.used
    return (*session.used, RefreshMark(session.previous_hash, session.refreshed_at))


def _mark_of(token_hash: bytes, marks: tuple[RefreshMark, ...]) -> RefreshMark | None:
    return next((one for one in marks if one.token_hash == token_hash), None)

"""The outcomes of suggested replies, counted after the messages were sent, in pages and without their texts.

suggestions ──(the reader's next message)──▶ suggestion_counts: accepted · edited · ignored · unanswered
suggestion_uses ─┘  names the suggestion that a message came from; written in that message's commit
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from msgspec import Struct

from protocol.ids import ConversationId, MessageId, SuggestionId, UserId
from protocol.suggestion.terms import ReplySource
from storage.database import Pool

#: Suggestions or uses that one statement counts.
COUNT_MAX = 500
#: Statements of one run.
PAGES_MAX = 20
#: A suggestion is unanswered if its reader sent none of this many next messages of the conversation.
MESSAGES_LOOKED_AT_MAX = 200
#: How long a suggestion waits for its reader's next message.
WAIT_MAX = timedelta(days=7)

_NIL = UUID(int=0)

_SHOWN = """
INSERT INTO suggestions (id, conversation_id, user_id, after_id, source, prompt, digests, shown_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING
"""
#: $1: rows, $2: the day. A use without a matching suggestion for that reader is not counted.
_COUNT_USED = """
WITH used AS (
    DELETE FROM suggestion_uses
     WHERE message_id IN (SELECT message_id FROM suggestion_uses ORDER BY message_id LIMIT $1) RETURNING *),
known AS (
    DELETE FROM suggestions s USING used u
     WHERE s.id = u.suggestion_id AND s.conversation_id = u.conversation_id AND s.user_id = u.user_id
    RETURNING s.source, s.prompt,
              CASE WHEN s.digests[u.reply_index + 1] = u.digest THEN 'accepted' ELSE 'edited' END AS outcome),
counted AS (
    INSERT INTO suggestion_counts (day, source, prompt, outcome, count)
    SELECT $2, source, prompt, outcome, count(*) FROM known GROUP BY source, prompt, outcome
     ORDER BY source, prompt, outcome
    ON CONFLICT (day, source, prompt, outcome) DO UPDATE SET count = suggestion_counts.count + excluded.count)
SELECT outcome, count(*) AS count FROM known GROUP BY outcome
 UNION ALL SELECT NULL, count(*) FROM used
"""
#: $1: rows, $2: the day, $3: those shown before are closed, $4: messages read, $5: only rows not checked since.
_COUNT_UNUSED = """
WITH page AS (
    SELECT * FROM suggestions WHERE looked_at < $5 ORDER BY looked_at LIMIT $1 FOR UPDATE SKIP LOCKED),
closing AS (
    SELECT p.id, p.source, p.prompt,
           CASE WHEN n.answered THEN 'ignored' WHEN p.shown_at < $3 THEN 'unanswered' END AS outcome
      FROM page p
     CROSS JOIN LATERAL (
        SELECT bool_or(m.sender_id = p.user_id) AS answered FROM (
            SELECT sender_id FROM messages
             WHERE conversation_id = p.conversation_id AND id > p.after_id ORDER BY id LIMIT $4) m) n
     WHERE NOT EXISTS (SELECT FROM suggestion_uses u WHERE u.suggestion_id = p.id)),
over AS (
    DELETE FROM suggestions s USING closing t WHERE s.id = t.id AND t.outcome IS NOT NULL
    RETURNING t.source, t.prompt, t.outcome),
waiting AS (
    UPDATE suggestions s SET looked_at = clock_timestamp() FROM page p
     WHERE s.id = p.id AND NOT EXISTS (SELECT FROM closing t WHERE t.id = p.id AND t.outcome IS NOT NULL)),
counted AS (
    INSERT INTO suggestion_counts (day, source, prompt, outcome, count)
    SELECT $2, source, prompt, outcome, count(*) FROM over GROUP BY source, prompt, outcome
     ORDER BY source, prompt, outcome
    ON CONFLICT (day, source, prompt, outcome) DO UPDATE SET count = suggestion_counts.count + excluded.count)
SELECT outcome, count(*) AS count FROM over GROUP BY outcome
 UNION ALL SELECT NULL, count(*) FROM page
"""


class ShownSuggestions(Struct, frozen=True, kw_only=True):
    """Five replies as shown to a reader."""

    id: SuggestionId
    conversation_id: ConversationId
    user_id: UserId
    #: The last message before them; None: there is none.
    after_id: MessageId | None
    source: ReplySource
    #: The prompt's name and version.
    prompt: str
    digests: Sequence[int]
    shown_at: datetime


async def record_shown(pool: Pool, shown: ShownSuggestions) -> None:
    """Store shown suggestions, to count their outcome later."""
    await pool.execute(
        _SHOWN,
        shown.id,
        shown.conversation_id,
        shown.user_id,
        shown.after_id or _NIL,
        shown.source.value,
        shown.prompt,
        shown.digests,
        shown.shown_at,
    )


async def count_outcomes(pool: Pool, now: datetime) -> dict[str, int]:
    """Count the outcomes of suggestions by the messages sent since. Returns the number of each outcome."""
    counts: Counter[str] = Counter()
    before: datetime = await pool.fetchval("SELECT clock_timestamp()")
    for sql, arguments in (
        (_COUNT_USED, ()),
        (_COUNT_UNUSED, (now - WAIT_MAX, MESSAGES_LOOKED_AT_MAX, before)),
    ):
        for _ in range(PAGES_MAX):
            *rows, looked_at = await pool.fetch(sql, COUNT_MAX, now.date(), *arguments)
            counts.update({row["outcome"]: row["count"] for row in rows})
            if looked_at["count"] < COUNT_MAX:
                break
    return counts


async def read_counts(pool: Pool) -> Mapping[tuple[str, str], int]:
    """Read the total counts by outcome and source."""
    rows = await pool.fetch("SELECT outcome, source, sum(count)::bigint AS count FROM suggestion_counts GROUP BY 1, 2")
    return {(row["outcome"], row["source"]): row["count"] for row in rows}

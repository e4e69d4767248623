-- Conversations, their messages, and suggested replies.

CREATE TABLE conversations (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    booking_id  uuid,
    business_id uuid,
    closes_at   timestamptz,
    created_at  timestamptz NOT NULL
);
COMMENT ON COLUMN conversations.kind IS 'data: none; kept: for good';
-- role: the member's role in this conversation; each role lists only its own conversations.
-- active_at: the last message's time, moved at most once a minute, so that a message need not write its conversation's rows.
CREATE TABLE conversation_members (
    conversation_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    role            text        NOT NULL,
    active_at       timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX conversation_members_listed ON conversation_members (user_id, role, active_at DESC, conversation_id DESC);
COMMENT ON COLUMN conversation_members.role IS 'data: user; kept: for good';
CREATE TABLE messages (
    id              uuid        PRIMARY KEY,
    conversation_id uuid        NOT NULL,
    sender_id       uuid        NOT NULL,
    text            text        NOT NULL,
    sent_at         timestamptz NOT NULL,
    edited_at       timestamptz,
    deleted_at      timestamptz
);
CREATE INDEX messages_conversation ON messages (conversation_id, id DESC);
COMMENT ON COLUMN messages.text IS 'data: author; kept: until erased';
-- How far each person has read; ids sort by time.
CREATE TABLE read_marks (
    conversation_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    message_id      uuid        NOT NULL,
    read_at         timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);

-- Suggested replies that are not counted yet. No text: digests tell whether one of them was sent as it was. A nil after_id:
-- nothing had been said. looked_at is by the database's clock; the row that was looked at longest ago is next.
CREATE TABLE suggestions (
    id              uuid        PRIMARY KEY,
    conversation_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    after_id        uuid        NOT NULL,
    source          text        NOT NULL CHECK (source IN ('model', 'local')),
    prompt          text        NOT NULL,
    digests         bigint[]    NOT NULL CHECK (cardinality(digests) = 5),
    shown_at        timestamptz NOT NULL,
    looked_at       timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX suggestions_looked ON suggestions (looked_at);
COMMENT ON COLUMN suggestions.source IS 'data: none; kept: until done';
COMMENT ON COLUMN suggestions.prompt IS 'data: none; kept: until done';

-- Messages that say that they came from a suggestion, until they are counted.
CREATE TABLE suggestion_uses (
    message_id      uuid     PRIMARY KEY,
    conversation_id uuid     NOT NULL,
    user_id         uuid     NOT NULL,
    suggestion_id   uuid     NOT NULL,
    reply_index     smallint NOT NULL CHECK (reply_index BETWEEN 0 AND 4),
    digest          bigint   NOT NULL
);
CREATE INDEX suggestion_uses_suggestion ON suggestion_uses (suggestion_id);

-- unanswered: its reader said nothing more, or not for long.
CREATE TABLE suggestion_counts (
    day     date   NOT NULL,
    source  text   NOT NULL,
    prompt  text   NOT NULL,
    outcome text   NOT NULL CHECK (outcome IN ('accepted', 'edited', 'ignored', 'unanswered')),
    count   bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (day, source, prompt, outcome)
);
COMMENT ON COLUMN suggestion_counts.source IS 'data: none; kept: for good';
COMMENT ON COLUMN suggestion_counts.prompt IS 'data: none; kept: for good';
COMMENT ON COLUMN suggestion_counts.outcome IS 'data: none; kept: for good';

SELECT make_row_writers(t) FROM unnest(ARRAY[
    'conversations', 'conversation_members', 'messages', 'read_marks', 'suggestion_uses']) t;

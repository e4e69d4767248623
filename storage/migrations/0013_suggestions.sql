-- Suggested replies: what was suggested until it is known what came of it, and how often what came of them.

-- Without a word of the replies: digests tell whether one of them was sent as it was. A nil after_id: nobody had said
-- anything. looked_at is by the database's clock: whoever was looked at longest ago is next.
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

SELECT make_row_writers('suggestion_uses');

-- What asking a language model leaves behind.

-- Answers that were given before. They may be lost at any time, so a crash may empty it.
CREATE UNLOGGED TABLE llm_cache (
    key        bytea       PRIMARY KEY,
    answer     bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What each user has cost on a day (UTC). It is taken before the model is asked, and corrected afterwards.
CREATE TABLE llm_spending (
    user_id      uuid   NOT NULL,
    day          date   NOT NULL,
    microdollars bigint NOT NULL CHECK (microdollars >= 0),
    PRIMARY KEY (user_id, day)
) WITH (fillfactor = 70);

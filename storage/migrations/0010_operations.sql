-- What the server keeps for its own operation.

-- Background jobs, one row each. done_for: the due time that was dealt with last, by the domain's clock; the other instants are
-- by the database's. A job that has never run starts with the due time before its first start, so that it is not made up.
CREATE TABLE jobs (
    name         text        PRIMARY KEY,
    done_for     timestamptz NOT NULL,
    started_at   timestamptz,
    succeeded_at timestamptz,
    -- Null unless the last run failed.
    failed_at    timestamptz,
    error        text,
    took_s       float8,
    counts       jsonb
);
COMMENT ON COLUMN jobs.name IS 'data: none; kept: for good';
COMMENT ON COLUMN jobs.error IS 'data: none; kept: until replaced';
COMMENT ON COLUMN jobs.counts IS 'data: none; kept: until replaced';

-- Answers of the language model that may be given again. They may be lost at any time, so a crash may empty the table.
CREATE UNLOGGED TABLE llm_cache (
    key        bytea       PRIMARY KEY,
    answer     bytea       NOT NULL,
    expires_at timestamptz NOT NULL
);

-- What each user has spent on the language model on a day (UTC); reserved before a request, and corrected afterwards.
CREATE TABLE llm_spending (
    user_id      uuid   NOT NULL,
    day          date   NOT NULL,
    microdollars bigint NOT NULL CHECK (microdollars >= 0),
    PRIMARY KEY (user_id, day)
) WITH (fillfactor = 70);

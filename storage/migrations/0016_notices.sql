-- What admins write to people; events point to it, so that it can be erased.
CREATE TABLE notices (
    id      uuid        PRIMARY KEY,
    title   text        NOT NULL,
    body    text        NOT NULL,
    sent_by uuid        NOT NULL,
    at      timestamptz NOT NULL
);
SELECT make_row_writers('notices');

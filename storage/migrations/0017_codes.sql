-- Where a user's code was sent: what becomes theirs once they send it back. Gone with the code, or the night after.
CREATE TABLE code_targets (
    user_id    uuid        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('phone', 'email', 'password')),
    target     text        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);

SELECT make_row_writers('code_targets');

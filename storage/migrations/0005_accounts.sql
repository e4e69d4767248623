-- People and their accounts: contact data and password hashes stand in rows of their own, which can be erased.

CREATE TABLE people (
    user_id           uuid PRIMARY KEY,
    email             text NOT NULL,
    name              text NOT NULL,
    -- E.164.
    phone_number      text,
    profile_image_url text,
    language          text NOT NULL
);

-- password_version counts a user's passwords, so that a hash made anew is never of one that was changed meanwhile.
CREATE TABLE credentials (
    user_id          uuid PRIMARY KEY,
    password_hash    text NOT NULL,
    password_version int  NOT NULL CHECK (password_version > 0)
);

-- What queries know of a user beside that. memberships: [{role, business_id, manager}]; sessions: [{session_id, device, …}].
CREATE TABLE users (
    user_id           uuid        PRIMARY KEY,
    is_email_verified boolean     NOT NULL,
    is_phone_verified boolean     NOT NULL,
    memberships       jsonb       NOT NULL,
    sessions          jsonb       NOT NULL,
    created_at        timestamptz NOT NULL,
    last_login_at     timestamptz
) WITH (fillfactor = 70);

SELECT make_row_writers(t) FROM unnest(ARRAY['people', 'credentials', 'users']) t;

-- What was taken away lately, for a node that starts: its access tokens must not come to life again.
CREATE INDEX journal_taken_away ON journal (at)
 WHERE type IN ('session.ended', 'session.revoked', 'role.revoked', 'role.granted');

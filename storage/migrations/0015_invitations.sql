-- Invitations to become a member of a business; deleted when accepted or when their time is over.
CREATE TABLE invitations (
    id          uuid        PRIMARY KEY,
    business_id uuid        NOT NULL,
    -- The invited person; no such user need exist.
    user_id     uuid        NOT NULL,
    -- The person's place for an open invitation.
    place       int         NOT NULL,
    role        text        NOT NULL CHECK (role IN ('employee', 'staff')),
    manager     boolean     NOT NULL,
    bio         text        NOT NULL,
    -- When they would work, as OpenHours; null: whenever the business is open.
    working     jsonb,
    status      text        NOT NULL CHECK (status IN ('invited', 'declined', 'withdrawn')),
    invited_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX invitations_user ON invitations (user_id);
CREATE INDEX invitations_business ON invitations (business_id);
COMMENT ON COLUMN invitations.role IS 'data: user; kept: until done';
COMMENT ON COLUMN invitations.bio IS 'data: user; kept: until done';
COMMENT ON COLUMN invitations.working IS 'data: user; kept: until done';
COMMENT ON COLUMN invitations.status IS 'data: user; kept: until done';
SELECT make_row_writers('invitations');

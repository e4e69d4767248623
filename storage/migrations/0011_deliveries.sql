-- Deliveries: one message to one address over one channel.

-- Notifications that nobody has planned deliveries for yet.
CREATE TABLE notification_queue (
    user_id         uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    at              timestamptz NOT NULL,
    PRIMARY KEY (user_id, notification_id)
);
CREATE INDEX notification_queue_at ON notification_queue (at);

-- leased_until is by the database's clock, due_at and expires_at by the domain's, which can be moved in development.
CREATE TABLE deliveries (
    id               uuid        PRIMARY KEY,
    user_id          uuid        NOT NULL,
    notification_id  uuid,
    template         text        NOT NULL,
    channel          text        NOT NULL CHECK (channel IN ('email', 'push', 'web_push', 'sms', 'whatsapp')),
    device_id        uuid,
    address          text,
    secret           text,
    critical         boolean     NOT NULL,
    due_at           timestamptz NOT NULL,
    expires_at       timestamptz,
    unless           text        CHECK (unless IN ('delivered', 'seen')),
    state            text        NOT NULL CHECK (state IN ('waiting', 'sending', 'sent', 'skipped', 'dead')),
    attempts         smallint    NOT NULL CHECK (attempts >= 0),
    unknown_outcomes smallint    NOT NULL CHECK (unknown_outcomes BETWEEN 0 AND attempts),
    at               timestamptz NOT NULL,
    leased_until     timestamptz,
    finished_at      timestamptz,
    -- Why the last attempt failed, or why it was skipped: a code.
    reason           text,
    -- The provider's own name for it.
    provider_id      text,
    CHECK ((state = 'sending') = (leased_until IS NOT NULL)),
    CHECK ((state IN ('sent', 'skipped', 'dead')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('sent', 'skipped') OR (secret IS NULL AND address IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX deliveries_due ON deliveries (channel, critical, due_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'sending';
CREATE INDEX deliveries_dead ON deliveries (finished_at DESC, id DESC) WHERE state = 'dead';
CREATE INDEX deliveries_notification ON deliveries (notification_id) WHERE notification_id IS NOT NULL;

-- What channels without a provider would have sent; in development only.
CREATE TABLE mailbox (
    id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    channel text        NOT NULL,
    -- The delivery's id.
    delivery_id uuid    NOT NULL,
    message jsonb       NOT NULL
);

SELECT make_row_writers('deliveries');

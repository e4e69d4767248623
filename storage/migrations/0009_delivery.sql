-- Notifying people: the outbox, notifications, and their deliveries.

-- A decision writes one entry for an event that people are to be notified of, in its own commit. It becomes one notification
-- for each recipient in the transaction that deletes it. Kind, entity_id and version are its event's place in their inboxes.
CREATE TABLE outbox (
    id         uuid        PRIMARY KEY,
    type       text        NOT NULL,
    kind       text        NOT NULL,
    entity_id  uuid        NOT NULL,
    version    bigint      NOT NULL DEFAULT 0,
    event      jsonb       NOT NULL,
    recipients uuid[]      NOT NULL,
    at         timestamptz NOT NULL
);
COMMENT ON COLUMN outbox.type IS 'data: none; kept: until done';
COMMENT ON COLUMN outbox.kind IS 'data: none; kept: until done';
COMMENT ON COLUMN outbox.event IS 'data: none; kept: until done';

-- event: ids, codes and amounts.
CREATE TABLE notifications (
    user_id   uuid        NOT NULL,
    id        uuid        NOT NULL,
    type      text        NOT NULL,
    kind      text        NOT NULL,
    entity_id uuid        NOT NULL,
    version   bigint      NOT NULL DEFAULT 0,
    event     jsonb       NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX notifications_listed ON notifications (user_id, at DESC, id DESC);
COMMENT ON COLUMN notifications.type IS 'data: none; kept: retention.notifications_unread_days';
COMMENT ON COLUMN notifications.kind IS 'data: none; kept: retention.notifications_unread_days';
COMMENT ON COLUMN notifications.event IS 'data: none; kept: retention.notifications_unread_days';

-- Read one by one, or all up to an instant.
CREATE TABLE notification_reads (
    user_id         uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    read_at         timestamptz NOT NULL,
    PRIMARY KEY (user_id, notification_id)
);
CREATE TABLE notification_marks (
    user_id    uuid        PRIMARY KEY,
    read_until timestamptz NOT NULL
);

-- Notifications that have no deliveries yet.
CREATE TABLE routing_queue (
    user_id         uuid        NOT NULL,
    notification_id uuid        NOT NULL,
    at              timestamptz NOT NULL,
    PRIMARY KEY (user_id, notification_id)
);
CREATE INDEX routing_queue_at ON routing_queue (at);

-- One message to one address over one channel. leased_until is by the database's clock, due_at and expires_at by the domain's,
-- which can be moved in development.
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
    -- Attempts from before it was last sent again; the others count towards the next death.
    earlier_attempts smallint    NOT NULL DEFAULT 0 CHECK (earlier_attempts BETWEEN 0 AND attempts),
    -- How far the message got after the provider took it, and the provider's own code for why not; null until it reports.
    provider_state   text,
    provider_code    int,
    CHECK ((state = 'sending') = (leased_until IS NOT NULL)),
    CHECK ((state IN ('sent', 'skipped', 'dead')) = (finished_at IS NOT NULL)),
    CHECK (state NOT IN ('sent', 'skipped') OR (secret IS NULL AND address IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX deliveries_due ON deliveries (channel, critical, due_at, id) WHERE state = 'waiting';
CREATE INDEX deliveries_leased ON deliveries (leased_until) WHERE state = 'sending';
CREATE INDEX deliveries_listed ON deliveries (state, (coalesce(finished_at, due_at)) DESC, id DESC);
CREATE INDEX deliveries_notification ON deliveries (notification_id) WHERE notification_id IS NOT NULL;
COMMENT ON COLUMN deliveries.template IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.channel IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.address IS 'data: user; kept: until done';
COMMENT ON COLUMN deliveries.secret IS 'data: secret; kept: until done';
COMMENT ON COLUMN deliveries.unless IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.state IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.reason IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.provider_id IS 'data: provider; kept: retention.deliveries_days';
COMMENT ON COLUMN deliveries.provider_state IS 'data: provider; kept: retention.deliveries_days';

-- One digest for each reader and local day; the transaction that makes the row queues its delivery.
CREATE TABLE digests (
    user_id     uuid NOT NULL,
    day         date NOT NULL,
    delivery_id uuid NOT NULL UNIQUE,
    PRIMARY KEY (user_id, day)
);
-- What was put off to it. digest_id: the delivery that listed it.
CREATE TABLE digest_items (
    user_id         uuid NOT NULL,
    notification_id uuid NOT NULL,
    day             date NOT NULL,
    digest_id       uuid,
    PRIMARY KEY (user_id, notification_id)
);
CREATE INDEX digest_items_open ON digest_items (user_id, day) WHERE digest_id IS NULL;
CREATE INDEX digest_items_listed ON digest_items (digest_id) WHERE digest_id IS NOT NULL;

-- Numbers that said STOP: nothing goes there by SMS or WhatsApp, however critical it is, until they say START.
CREATE TABLE opted_out_numbers (
    -- E.164.
    number     text        PRIMARY KEY,
    stopped_at timestamptz NOT NULL
);
COMMENT ON COLUMN opted_out_numbers.number IS 'data: user; kept: until replaced';

-- Replies to short messages that had an effect, without number and text: each counts once, however often it comes.
CREATE TABLE sms_replies (
    provider_id text        PRIMARY KEY,
    means       text        NOT NULL CHECK (means IN ('stop', 'start', 'other')),
    received_at timestamptz NOT NULL
);
COMMENT ON COLUMN sms_replies.provider_id IS 'data: provider; kept: retention.unmatched_webhooks_days';
COMMENT ON COLUMN sms_replies.means IS 'data: none; kept: retention.unmatched_webhooks_days';

-- What channels without a provider would have sent; in development only.
CREATE TABLE development_mailbox (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT now(),
    channel     text        NOT NULL,
    delivery_id uuid        NOT NULL,
    message     jsonb       NOT NULL
);
CREATE INDEX development_mailbox_channel ON development_mailbox (channel, id DESC);
COMMENT ON COLUMN development_mailbox.channel IS 'data: none; kept: retention.deliveries_days';
COMMENT ON COLUMN development_mailbox.message IS 'data: user; kept: retention.deliveries_days';

SELECT make_row_writers(t) FROM unnest(ARRAY['outbox', 'notification_reads', 'notification_marks', 'deliveries']) t;

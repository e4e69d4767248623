-- What people are told of. A decision writes one announcement for an event, in its own commit; each announcement becomes
-- one notification for each of its recipients, in the transaction that takes it away.
CREATE TABLE announcements (
    id         uuid        PRIMARY KEY,
    type       text        NOT NULL,
    kind       text        NOT NULL,
    entity_id  uuid        NOT NULL,
    event      jsonb       NOT NULL,
    recipients uuid[]      NOT NULL,
    at         timestamptz NOT NULL
);

CREATE TABLE notifications (
    user_id   uuid        NOT NULL,
    id        uuid        NOT NULL,
    type      text        NOT NULL,
    kind      text        NOT NULL,
    entity_id uuid        NOT NULL,
    -- The event: ids, codes and amounts.
    event     jsonb       NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (user_id, id)
);
CREATE INDEX notifications_listed ON notifications (user_id, at DESC, id DESC);

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

SELECT make_row_writers(t) FROM unnest(ARRAY['announcements', 'notification_reads', 'notification_marks']) t;

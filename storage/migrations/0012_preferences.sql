-- How people want to be reached, and what is put off to a digest.

-- With kind and entity_id, a notification's place in its reader's inbox. 0: it was told before places were kept.
ALTER TABLE announcements ADD COLUMN version bigint NOT NULL DEFAULT 0;
ALTER TABLE notifications ADD COLUMN version bigint NOT NULL DEFAULT 0;
SELECT make_row_writers('announcements');

CREATE TABLE notification_preferences (
    user_id        uuid     PRIMARY KEY,
    zone           text     NOT NULL,
    -- {"from": "22:00", "until": "07:00"}, on the wall clocks of the zone.
    quiet_hours    jsonb,
    -- type of notification → channels; a type that is not there goes by all of its channels.
    channels       jsonb    NOT NULL,
    frequency      text     NOT NULL CHECK (frequency IN ('MINIMAL', 'MODERATE', 'FREQUENT')),
    contact_method text     CHECK (contact_method IN ('WHATSAPP', 'EMAIL', 'PHONE', 'SMS')),
    -- {"weekdays": ["morning"], "weekends": ["any"]}
    contact_times  jsonb,
    digest_hour    smallint NOT NULL CHECK (digest_hour BETWEEN 0 AND 23)
);
SELECT make_row_writers('notification_preferences');

-- One digest for each reader and local day; whoever makes the row queues its delivery.
CREATE TABLE digests (
    user_id     uuid NOT NULL,
    day         date NOT NULL,
    delivery_id uuid NOT NULL UNIQUE,
    PRIMARY KEY (user_id, day)
);
-- What was put off to it. listed_in: the delivery that told of it.
CREATE TABLE digest_items (
    user_id         uuid NOT NULL,
    notification_id uuid NOT NULL,
    day             date NOT NULL,
    listed_in       uuid,
    PRIMARY KEY (user_id, notification_id)
);
CREATE INDEX digest_items_open ON digest_items (user_id, day) WHERE listed_in IS NULL;
CREATE INDEX digest_items_listed ON digest_items (listed_in) WHERE listed_in IS NOT NULL;

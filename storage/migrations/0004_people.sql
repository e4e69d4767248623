-- People: who they are, how they sign in, and how they want to be reached.

-- Contact data; a row of its own, so that it can be erased.
CREATE TABLE people (
    user_id           uuid PRIMARY KEY,
    email             text NOT NULL,
    name              text NOT NULL,
    -- E.164.
    phone_number      text,
    profile_image_url text,
    language          text NOT NULL
);
COMMENT ON COLUMN people.email IS 'data: user; kept: until erased';
COMMENT ON COLUMN people.name IS 'data: user; kept: until erased';
COMMENT ON COLUMN people.phone_number IS 'data: user; kept: until erased';
COMMENT ON COLUMN people.profile_image_url IS 'data: user; kept: until erased';
COMMENT ON COLUMN people.language IS 'data: user; kept: until erased';

-- password_version counts a user's passwords, so that a hash is never renewed for a password that was changed meanwhile.
CREATE TABLE credentials (
    user_id          uuid PRIMARY KEY,
    password_hash    text NOT NULL,
    password_version int  NOT NULL CHECK (password_version > 0)
);
COMMENT ON COLUMN credentials.password_hash IS 'data: secret; kept: until replaced';

-- What queries need of a user. memberships: [{role, business_id, manager}]; sessions: [{session_id, device, …}].
CREATE TABLE users (
    user_id           uuid        PRIMARY KEY,
    is_email_verified boolean     NOT NULL,
    is_phone_verified boolean     NOT NULL,
    memberships       jsonb       NOT NULL,
    sessions          jsonb       NOT NULL,
    created_at        timestamptz NOT NULL,
    last_login_at     timestamptz
) WITH (fillfactor = 70);
COMMENT ON COLUMN users.memberships IS 'data: user; kept: until replaced';
COMMENT ON COLUMN users.sessions IS 'data: user; kept: until replaced';

-- Where a user's code was sent: it becomes theirs once they send the code back. Deleted with the code, or the night after.
CREATE TABLE code_targets (
    user_id    uuid        NOT NULL,
    purpose    text        NOT NULL CHECK (purpose IN ('phone', 'email', 'password')),
    target     text        NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, purpose)
);
COMMENT ON COLUMN code_targets.purpose IS 'data: none; kept: until expired';
COMMENT ON COLUMN code_targets.target IS 'data: user; kept: until expired';

-- Telephones and browsers that push messages go to. An address has one holder: the user who registered it last.
CREATE TABLE devices (
    -- Half of the address's SHA-256.
    address_hash  text        PRIMARY KEY,
    device_id     uuid        NOT NULL UNIQUE,
    user_id       uuid        NOT NULL,
    session_id    uuid,
    platform      text        NOT NULL CHECK (platform IN ('fcm', 'web')),
    -- A token of FCM, or the endpoint of a browser's subscription: with it anyone can write to the device.
    address       text        NOT NULL,
    p256dh        text,
    auth          text,
    registered_at timestamptz NOT NULL,
    used_at       timestamptz NOT NULL,
    CHECK (platform = 'fcm' OR p256dh IS NOT NULL AND auth IS NOT NULL)
);
CREATE INDEX devices_user ON devices (user_id);
COMMENT ON COLUMN devices.address_hash IS 'data: user; kept: until erased';
COMMENT ON COLUMN devices.platform IS 'data: user; kept: until erased';
COMMENT ON COLUMN devices.address IS 'data: secret; kept: until erased';
COMMENT ON COLUMN devices.p256dh IS 'data: secret; kept: until erased';
COMMENT ON COLUMN devices.auth IS 'data: secret; kept: until erased';

-- Saved addresses of users: an owned record. Its columns are the row's, in order.
CREATE TABLE addresses (
    owner_id    uuid             NOT NULL,
    id          uuid             PRIMARY KEY,
    place       smallint         NOT NULL,
    label       text             NOT NULL,
    street      text             NOT NULL,
    details     text             NOT NULL,
    postal_code text             NOT NULL,
    city        text             NOT NULL,
    region      text             NOT NULL,
    country     text             NOT NULL,
    latitude    double precision,
    longitude   double precision,
    put_at      timestamptz      NOT NULL,
    UNIQUE (owner_id, place)
);
CREATE INDEX addresses_listed ON addresses (owner_id, put_at, id);
COMMENT ON COLUMN addresses.label IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.street IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.details IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.postal_code IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.city IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.region IS 'data: user; kept: until erased';
COMMENT ON COLUMN addresses.country IS 'data: user; kept: until erased';

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
COMMENT ON COLUMN notification_preferences.zone IS 'data: user; kept: until erased';
COMMENT ON COLUMN notification_preferences.quiet_hours IS 'data: user; kept: until erased';
COMMENT ON COLUMN notification_preferences.channels IS 'data: user; kept: until erased';
COMMENT ON COLUMN notification_preferences.frequency IS 'data: user; kept: until erased';
COMMENT ON COLUMN notification_preferences.contact_method IS 'data: user; kept: until erased';
COMMENT ON COLUMN notification_preferences.contact_times IS 'data: user; kept: until erased';

-- What admins write to people; events point to it, so that it can be erased.
CREATE TABLE notices (
    id      uuid        PRIMARY KEY,
    title   text        NOT NULL,
    body    text        NOT NULL,
    sent_by uuid        NOT NULL,
    at      timestamptz NOT NULL
);
COMMENT ON COLUMN notices.title IS 'data: author; kept: retention.notifications_unread_days';
COMMENT ON COLUMN notices.body IS 'data: author; kept: retention.notifications_unread_days';

SELECT make_row_writers(t) FROM unnest(ARRAY[
    'people', 'credentials', 'users', 'code_targets', 'devices', 'addresses', 'notification_preferences', 'notices']) t;

-- By the device, which one user has: an address that another user has registered meanwhile is theirs, and stays.
CREATE OR REPLACE FUNCTION drop_devices(data json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM devices t USING json_populate_recordset(NULL::devices, data) k WHERE t.device_id = k.device_id;
END $$;

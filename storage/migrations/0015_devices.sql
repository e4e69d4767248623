-- Telephones and browsers that push messages go to. An address has one holder: whoever registered it last.
CREATE TABLE devices (
    -- Half of the address's SHA-256.
    address_hash  text        PRIMARY KEY,
    device_id     uuid        NOT NULL UNIQUE,
    user_id       uuid        NOT NULL,
    session_id    uuid,
    platform      text        NOT NULL CHECK (platform IN ('fcm', 'web')),
    -- A token of FCM, or the endpoint of a browser's subscription: whoever has it can write to the device.
    address       text        NOT NULL,
    p256dh        text,
    auth          text,
    registered_at timestamptz NOT NULL,
    used_at       timestamptz NOT NULL,
    CHECK (platform = 'fcm' OR p256dh IS NOT NULL AND auth IS NOT NULL)
);
CREATE INDEX devices_user ON devices (user_id);

SELECT make_row_writers('devices');

-- By the device, which one user has: where its address has moved on, nobody else's is taken.
CREATE OR REPLACE FUNCTION drop_devices(data json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM devices t USING json_populate_recordset(NULL::devices, data) k WHERE t.device_id = k.device_id;
END $$;

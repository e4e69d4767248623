-- What providers of short messages tell us.

-- How far a message got after the provider took it, and the provider's own code for why not; null as long as it has told nothing.
ALTER TABLE deliveries ADD COLUMN provider_state text, ADD COLUMN provider_code int;

-- Numbers that said STOP: nothing goes there by SMS or WhatsApp, however critical it is, until they say START.
CREATE TABLE stopped_numbers (
    -- E.164.
    number     text        PRIMARY KEY,
    stopped_at timestamptz NOT NULL
);

-- Answers that were heeded, without number and text: each counts once, however often it comes.
CREATE TABLE inbound_messages (
    provider_id text        PRIMARY KEY,
    means       text        NOT NULL CHECK (means IN ('stop', 'start', 'other')),
    received_at timestamptz NOT NULL
);

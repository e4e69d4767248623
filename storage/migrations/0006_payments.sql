-- Payments and wallets.

-- What a payment gateway said, verified, and what we had no use for: unknown types, payments that are none of ours. For
-- an operator to look at; kept for a while.
CREATE TABLE gateway_events (
    gateway     text        NOT NULL,
    event_id    text        NOT NULL,
    type        text        NOT NULL,
    problem     text        NOT NULL,
    body        text        NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (gateway, event_id)
);

-- Somebody's wallets are found by the beginning of the account's name, which only a bytewise order can look up. Both tables,
-- for an index serves comparisons in its own order only.
ALTER TABLE balances ALTER COLUMN account TYPE text COLLATE "C";
ALTER TABLE transfers ALTER COLUMN debit TYPE text COLLATE "C", ALTER COLUMN credit TYPE text COLLATE "C";

-- What a business has still to do, out of all that it ever did.
CREATE INDEX bookings_open ON bookings (business_id, starts_at DESC, id DESC)
 WHERE status IN ('PENDING', 'CONFIRMED', 'DECLINED', 'IN_PROGRESS');

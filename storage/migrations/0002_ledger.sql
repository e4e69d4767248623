-- The ledger: transfers between accounts, the balances of wallets, holds, and the hash chain over the transfers.

-- One row moves an amount from one account to another, so it balances by construction. `kind` and `subject_id` name the actor
-- that decided it. The accounts of one owner are found by the beginning of their names, which needs a bytewise order.
CREATE TABLE transfers (
    id           uuid        PRIMARY KEY,
    debit        text        COLLATE "C" NOT NULL,
    credit       text        COLLATE "C" NOT NULL CHECK (credit <> debit),
    amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
    currency     text        NOT NULL,
    reason       text        NOT NULL,
    kind         text        NOT NULL,
    subject_id   uuid        NOT NULL,
    at           timestamptz NOT NULL,
    CHECK (debit LIKE '%/' || currency AND credit LIKE '%/' || currency)
);
CREATE INDEX transfers_debit ON transfers (debit, at);
CREATE INDEX transfers_credit ON transfers (credit, at);
COMMENT ON COLUMN transfers.debit IS 'data: none; kept: for good';
COMMENT ON COLUMN transfers.credit IS 'data: none; kept: for good';
COMMENT ON COLUMN transfers.currency IS 'data: none; kept: for good';
COMMENT ON COLUMN transfers.reason IS 'data: none; kept: for good';
COMMENT ON COLUMN transfers.kind IS 'data: none; kept: for good';

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_kept BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Only wallets have a balance row; a system account is the sum of its transfers.
CREATE TABLE balances (
    account       text   COLLATE "C" PRIMARY KEY,
    balance_minor bigint NOT NULL CONSTRAINT balances_funded CHECK (balance_minor >= 0)
) WITH (fillfactor = 50);
COMMENT ON COLUMN balances.account IS 'data: none; kept: for good';

-- Money promised to a business for a subject (a booking, …); in escrow once it is funded, posted or voided once.
CREATE TABLE holds (
    id              uuid        PRIMARY KEY,
    subject_kind    text        NOT NULL,
    subject_id      uuid        NOT NULL,
    business_id     uuid        NOT NULL,
    purpose         text        NOT NULL,
    currency        text        NOT NULL,
    amount_minor    bigint      NOT NULL CHECK (amount_minor >= 0),
    remaining_minor bigint      NOT NULL CHECK (remaining_minor >= 0),
    status          text        NOT NULL CHECK (status IN ('HELD', 'FUNDED', 'PENDING_CLEARANCE', 'POSTED', 'VOIDED')),
    at              timestamptz NOT NULL,
    CHECK (status NOT IN ('HELD', 'POSTED', 'VOIDED') OR remaining_minor = 0)
);
-- What a business will get: only what is in escrow, however many holds it ever had.
CREATE INDEX holds_pending ON holds (business_id, currency) WHERE status IN ('FUNDED', 'PENDING_CLEARANCE');
COMMENT ON COLUMN holds.subject_kind IS 'data: none; kept: for good';
COMMENT ON COLUMN holds.purpose IS 'data: none; kept: for good';
COMMENT ON COLUMN holds.currency IS 'data: none; kept: for good';
COMMENT ON COLUMN holds.status IS 'data: none; kept: for good';

-- The hash chain: each seal hashes the one before it and some transfers, so that none can be changed, removed or inserted
-- afterwards without changing every later seal. It is made in the background, by one sealer at a time.

-- Transfers that no seal covers yet. Written in the commit of the transfer itself: what commits late is in here as surely as
-- what commits early, whatever its id and time are, and after a restore as well.
CREATE TABLE unsealed_transfers (
    transfer_id uuid        PRIMARY KEY,
    queued_at   timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE ledger_seals (
    number    bigint      PRIMARY KEY CHECK (number > 0),
    -- The hash of the seal before; 32 zero bytes for the first. A chain does not fork.
    previous  bytea       NOT NULL UNIQUE CHECK (octet_length(previous) = 32),
    hash      bytea       NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    transfers integer     NOT NULL CHECK (transfers > 0),
    sealed_at timestamptz NOT NULL
);

-- Which transfers a seal covers, and in which order. `digest` is the hash of one transfer's bytes: it is no part of the
-- chain, and names the one that was changed when a seal does not fit.
CREATE TABLE sealed_transfers (
    seal        bigint  NOT NULL REFERENCES ledger_seals (number),
    position    integer NOT NULL CHECK (position > 0),
    transfer_id uuid    NOT NULL CONSTRAINT transfers_sealed_once UNIQUE,
    digest      bytea   NOT NULL CHECK (octet_length(digest) = 32),
    PRIMARY KEY (seal, position)
);

CREATE TRIGGER ledger_seals_immutable BEFORE UPDATE OR DELETE ON ledger_seals
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_seals_kept BEFORE TRUNCATE ON ledger_seals
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_transfers_immutable BEFORE UPDATE OR DELETE ON sealed_transfers
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER sealed_transfers_kept BEFORE TRUNCATE ON sealed_transfers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE FUNCTION queue_for_seal() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unsealed_transfers (transfer_id) SELECT id FROM added ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
CREATE TRIGGER transfers_queued AFTER INSERT ON transfers
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION queue_for_seal();

-- The canonical bytes (docs/decisions/*-the-ledger-is-sealed-behind.md): a text is its UTF-8 behind its length in four
-- bytes; numbers are signed and big-endian; an instant is microseconds since 1970 in eight bytes; an id its sixteen bytes.
CREATE FUNCTION seal_text(value text) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT int4send(octet_length(convert_to(value, 'UTF8'))) || convert_to(value, 'UTF8')
$$;
CREATE FUNCTION seal_instant(value timestamptz) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT int8send((extract(epoch FROM value) * 1000000)::bigint)
$$;
CREATE FUNCTION transfer_bytes(t transfers) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT uuid_send(t.id) || seal_text(t.debit) || seal_text(t.credit) || int8send(t.amount_minor) || seal_text(t.currency)
        || seal_text(t.reason) || seal_text(t.kind) || uuid_send(t.subject_id) || seal_instant(t.at)
$$;

-- Seal the next transfers, `wanted` at most. `taken` tells how many left the queue, and is NULL while another one seals;
-- `sealed` of them are in the seal `number`. Its settings keep every lookup an index lookup, whatever the planner knows of
-- tables that grow all the time.
CREATE FUNCTION seal_v1(wanted int, OUT number bigint, OUT sealed int, OUT taken int) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
    ids     uuid[];
    digests bytea[];
    covered bytea;
    before  bytea;
    moment  timestamptz := clock_timestamp();
BEGIN
    -- Until this is committed; whoever gets it next sees this seal, as each statement below has a snapshot of its own.
    IF NOT pg_try_advisory_xact_lock(hashtext('guildwire.ledger_seals')) THEN
        RETURN;
    END IF;
    WITH next AS (
        SELECT transfer_id FROM unsealed_transfers ORDER BY transfer_id LIMIT wanted),
    gone AS (
        DELETE FROM unsealed_transfers u USING next n WHERE u.transfer_id = n.transfer_id RETURNING u.transfer_id),
    -- What is sealed already was queued again by hand, or by a restore of the data alone.
    fresh AS (
        SELECT t.id, transfer_bytes(t) AS bytes FROM gone g JOIN transfers t ON t.id = g.transfer_id
         WHERE NOT EXISTS (SELECT FROM sealed_transfers s WHERE s.transfer_id = t.id))
    SELECT (SELECT count(*) FROM gone), array_agg(f.id ORDER BY f.id), array_agg(sha256(f.bytes) ORDER BY f.id),
           string_agg(f.bytes, '' ORDER BY f.id)
      INTO taken, ids, digests, covered FROM fresh f;
    sealed := coalesce(cardinality(ids), 0);
    IF sealed = 0 THEN
        RETURN;
    END IF;
    SELECT s.number + 1, s.hash INTO number, before FROM ledger_seals s ORDER BY s.number DESC LIMIT 1;
    number := coalesce(number, 1);
    before := coalesce(before, decode(repeat('00', 32), 'hex'));
    INSERT INTO ledger_seals (number, previous, hash, transfers, sealed_at)
    VALUES (number, before, sha256(before || int8send(number) || seal_instant(moment) || int4send(sealed) || covered),
            sealed, moment);
    INSERT INTO sealed_transfers (seal, position, transfer_id, digest)
    SELECT number, x.position, x.id, x.digest FROM unnest(ids, digests) WITH ORDINALITY x(id, digest, position);
END $$;

-- The core: what every decision writes. Nothing here knows a booking from a chat, except slots and holds.

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- One row an actor: the truth that activations cache. `version` counts its events; `stamp` is the random mark of the
-- decision that wrote the row, so that a queued decision of a stale activation cannot land on somebody else's version.
CREATE TABLE actors (
    kind    text     NOT NULL,
    id      uuid     NOT NULL,
    version bigint   NOT NULL CHECK (version > 0),
    stamp   bigint   NOT NULL,
    schema  smallint NOT NULL,
    state   jsonb    NOT NULL,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 80);

-- What happened, for good: replaying an actor's rows gives its state. Ids, codes and amounts only.
CREATE TABLE journal (
    kind      text        NOT NULL,
    id        uuid        NOT NULL,
    version   bigint      NOT NULL,
    type      text        NOT NULL,
    schema    smallint    NOT NULL,
    data      jsonb       NOT NULL,
    at        timestamptz NOT NULL,
    principal uuid        NOT NULL,
    cause     text        NOT NULL,
    PRIMARY KEY (kind, id, version)
);

-- The answer to each command, by who sent it and under which id: a retry finds it here.
CREATE TABLE command_log (
    principal uuid        NOT NULL,
    key       text        NOT NULL,
    hash      bytea       NOT NULL,
    command   text        NOT NULL,
    kind      text        NOT NULL,
    id        uuid        NOT NULL,
    version   bigint      NOT NULL,
    refused   boolean     NOT NULL,
    reply     text        NOT NULL,
    seq       bigint,
    at        timestamptz NOT NULL,
    PRIMARY KEY (principal, key)
);
CREATE INDEX command_log_at ON command_log USING brin (at);

-- Each user's own numbered stream of events; contiguous, since the counter moves in the commit that writes the rows.
CREATE TABLE inbox_counters (
    user_id uuid   PRIMARY KEY,
    seq     bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE inbox (
    user_id uuid        NOT NULL,
    seq     bigint      NOT NULL,
    kind    text        NOT NULL,
    id      uuid        NOT NULL,
    version bigint      NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (user_id, seq)
);

-- Everything that must happen later: timers (named) and messages between actors (unnamed).
CREATE TABLE agenda (
    id         uuid        PRIMARY KEY,
    kind       text        NOT NULL,
    actor_id   uuid        NOT NULL,
    name       text,
    due_at     timestamptz NOT NULL,
    expires_at timestamptz,
    command    text        NOT NULL,
    payload    text        NOT NULL,
    cause      text        NOT NULL,
    attempts   smallint    NOT NULL DEFAULT 0,
    CHECK (expires_at IS NULL OR expires_at >= due_at)
);
CREATE INDEX agenda_due ON agenda (due_at, id);
CREATE UNIQUE INDEX agenda_timer ON agenda (kind, actor_id, name) WHERE name IS NOT NULL;
-- What crashed its actor too often to be tried again by itself; an operator looks at it.
CREATE TABLE agenda_quarantine (
    LIKE agenda INCLUDING DEFAULTS,
    error          text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id)
);

-- The staff members' time. Empty ranges would slip through an exclusion constraint, hence the CHECK.
CREATE TABLE slots (
    id         uuid      PRIMARY KEY,
    staff_id   uuid      NOT NULL,
    booking_id uuid      NOT NULL,
    during     tstzrange NOT NULL CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during)),
    CONSTRAINT slots_no_overlap EXCLUDE USING gist (staff_id WITH =, during WITH &&)
);

-- Names that only one may have: e-mail addresses, phone numbers.
CREATE TABLE unique_keys (
    scope text NOT NULL,
    key   text NOT NULL,
    owner uuid NOT NULL,
    PRIMARY KEY (scope, key)
);

-- The ledger: one row moves an amount from one account to another, so it balances by construction.
CREATE TABLE transfers (
    id           uuid        PRIMARY KEY,
    debit        text        NOT NULL,
    credit       text        NOT NULL CHECK (credit <> debit),
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
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% rows are never changed', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER transfers_immutable BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER transfers_kept BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

-- Only wallets have a balance row; a system account is the sum of its transfers.
CREATE TABLE balances (
    account       text   PRIMARY KEY,
    balance_minor bigint NOT NULL CONSTRAINT balances_funded CHECK (balance_minor >= 0)
) WITH (fillfactor = 50);

-- Money that waits in escrow for one payee; posted or voided once.
CREATE TABLE holds (
    id              uuid        PRIMARY KEY,
    booking_id      uuid        NOT NULL,
    business_id     uuid        NOT NULL,
    purpose         text        NOT NULL,
    currency        text        NOT NULL,
    amount_minor    bigint      NOT NULL CHECK (amount_minor >= 0),
    remaining_minor bigint      NOT NULL CHECK (remaining_minor >= 0),
    status          text        NOT NULL CHECK (status IN ('HELD', 'FUNDED', 'PENDING_CLEARANCE', 'POSTED', 'VOIDED')),
    at              timestamptz NOT NULL,
    CHECK (status NOT IN ('HELD', 'POSTED', 'VOIDED') OR remaining_minor = 0)
);
CREATE INDEX holds_business ON holds (business_id, status);

-- Read rows (bookings, messages, …) are written by decisions as JSON objects. This makes a table's writers:
-- put_<table>(JSON array of rows) upserts by primary key, drop_<table>(JSON array of keys) deletes.
CREATE FUNCTION make_row_writers(tab text) RETURNS void LANGUAGE plpgsql AS $make$
DECLARE
    all_columns text;
    key_columns text;
    key_match   text;
    set_columns text;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO all_columns
      FROM pg_attribute WHERE attrelid = tab::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
    SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum),
           string_agg(format('t.%1$I = k.%1$I', a.attname), ' AND ')
      INTO key_columns, key_match
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
     WHERE i.indrelid = tab::regclass AND i.indisprimary;
    SELECT string_agg(format('%1$I = excluded.%1$I', attname), ', ' ORDER BY attnum) INTO set_columns
      FROM pg_attribute a WHERE attrelid = tab::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
       AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey));
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION %I(data json) RETURNS void LANGUAGE plpgsql AS $body$
         BEGIN
             INSERT INTO %I (%s) SELECT %s FROM json_populate_recordset(NULL::%I, data) ORDER BY %s
             ON CONFLICT (%s) DO %s;
         END $body$',
        'put_' || tab, tab, all_columns, all_columns, tab, key_columns, key_columns,
        coalesce('UPDATE SET ' || set_columns, 'NOTHING'));
    EXECUTE format(
        'CREATE OR REPLACE FUNCTION %I(data json) RETURNS void LANGUAGE plpgsql AS $body$
         BEGIN
             DELETE FROM %I t USING json_populate_recordset(NULL::%I, data) k WHERE %s;
         END $body$',
        'drop_' || tab, tab, tab, key_match);
END $make$;

-- The kernel: what every decision writes. Nothing here knows a booking from a conversation.
--
-- Each text or JSON column says whose data it holds and how long it is kept, in one grammar (docs/data.md):
--   data: none | user | customer | business | author | provider | secret; kept: for good | until erased | until replaced |
--   until done | until expired | retention.<setting>

CREATE EXTENSION IF NOT EXISTS btree_gist;

-- The table of migrations exists already (storage/migrate.py).
COMMENT ON COLUMN schema_migrations.name IS 'data: none; kept: for good';
COMMENT ON COLUMN schema_migrations.checksum IS 'data: none; kept: for good';

-- Actors and their journals

-- One row an actor: the state that activations cache. `version` counts its events; `stamp` is a random number of the decision
-- that wrote the row, so that a queued decision of a stale activation cannot be taken for the next one.
CREATE TABLE actors (
    kind    text     NOT NULL,
    id      uuid     NOT NULL,
    version bigint   NOT NULL CHECK (version > 0),
    stamp   bigint   NOT NULL,
    schema  smallint NOT NULL,
    state   jsonb    NOT NULL,
    PRIMARY KEY (kind, id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN actors.kind IS 'data: none; kept: for good';
COMMENT ON COLUMN actors.state IS 'data: none; kept: for good';

-- What happened: replaying an actor's rows gives its state. Ids, codes, amounts and instants only.
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
COMMENT ON COLUMN journal.kind IS 'data: none; kept: for good';
COMMENT ON COLUMN journal.type IS 'data: none; kept: for good';
COMMENT ON COLUMN journal.data IS 'data: none; kept: for good';
COMMENT ON COLUMN journal.cause IS 'data: none; kept: for good';
-- The latest revocations, for a node that starts: it must refuse the access tokens that they ended.
CREATE INDEX journal_revocations ON journal (at)
 WHERE type IN ('session.ended', 'session.revoked', 'role.revoked', 'role.granted');

-- Events of actors that have been at rest for long: some hundreds of events of one actor in a row, as columns of arrays,
-- which take a fraction of the space. The next event of such an actor goes to `journal`.
CREATE TABLE journal_archive (
    kind          text          NOT NULL,
    id            uuid          NOT NULL,
    first_version bigint        NOT NULL,
    last_version  bigint        NOT NULL CHECK (last_version >= first_version),
    types         text[]        NOT NULL,
    schemas       smallint[]    NOT NULL,
    datas         jsonb[]       NOT NULL,
    ats           timestamptz[] NOT NULL,
    principals    uuid[]        NOT NULL,
    causes        text[]        NOT NULL,
    PRIMARY KEY (kind, id, first_version),
    CHECK (last_version - first_version + 1 = ALL (ARRAY[cardinality(types), cardinality(schemas), cardinality(datas),
                                                         cardinality(ats), cardinality(principals), cardinality(causes)]))
) WITH (toast_tuple_target = 256);
-- Compressed, and kept in the row as long as that fits a page.
ALTER TABLE journal_archive
    ALTER COLUMN types SET STORAGE MAIN, ALTER COLUMN datas SET STORAGE MAIN, ALTER COLUMN ats SET STORAGE MAIN,
    ALTER COLUMN principals SET STORAGE MAIN, ALTER COLUMN causes SET STORAGE MAIN;
COMMENT ON COLUMN journal_archive.kind IS 'data: none; kept: for good';
COMMENT ON COLUMN journal_archive.types IS 'data: none; kept: for good';
COMMENT ON COLUMN journal_archive.datas IS 'data: none; kept: for good';
COMMENT ON COLUMN journal_archive.causes IS 'data: none; kept: for good';

-- All events of one actor, or of all actors. To find one actor's one version, two look-ups are faster.
CREATE VIEW journal_all AS
SELECT kind, id, version, type, schema, data, at, principal, cause FROM journal
UNION ALL
SELECT a.kind, a.id, a.first_version + e.nth - 1, e.type, e.schema, e.data, e.at, e.principal, e.cause
  FROM journal_archive a
 CROSS JOIN LATERAL unnest(a.types, a.schemas, a.datas, a.ats, a.principals, a.causes)
       WITH ORDINALITY e(type, schema, data, at, principal, cause, nth);

-- The stored reply to each command, by sender and command id: a retry finds it here.
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
COMMENT ON COLUMN command_log.key IS 'data: none; kept: retention.command_log_days';
COMMENT ON COLUMN command_log.command IS 'data: none; kept: retention.command_log_days';
COMMENT ON COLUMN command_log.kind IS 'data: none; kept: retention.command_log_days';
COMMENT ON COLUMN command_log.reply IS 'data: user; kept: retention.command_log_days';

-- The inbox

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
COMMENT ON COLUMN inbox.kind IS 'data: none; kept: retention.inbox_days';

-- How far each device has got; written a few seconds late at most. A device that the client did not name is ''.
CREATE TABLE inbox_acks (
    user_id   uuid        NOT NULL,
    device    text        NOT NULL,
    delivered bigint      NOT NULL,
    seen      bigint      NOT NULL CHECK (seen <= delivered),
    at        timestamptz NOT NULL,
    PRIMARY KEY (user_id, device)
) WITH (fillfactor = 70);
COMMENT ON COLUMN inbox_acks.device IS 'data: user; kept: retention.inbox_days';

-- The epoch changes with the database's identity, its timeline (a point-in-time restore, a failover) and the database within
-- the cluster (a dump that is restored beside the old one). Numbers of another epoch mean nothing.
-- Every view reads it, hence one expression, which is inlined: 25 µs; as a join it took 50.
CREATE FUNCTION inbox_epoch() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT left(md5((pg_control_system()).system_identifier || '/' || (pg_control_checkpoint()).timeline_id
                    || '/' || split_part(pg_relation_filepath('inbox_counters'), '/', -2)), 12)
$$;

-- The agenda: timers (named) and messages between actors (unnamed)

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
    CHECK (expires_at IS NULL OR expires_at >= due_at)
);
CREATE INDEX agenda_due ON agenda (due_at, id);
CREATE UNIQUE INDEX agenda_timer ON agenda (kind, actor_id, name) WHERE name IS NOT NULL;
COMMENT ON COLUMN agenda.kind IS 'data: none; kept: until done';
COMMENT ON COLUMN agenda.name IS 'data: none; kept: until done';
COMMENT ON COLUMN agenda.command IS 'data: none; kept: until done';
COMMENT ON COLUMN agenda.payload IS 'data: none; kept: until done';
COMMENT ON COLUMN agenda.cause IS 'data: none; kept: until done';
-- Rows that crashed their actor too often to be tried again; for an operator.
CREATE TABLE agenda_quarantine (
    LIKE agenda INCLUDING DEFAULTS INCLUDING COMMENTS,
    error          text        NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id)
);
COMMENT ON COLUMN agenda_quarantine.error IS 'data: none; kept: until done';

-- Claims

-- The staff members' time. A subject (a booking, …) never collides with itself, so a move may overlap the slot that it leaves.
-- Empty ranges would slip through an exclusion constraint, hence the CHECK. `subject_kind` is for readers: ids are unique over
-- all kinds, and a second `<>` in the constraint would let another subject in. `during` stands before `subject_id`, so that the
-- index is in the order of time within a staff member: the other way round a booking cost the database an eighth more.
CREATE TABLE slots (
    id           uuid      PRIMARY KEY,
    staff_id     uuid      NOT NULL,
    subject_kind text      NOT NULL,
    subject_id   uuid      NOT NULL,
    during       tstzrange NOT NULL CHECK (NOT isempty(during) AND lower_inc(during) AND NOT upper_inc(during)),
    CONSTRAINT slots_no_overlap EXCLUDE USING gist (staff_id WITH =, during WITH &&, subject_id WITH <>)
);
COMMENT ON COLUMN slots.subject_kind IS 'data: none; kept: until done';

-- Names that one owner may have: e-mail addresses, phone numbers.
CREATE TABLE unique_keys (
    scope text NOT NULL,
    key   text NOT NULL,
    owner uuid NOT NULL,
    PRIMARY KEY (scope, key)
);
COMMENT ON COLUMN unique_keys.scope IS 'data: none; kept: until erased';
COMMENT ON COLUMN unique_keys.key IS 'data: user; kept: until erased';

-- Sums that decisions add to, so that nobody has to add up rows: '<what>/<owner>/<currency>'.
CREATE TABLE counters (
    name  text   COLLATE "C" PRIMARY KEY,
    value bigint NOT NULL
) WITH (fillfactor = 50);
COMMENT ON COLUMN counters.name IS 'data: none; kept: for good';

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

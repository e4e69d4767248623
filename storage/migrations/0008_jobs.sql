-- Work that is done now and then: what was run when, and the journal of what has come to rest.

-- One row a job. done_for: the due time that was dealt with last, by the domain's clock; the other instants are the
-- database's own. A job that has never run starts with the due time before its first start, so that it is not made up.
CREATE TABLE jobs (
    name         text        PRIMARY KEY,
    done_for     timestamptz NOT NULL,
    started_at   timestamptz,
    succeeded_at timestamptz,
    -- Null unless the last run failed.
    failed_at    timestamptz,
    error        text,
    took_s       float8,
    counts       jsonb
);

-- Events of actors that have been at rest for long, up to some hundreds of one actor in a row, as columns of arrays: a
-- fraction of the room that a row each would take. An actor that wakes up goes on in `journal`.
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

-- Every event that ever was. For one actor, or for all: an actor and a version are found faster by two look-ups.
CREATE VIEW journal_all AS
SELECT kind, id, version, type, schema, data, at, principal, cause FROM journal
UNION ALL
SELECT a.kind, a.id, a.first_version + e.nth - 1, e.type, e.schema, e.data, e.at, e.principal, e.cause
  FROM journal_archive a
 CROSS JOIN LATERAL unnest(a.types, a.schemas, a.datas, a.ats, a.principals, a.causes)
       WITH ORDINALITY e(type, schema, data, at, principal, cause, nth);

-- Old rows are found block by block or at the beginning of each inbox: no query goes by these any more.
DROP INDEX command_log_at;
DROP INDEX inbox_at;

-- The commit: one call makes a batch of decisions durable. Column arrays, one group a kind of effect; `*_idx` is the
-- 1-based position of the decision that an element belongs to. Claims come first. A claim that fails names the offending
-- decision, the writes of this round are undone, and the next round goes on without the offending decisions and those that
-- build on them.
--
-- A batch holds decisions of one actor in order (`d_chain` = position of the first of them); only the first decision of an
-- actor may have claims (slots, holds, timers …): storage/batch.py ensures it.
--
-- statuses[i]: 'ok'; 'duplicate' (the command id is logged already); 'stale' (version or stamp moved on, or builds on a
-- failed decision); 'gone' (the fired agenda row is not there any more); the name of the constraint that refused it; 'again'
-- (refused in a round before another one was refused that may have been the reason: it is to be submitted again).
-- seqs[k]: the inbox number given to the k-th inbox element; NULL if its decision failed.
--
-- Joins of one array with another are avoided, as they are quadratic without hashing. Positions and row counts are used
-- instead (PL/pgSQL expands an array once, so that a subscript takes constant time); only if fewer rows than expected were
-- written is it worked out which ones are missing.

CREATE FUNCTION commit_mark(statuses text[], chain int[], offending int[], why text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(CASE
               WHEN s.status <> 'ok' THEN s.status
               WHEN s.idx = ANY (offending) THEN why
               WHEN EXISTS (SELECT FROM unnest(offending) g WHERE commit_mark.chain[g] = s.chain AND g < s.idx) THEN 'stale'
               ELSE 'ok' END ORDER BY s.idx)
      FROM unnest(statuses, chain) WITH ORDINALITY s(status, chain, idx)
$$;

-- Of several offenders: those that hold exactly one claim of this kind, so that they cannot have blocked each other; without
-- any, only the first.
CREATE FUNCTION independent_offenders(offending int[], claims int[]) RETURNS int[] LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(array_agg(c.idx) FILTER (WHERE c.held = 1), ARRAY[min(c.idx)])
      FROM (SELECT idx, count(*) AS held FROM unnest(claims) x(idx) WHERE idx = ANY (offending) GROUP BY idx) c
$$;

-- The decisions whose transfers would overdraw a wallet, checked in their order: what a refused decision would have moved does
-- not count for the ones after it. The wallets' rows exist and are locked.
CREATE FUNCTION unfunded_decisions(alive boolean[], idxs int[], debits text[], credits text[], amounts bigint[]) RETURNS int[]
LANGUAGE plpgsql AS $$
DECLARE
    kept   jsonb;
    trial  jsonb;
    at_idx int := 0;
    offending int[] := '{}';
    move   record;
BEGIN
    SELECT jsonb_object_agg(account, balance_minor) INTO kept FROM balances WHERE account = ANY (debits || credits);
    trial := kept;
    FOR move IN
        SELECT t.idx, m.account, m.delta
          FROM unnest(idxs, debits, credits, amounts) WITH ORDINALITY t(idx, debit, credit, amount, ord)
         CROSS JOIN LATERAL (VALUES (t.debit, -t.amount, 0), (t.credit, t.amount, 1)) m(account, delta, side)
         WHERE alive[t.idx] AND m.account NOT LIKE 'system.%' ORDER BY t.ord, m.side
    LOOP
        CONTINUE WHEN move.idx = ANY (offending);
        IF move.idx <> at_idx THEN
            kept := trial;
            at_idx := move.idx;
        END IF;
        trial := jsonb_set(trial, ARRAY[move.account], to_jsonb((trial ->> move.account)::bigint + move.delta));
        IF (trial ->> move.account)::bigint < 0 THEN
            offending := offending || move.idx;
            trial := kept;
        END IF;
    END LOOP;
    RETURN offending;
END $$;

-- Write or delete read rows of one table, by the functions that make_row_writers made for it. The busiest tables are named
-- here, since a statement made by EXECUTE is planned anew each time.
CREATE FUNCTION commit_rows(tab text, gone boolean, data json) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    CASE
        WHEN gone THEN EXECUTE format('SELECT %I($1)', 'drop_' || tab) USING data;
        WHEN tab = 'messages' THEN PERFORM put_messages(data);
        WHEN tab = 'bookings' THEN PERFORM put_bookings(data);
        WHEN tab = 'outbox' THEN PERFORM put_outbox(data);
        WHEN tab = 'payments' THEN PERFORM put_payments(data);
        ELSE EXECUTE format('SELECT %I($1)', 'put_' || tab) USING data;
    END CASE;
END $$;

CREATE FUNCTION commit_v1(
    d_chain int[], d_kind text[], d_id uuid[], d_expected bigint[], d_expected_stamp bigint[], d_version bigint[], d_stamp bigint[],
    d_schema smallint[], d_state text[], d_at timestamptz[], d_fired uuid[],
    d_principal uuid[], d_cause text[], d_key text[], d_hash bytea[], d_command text[], d_refused boolean[], d_reply text[], d_own int[],
    j_idx int[], j_version bigint[], j_type text[], j_schema smallint[], j_data text[],
    i_idx int[], i_user uuid[], i_version bigint[],
    r_idx int[], r_table text[], r_key text[], r_drop boolean[], r_row text[],
    sf_idx int[], sf_id uuid[],
    s_idx int[], s_id uuid[], s_staff uuid[], s_kind text[], s_subject uuid[], s_starts timestamptz[], s_ends timestamptz[],
    uf_idx int[], uf_scope text[], uf_key text[],
    u_idx int[], u_scope text[], u_key text[], u_owner uuid[],
    t_idx int[], t_id uuid[], t_debit text[], t_credit text[], t_amount bigint[], t_currency text[], t_reason text[],
    h_idx int[], h_id uuid[], h_kind text[], h_subject uuid[], h_business uuid[], h_purpose text[], h_currency text[],
    h_amount bigint[],
    m_idx int[], m_id uuid[], m_from text[], m_to text[], m_delta bigint[],
    n_idx int[], n_name text[], n_delta bigint[],
    c_idx int[], c_kind text[], c_id uuid[], c_name text[],
    a_idx int[], a_id uuid[], a_kind text[], a_actor uuid[], a_name text[], a_due timestamptz[], a_expires timestamptz[],
    a_command text[], a_payload text[],
    OUT statuses text[], OUT seqs bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    n          int := cardinality(d_kind);
    alive      boolean[];
    is_last    boolean[];
    -- A statement that finds nothing to do costs as much as a row or two, and a batch may be small.
    chained    boolean;  -- Has an actor more than one decision?
    known      int;      -- How many actors existed before?
    makes      boolean := 0 = ANY (d_expected);
    fires      boolean := cardinality(array_remove(d_fired, NULL)) > 0;
    everyone   boolean;
    offending  int[];
    why        text;
    wanted     int;
    written    int;
    ids        uuid[];
    lasts      bigint[];
    part       record;
    rounds     int := 0;
    ROUNDS_MAX CONSTANT int := 64;
BEGIN
    statuses := array_fill('ok'::text, ARRAY[n]);
    SELECT bool_or(d.chain <> d.idx), count(*) FILTER (WHERE d.chain = d.idx AND d.expected > 0) INTO chained, known
      FROM unnest(d_chain, d_expected) WITH ORDINALITY d(chain, expected, idx);

    -- Checked before anything is written, so that nothing has to be undone: is the command logged already, and has the actor
    -- still the version that the decision was made on?
    SELECT array_agg(d.idx::int) INTO offending
      FROM unnest(d_principal, d_key) WITH ORDINALITY d(principal, key, idx)
      JOIN command_log l ON l.principal = d.principal AND l.key = d.key;
    IF offending IS NOT NULL THEN
        statuses := commit_mark(statuses, d_chain, offending, 'duplicate');
    END IF;
    IF known > 0 THEN
        SELECT array_agg(x.idx) FILTER (WHERE x.version <> x.is_version OR x.stamp <> x.is_stamp), count(*)
          INTO offending, written FROM (
            SELECT h.idx::int, h.version, h.stamp, a.version AS is_version, a.stamp AS is_stamp
              FROM unnest(d_chain, d_kind, d_id, d_expected, d_expected_stamp)
                   WITH ORDINALITY h(chain, kind, id, version, stamp, idx)
              JOIN actors a ON a.kind = h.kind AND a.id = h.id
             WHERE h.chain = h.idx AND h.version > 0
             ORDER BY a.kind, a.id FOR NO KEY UPDATE OF a) x;
        IF written < known THEN
            SELECT offending || array_agg(h.idx::int) INTO offending
              FROM unnest(d_chain, d_kind, d_id, d_expected) WITH ORDINALITY h(chain, kind, id, expected, idx)
             WHERE h.chain = h.idx AND h.expected > 0
               AND NOT EXISTS (SELECT FROM actors a WHERE a.kind = h.kind AND a.id = h.id);
        END IF;
        IF offending IS NOT NULL THEN
            statuses := commit_mark(statuses, d_chain, offending, 'stale');
        END IF;
    END IF;

    IF makes THEN
        SELECT array_agg(h.idx::int) INTO offending
          FROM unnest(d_chain, d_kind, d_id, d_expected) WITH ORDINALITY h(chain, kind, id, expected, idx)
          JOIN actors a ON a.kind = h.kind AND a.id = h.id
         WHERE h.chain = h.idx AND h.expected = 0;
        IF offending IS NOT NULL THEN
            statuses := commit_mark(statuses, d_chain, offending, 'stale');
        END IF;
    END IF;

    LOOP
        EXIT WHEN NOT 'ok' = ANY (statuses);
        everyone := 'ok' = ALL (statuses);
        alive := array_fill(true, ARRAY[n]);
        IF NOT everyone THEN
            SELECT array_agg(s = 'ok' ORDER BY o) INTO alive FROM unnest(statuses) WITH ORDINALITY x(s, o);
        END IF;
        is_last := alive;
        IF chained THEN
            SELECT array_agg(alive[d.idx] AND d.idx = d.last ORDER BY d.idx) INTO is_last FROM (
                SELECT idx, max(idx) FILTER (WHERE alive[idx] AND state IS NOT NULL) OVER (PARTITION BY chain) AS last
                  FROM unnest(d_chain, d_state) WITH ORDINALITY d(chain, state, idx)) d;
            is_last := array_replace(is_last, NULL, false);
        END IF;
        offending := NULL;
        BEGIN
            -- Claims.
            IF fires THEN
                SELECT array_agg(x.id) INTO ids FROM (
                    SELECT a.id FROM unnest(d_fired) WITH ORDINALITY f(id, idx) JOIN agenda a ON a.id = f.id
                     WHERE alive[f.idx] ORDER BY a.id FOR UPDATE OF a) x;
                SELECT array_agg(f.idx::int), 'gone' INTO offending, why FROM (
                    SELECT f.id, f.idx, row_number() OVER (PARTITION BY f.id ORDER BY f.idx) AS nth
                      FROM unnest(d_fired) WITH ORDINALITY f(id, idx) WHERE f.id IS NOT NULL AND alive[f.idx]) f
                 WHERE f.nth > 1 OR ids IS NULL OR f.id <> ALL (ids);
                IF offending IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
                DELETE FROM agenda WHERE id = ANY (ids);
            END IF;
            IF cardinality(sf_idx) > 0 THEN
                DELETE FROM slots s USING unnest(sf_idx, sf_id) f(idx, id) WHERE s.id = f.id AND alive[f.idx];
            END IF;
            IF cardinality(s_idx) > 0 THEN
                SELECT count(*) INTO wanted FROM unnest(s_idx) i WHERE alive[i];
                INSERT INTO slots (id, staff_id, subject_kind, subject_id, during)
                SELECT w.id, w.staff_id, w.kind, w.subject_id, tstzrange(w.starts, w.ends)
                  FROM unnest(s_idx, s_id, s_staff, s_kind, s_subject, s_starts, s_ends)
                       w(idx, id, staff_id, kind, subject_id, starts, ends)
                 WHERE alive[w.idx] ORDER BY w.staff_id, w.starts, w.idx
                ON CONFLICT DO NOTHING;
                GET DIAGNOSTICS written = ROW_COUNT;
                IF written < wanted THEN
                    SELECT array_agg(w.idx), 'slots_no_overlap' INTO offending, why
                      FROM unnest(s_idx, s_id, s_subject) w(idx, id, subject_id)
                      LEFT JOIN slots s ON s.id = w.id AND s.subject_id = w.subject_id
                     WHERE alive[w.idx] AND s.id IS NULL;
                    offending := independent_offenders(offending, s_idx);
                    RAISE SQLSTATE 'GW001';
                END IF;
            END IF;
            IF cardinality(uf_idx) > 0 THEN
                DELETE FROM unique_keys k USING unnest(uf_idx, uf_scope, uf_key) f(idx, scope, key)
                 WHERE k.scope = f.scope AND k.key = f.key AND alive[f.idx];
            END IF;
            IF cardinality(u_idx) > 0 THEN
                INSERT INTO unique_keys (scope, key, owner)
                SELECT u.scope, u.key, u.owner FROM unnest(u_idx, u_scope, u_key, u_owner) u(idx, scope, key, owner)
                 WHERE alive[u.idx] ORDER BY u.scope, u.key, u.idx
                ON CONFLICT DO NOTHING;
                SELECT array_agg(u.idx), 'unique_' || u.scope INTO offending, why
                  FROM unnest(u_idx, u_scope, u_key, u_owner) u(idx, scope, key, owner)
                  JOIN unique_keys k ON k.scope = u.scope AND k.key = u.key
                 WHERE alive[u.idx] AND k.owner <> u.owner GROUP BY u.scope ORDER BY u.scope LIMIT 1;
                IF offending IS NOT NULL THEN
                    offending := independent_offenders(offending, u_idx);
                    RAISE SQLSTATE 'GW001';
                END IF;
            END IF;
            IF cardinality(h_idx) > 0 THEN
                INSERT INTO holds (id, subject_kind, subject_id, business_id, purpose, currency, amount_minor, remaining_minor,
                                   status, at)
                SELECT h.id, h.kind, h.subject, h.business, h.purpose, h.currency, h.amount, 0, 'HELD', d_at[h.idx]
                  FROM unnest(h_idx, h_id, h_kind, h_subject, h_business, h_purpose, h_currency, h_amount)
                       h(idx, id, kind, subject, business, purpose, currency, amount) WHERE alive[h.idx];
            END IF;
            IF cardinality(m_idx) > 0 THEN
                -- A hold that moves more than once in a batch moves one step at a time.
                SELECT max(steps) INTO wanted FROM (
                    SELECT count(*) AS steps FROM unnest(m_idx, m_id) m(idx, id) WHERE alive[m.idx] GROUP BY m.id) x;
                FOR step IN 1..coalesce(wanted, 0) LOOP
                    WITH moves AS MATERIALIZED (
                        SELECT * FROM (
                            SELECT m.*, row_number() OVER (PARTITION BY m.id ORDER BY m.ord) AS nth
                              FROM unnest(m_idx, m_id, m_from, m_to, m_delta)
                                   WITH ORDINALITY m(idx, id, was, becomes, delta, ord) WHERE alive[m.idx]) x
                         WHERE x.nth = step),
                    moved AS (
                        UPDATE holds h SET status = w.becomes, remaining_minor = h.remaining_minor + w.delta
                          FROM moves w WHERE h.id = w.id AND h.status = w.was AND h.remaining_minor + w.delta >= 0
                        RETURNING h.id)
                    SELECT array_agg(w.idx), 'holds_once' INTO offending, why
                      FROM moves w WHERE NOT EXISTS (SELECT FROM moved d WHERE d.id = w.id);
                    IF offending IS NOT NULL THEN
                        offending := independent_offenders(offending, m_idx);
                        RAISE SQLSTATE 'GW001';
                    END IF;
                END LOOP;
            END IF;
            IF cardinality(t_idx) > 0 THEN
                -- Wallets are locked in order, then their transfers are folded to a sum and the lowest running balance, since their
                -- order in the batch counts.
                INSERT INTO balances AS b (account, balance_minor)
                SELECT DISTINCT m.account, 0 FROM unnest(t_idx, t_debit, t_credit) t(idx, debit, credit)
                 CROSS JOIN LATERAL (VALUES (t.debit), (t.credit)) m(account)
                 WHERE alive[t.idx] AND m.account NOT LIKE 'system.%' ORDER BY m.account
                ON CONFLICT (account) DO UPDATE SET balance_minor = b.balance_minor;
                SELECT array_agg(DISTINCT short.idx), 'balances_funded' INTO offending, why FROM (
                    SELECT min(r.idx) AS idx FROM (
                        SELECT m.account, t.idx, b.balance_minor
                               + sum(m.delta) OVER (PARTITION BY m.account ORDER BY t.ord, m.side) AS balance
                          FROM unnest(t_idx, t_debit, t_credit, t_amount) WITH ORDINALITY t(idx, debit, credit, amount, ord)
                         CROSS JOIN LATERAL (VALUES (t.debit, -t.amount, 0), (t.credit, t.amount, 1)) m(account, delta, side)
                          JOIN balances b ON b.account = m.account
                         WHERE alive[t.idx] AND m.account NOT LIKE 'system.%') r
                     WHERE r.balance < 0 GROUP BY r.account) short;
                IF offending IS NOT NULL THEN
                    offending := unfunded_decisions(alive, t_idx, t_debit, t_credit, t_amount);
                    RAISE SQLSTATE 'GW001';
                END IF;
                UPDATE balances b SET balance_minor = b.balance_minor + f.delta FROM (
                    SELECT m.account, sum(m.delta) AS delta
                      FROM unnest(t_idx, t_debit, t_credit, t_amount) t(idx, debit, credit, amount)
                     CROSS JOIN LATERAL (VALUES (t.debit, -t.amount), (t.credit, t.amount)) m(account, delta)
                     WHERE alive[t.idx] AND m.account NOT LIKE 'system.%' GROUP BY m.account) f
                 WHERE b.account = f.account;
                INSERT INTO transfers (id, debit, credit, amount_minor, currency, reason, kind, subject_id, at)
                SELECT t.id, t.debit, t.credit, t.amount, t.currency, t.reason, d_kind[t.idx], d_id[t.idx], d_at[t.idx]
                  FROM unnest(t_idx, t_id, t_debit, t_credit, t_amount, t_currency, t_reason)
                       t(idx, id, debit, credit, amount, currency, reason) WHERE alive[t.idx];
            END IF;

            -- State: an actor's last decision of the batch wins.
            IF known > 0 THEN
                UPDATE actors a SET version = d.version, stamp = d.stamp, schema = d.schema, state = d.state::jsonb
                  FROM unnest(d_kind, d_id, d_expected, d_version, d_stamp, d_schema, d_state, d_chain)
                       WITH ORDINALITY d(kind, id, expected, version, stamp, schema, state, chain, idx)
                 WHERE is_last[d.idx] AND d.state IS NOT NULL AND d_expected[d.chain] > 0 AND a.kind = d.kind AND a.id = d.id;
            END IF;
            IF makes THEN
                INSERT INTO actors (kind, id, version, stamp, schema, state)
                SELECT d.kind, d.id, d.version, d.stamp, d.schema, d.state::jsonb
                  FROM unnest(d_kind, d_id, d_version, d_stamp, d_schema, d_state, d_chain)
                       WITH ORDINALITY d(kind, id, version, stamp, schema, state, chain, idx)
                 WHERE is_last[d.idx] AND d.state IS NOT NULL AND d_expected[d.chain] = 0 ORDER BY d.kind, d.id;
            END IF;

            IF cardinality(j_idx) > 0 THEN
                INSERT INTO journal (kind, id, version, type, schema, data, at, principal, cause)
                SELECT d_kind[j.idx], d_id[j.idx], j.version, j.type, j.schema, j.data::jsonb, d_at[j.idx], d_principal[j.idx],
                       d_cause[j.idx]
                  FROM unnest(j_idx, j_version, j_type, j_schema, j_data) j(idx, version, type, schema, data)
                 WHERE alive[j.idx];
            END IF;
            IF cardinality(r_idx) > 0 THEN
                FOR part IN
                    SELECT last.tab, last.gone, ('[' || string_agg(last.row, ',') || ']')::json AS data FROM (
                        SELECT r.tab, r.gone, r.row, r.ord, max(r.ord) OVER (PARTITION BY r.tab, r.key) AS newest
                          FROM unnest(r_idx, r_table, r_key, r_drop, r_row) WITH ORDINALITY r(idx, tab, key, gone, row, ord)
                         WHERE alive[r.idx]) last
                     WHERE last.ord = last.newest
                     GROUP BY last.tab, last.gone
                     ORDER BY last.tab, last.gone
                LOOP
                    PERFORM commit_rows(part.tab, part.gone, part.data);
                END LOOP;
            END IF;
            IF cardinality(c_idx) > 0 THEN
                DELETE FROM agenda a USING unnest(c_idx, c_kind, c_id, c_name) c(idx, kind, id, name)
                 WHERE a.kind = c.kind AND a.actor_id = c.id AND a.name = c.name AND alive[c.idx];
            END IF;
            IF cardinality(a_idx) > 0 THEN
                INSERT INTO agenda (id, kind, actor_id, name, due_at, expires_at, command, payload, cause)
                SELECT a.id, a.kind, a.actor, a.name, a.due, a.expires, a.command, a.payload, d_cause[a.idx]
                  FROM unnest(a_idx, a_id, a_kind, a_actor, a_name, a_due, a_expires, a_command, a_payload)
                       a(idx, id, kind, actor, name, due, expires, command, payload) WHERE alive[a.idx];
            END IF;

            -- Rows that many decisions share come last, in the order of their keys, so that their locks are short.
            IF cardinality(n_idx) > 0 THEN
                INSERT INTO counters AS c (name, value)
                SELECT n.name, sum(n.delta) FROM unnest(n_idx, n_name, n_delta) n(idx, name, delta)
                 WHERE alive[n.idx] GROUP BY n.name ORDER BY n.name
                ON CONFLICT (name) DO UPDATE SET value = c.value + excluded.value;
            END IF;
            IF cardinality(i_idx) > 0 THEN
                WITH bumped AS (
                    INSERT INTO inbox_counters AS c (user_id, seq)
                    SELECT i.user_id, count(*) FROM unnest(i_idx, i_user) i(idx, user_id)
                     WHERE alive[i.idx] GROUP BY i.user_id ORDER BY i.user_id
                    ON CONFLICT (user_id) DO UPDATE SET seq = c.seq + excluded.seq RETURNING user_id, seq)
                SELECT array_agg(seq ORDER BY user_id) INTO lasts FROM bumped;
                WITH ranked AS (
                    SELECT i.*, dense_rank() OVER (ORDER BY i.user_id) AS nth_user,
                           row_number() OVER (PARTITION BY i.user_id ORDER BY i.ord DESC) AS from_last
                      FROM unnest(i_idx, i_user, i_version) WITH ORDINALITY i(idx, user_id, version, ord)
                     WHERE alive[i.idx]),
                put AS (
                    INSERT INTO inbox (user_id, seq, kind, id, version, at)
                    SELECT user_id, lasts[nth_user] - from_last + 1, d_kind[idx], d_id[idx], version, d_at[idx] FROM ranked)
                SELECT array_agg(lasts[nth_user] - from_last + 1 ORDER BY ord) INTO seqs FROM ranked;
                IF NOT everyone THEN
                    SELECT array_agg(CASE WHEN alive[x.idx] THEN seqs[x.nth] END ORDER BY x.ord) INTO seqs FROM (
                        SELECT i.idx, i.ord, count(*) FILTER (WHERE alive[i.idx]) OVER (ORDER BY i.ord) AS nth
                          FROM unnest(i_idx) WITH ORDINALITY i(idx, ord)) x;
                END IF;
            END IF;
            INSERT INTO command_log (principal, key, hash, command, kind, id, version, refused, reply, seq, at)
            SELECT d.principal, d.key, d.hash, d.command, d.kind, d.id, d.version, d.refused, d.reply, seqs[d.own], d.at
              FROM unnest(d_principal, d_key, d_hash, d_command, d_kind, d_id, d_version, d_refused, d_reply, d_own, d_at)
                   WITH ORDINALITY d(principal, key, hash, command, kind, id, version, refused, reply, own, at, idx)
             WHERE d.key IS NOT NULL AND alive[d.idx] ORDER BY d.principal, d.key, d.idx;
            EXIT;
        EXCEPTION WHEN SQLSTATE 'GW001' OR unique_violation THEN
            -- ON CONFLICT looks at the index once more for each row; where a conflict is next to impossible, its error is cheaper.
            IF SQLSTATE <> 'GW001' THEN
                GET STACKED DIAGNOSTICS why = CONSTRAINT_NAME;
                IF why = 'actors_pkey' THEN
                    SELECT array_agg(h.idx::int), 'stale' INTO offending, why
                      FROM unnest(d_chain, d_kind, d_id, d_expected) WITH ORDINALITY h(chain, kind, id, expected, idx)
                      JOIN actors a ON a.kind = h.kind AND a.id = h.id
                     WHERE h.chain = h.idx AND h.expected = 0 AND alive[h.idx];
                ELSIF why = 'command_log_pkey' THEN
                    -- Logged by another call meanwhile, or twice in this batch: submitted again, it is a duplicate.
                    SELECT array_agg(d.idx::int), 'again' INTO offending, why FROM (
                        SELECT x.*, row_number() OVER (PARTITION BY x.principal, x.key ORDER BY x.idx) AS nth
                          FROM unnest(d_principal, d_key) WITH ORDINALITY x(principal, key, idx)
                         WHERE x.key IS NOT NULL AND alive[x.idx]) d
                     WHERE d.nth > 1
                        OR EXISTS (SELECT FROM command_log l WHERE l.principal = d.principal AND l.key = d.key);
                ELSE
                    RAISE;
                END IF;
            END IF;
            SELECT array_agg(CASE WHEN s IN ('ok', 'duplicate', 'stale') THEN s ELSE 'again' END ORDER BY o) INTO statuses
              FROM unnest(statuses) WITH ORDINALITY x(s, o);
            statuses := commit_mark(statuses, d_chain, offending, why);
            seqs := NULL;
            rounds := rounds + 1;
            IF rounds >= ROUNDS_MAX THEN
                RAISE EXCEPTION 'a batch of % did not settle in % rounds', n, rounds;
            END IF;
        END;
    END LOOP;
END $$;

-- The commit: one call makes a batch of decisions durable. Column arrays, one group a kind of effect; `*_idx` is the
-- 1-based position of the decision that an element belongs to. Claims come first; a claim that fails names the guilty
-- decision, the writes of this round are undone, and the next round goes on without the guilty and what builds on them.
--
-- A batch holds decisions of one actor in order (`d_chain` = position of the first of them); at most the first of an actor's
-- has claims (slots, holds, timers …), which the batch's maker sees to.
--
-- statuses[i]: 'ok'; 'duplicate' (the command id is logged already); 'stale' (version or stamp moved on, or builds on a
-- failed decision); 'gone' (the fired agenda row is not there any more); else the name of the constraint that refused it.
-- seqs[k]: the inbox number given to the k-th inbox element; NULL if its decision failed.

CREATE FUNCTION commit_mark(statuses text[], chain int[], guilty int[], why text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(CASE
               WHEN s.status <> 'ok' THEN s.status
               WHEN s.idx = ANY (guilty) THEN why
               WHEN EXISTS (SELECT FROM unnest(guilty) g WHERE commit_mark.chain[g] = s.chain AND g < s.idx) THEN 'stale'
               ELSE 'ok' END ORDER BY s.idx)
      FROM unnest(statuses, chain) WITH ORDINALITY s(status, chain, idx)
$$;

CREATE FUNCTION commit_v1(
    d_chain int[], d_kind text[], d_id uuid[], d_expected bigint[], d_expected_stamp bigint[], d_version bigint[], d_stamp bigint[],
    d_schema smallint[], d_state text[], d_at timestamptz[], d_fired uuid[],
    d_principal uuid[], d_key text[], d_hash bytea[], d_command text[], d_refused boolean[], d_reply text[],
    j_idx int[], j_kind text[], j_id uuid[], j_version bigint[], j_type text[], j_schema smallint[], j_data text[],
    j_at timestamptz[], j_principal uuid[], j_cause text[],
    i_idx int[], i_user uuid[], i_kind text[], i_id uuid[], i_version bigint[], i_at timestamptz[],
    r_idx int[], r_table text[], r_key text[], r_drop boolean[], r_row text[],
    sf_idx int[], sf_id uuid[],
    s_idx int[], s_id uuid[], s_staff uuid[], s_booking uuid[], s_starts timestamptz[], s_ends timestamptz[],
    uf_idx int[], uf_scope text[], uf_key text[],
    u_idx int[], u_scope text[], u_key text[], u_owner uuid[],
    t_idx int[], t_id uuid[], t_debit text[], t_credit text[], t_amount bigint[], t_currency text[], t_reason text[],
    t_kind text[], t_subject uuid[], t_at timestamptz[],
    h_idx int[], h_id uuid[], h_booking uuid[], h_business uuid[], h_purpose text[], h_currency text[], h_amount bigint[],
    h_at timestamptz[],
    m_idx int[], m_id uuid[], m_from text[], m_to text[], m_delta bigint[],
    c_idx int[], c_kind text[], c_id uuid[], c_name text[],
    a_idx int[], a_id uuid[], a_kind text[], a_actor uuid[], a_name text[], a_due timestamptz[], a_expires timestamptz[],
    a_command text[], a_payload text[], a_cause text[],
    OUT statuses text[], OUT seqs bigint[]
) LANGUAGE plpgsql AS $$
DECLARE
    n       int := cardinality(d_kind);
    alive   boolean[] := array_fill(true, ARRAY[n]);
    guilty  int[];
    why     text;
    written record;
    rounds  int := 0;
    ROUNDS_MAX CONSTANT int := 64;
BEGIN
    statuses := array_fill('ok'::text, ARRAY[n]);

    -- What needs no undoing is asked before anything is written: answered before? still the version it was decided on?
    SELECT array_agg(d.idx::int) INTO guilty
      FROM unnest(d_principal, d_key) WITH ORDINALITY d(principal, key, idx)
      JOIN command_log l ON l.principal = d.principal AND l.key = d.key;
    IF guilty IS NOT NULL THEN
        statuses := commit_mark(statuses, d_chain, guilty, 'duplicate');
    END IF;
    IF EXISTS (SELECT FROM unnest(d_expected) e WHERE e > 0) THEN
        WITH heads AS (
            SELECT h.* FROM unnest(d_chain, d_kind, d_id, d_expected, d_expected_stamp)
                   WITH ORDINALITY h(chain, kind, id, expected, stamp, idx)
             WHERE h.chain = h.idx AND h.expected > 0),
        locked AS (
            SELECT a.kind, a.id, a.version, a.stamp FROM heads h JOIN actors a ON a.kind = h.kind AND a.id = h.id
             ORDER BY a.kind, a.id FOR NO KEY UPDATE OF a)
        SELECT array_agg(h.idx::int) INTO guilty
          FROM heads h LEFT JOIN locked l ON l.kind = h.kind AND l.id = h.id
         WHERE l.version IS DISTINCT FROM h.expected OR l.stamp IS DISTINCT FROM h.stamp;
        IF guilty IS NOT NULL THEN
            statuses := commit_mark(statuses, d_chain, guilty, 'stale');
        END IF;
    END IF;

    LOOP
        SELECT array_agg(s = 'ok' ORDER BY o) INTO alive FROM unnest(statuses) WITH ORDINALITY x(s, o);
        guilty := NULL;
        BEGIN
            -- Claims.
            IF cardinality(d_fired) > 0 THEN
                WITH wanted AS (
                    SELECT f.id, f.idx FROM unnest(d_fired) WITH ORDINALITY f(id, idx) WHERE f.id IS NOT NULL AND alive[f.idx]),
                locked AS (
                    SELECT a.id FROM wanted w JOIN agenda a ON a.id = w.id ORDER BY a.id FOR UPDATE OF a),
                fired AS (DELETE FROM agenda a USING locked l WHERE a.id = l.id RETURNING a.id)
                SELECT array_agg(w.idx::int), 'gone' INTO guilty, why
                  FROM wanted w LEFT JOIN fired f ON f.id = w.id WHERE f.id IS NULL;
                IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
            END IF;
            IF cardinality(sf_idx) > 0 THEN
                DELETE FROM slots s USING unnest(sf_idx, sf_id) f(idx, id) WHERE s.id = f.id AND alive[f.idx];
            END IF;
            IF cardinality(s_idx) > 0 THEN
                WITH wanted AS (
                    SELECT w.* FROM unnest(s_idx, s_id, s_staff, s_booking, s_starts, s_ends)
                           w(idx, id, staff_id, booking_id, starts, ends) WHERE alive[w.idx]),
                taken AS (
                    INSERT INTO slots (id, staff_id, booking_id, during)
                    SELECT id, staff_id, booking_id, tstzrange(starts, ends) FROM wanted ORDER BY staff_id, starts, idx
                    ON CONFLICT DO NOTHING RETURNING id)
                SELECT array_agg(w.idx), 'slots_no_overlap' INTO guilty, why
                  FROM wanted w LEFT JOIN taken t ON t.id = w.id WHERE t.id IS NULL;
                IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
            END IF;
            IF cardinality(uf_idx) > 0 THEN
                DELETE FROM unique_keys k USING unnest(uf_idx, uf_scope, uf_key) f(idx, scope, key)
                 WHERE k.scope = f.scope AND k.key = f.key AND alive[f.idx];
            END IF;
            IF cardinality(u_idx) > 0 THEN
                WITH wanted AS (
                    SELECT w.* FROM unnest(u_idx, u_scope, u_key, u_owner) w(idx, scope, key, owner) WHERE alive[w.idx]),
                taken AS (
                    INSERT INTO unique_keys (scope, key, owner) SELECT scope, key, owner FROM wanted ORDER BY scope, key, idx
                    ON CONFLICT DO NOTHING RETURNING scope, key, owner)
                SELECT array_agg(w.idx), 'unique_' || min(w.scope) INTO guilty, why
                  FROM wanted w LEFT JOIN taken t ON t.scope = w.scope AND t.key = w.key AND t.owner = w.owner
                 WHERE t.key IS NULL;
                IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
            END IF;
            IF cardinality(h_idx) > 0 THEN
                INSERT INTO holds (id, booking_id, business_id, purpose, currency, amount_minor, remaining_minor, status, at)
                SELECT h.id, h.booking, h.business, h.purpose, h.currency, h.amount, 0, 'HELD', h.at
                  FROM unnest(h_idx, h_id, h_booking, h_business, h_purpose, h_currency, h_amount, h_at)
                       h(idx, id, booking, business, purpose, currency, amount, at) WHERE alive[h.idx];
            END IF;
            IF cardinality(m_idx) > 0 THEN
                WITH wanted AS (
                    SELECT w.* FROM unnest(m_idx, m_id, m_from, m_to, m_delta) w(idx, id, was, becomes, delta) WHERE alive[w.idx]),
                moved AS (
                    UPDATE holds h SET status = w.becomes, remaining_minor = h.remaining_minor + w.delta
                      FROM wanted w WHERE h.id = w.id AND h.status = w.was AND h.remaining_minor + w.delta >= 0
                    RETURNING h.id)
                SELECT array_agg(w.idx), 'holds_once' INTO guilty, why
                  FROM wanted w LEFT JOIN moved d ON d.id = w.id WHERE d.id IS NULL;
                IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
            END IF;
            IF cardinality(t_idx) > 0 THEN
                -- A wallet is folded to its sum and its lowest running prefix: the order inside a batch counts.
                WITH moves AS (
                    SELECT m.account, t.idx, m.delta, t.ord * 2 + m.side AS ord
                      FROM unnest(t_idx, t_debit, t_credit, t_amount) WITH ORDINALITY t(idx, debit, credit, amount, ord)
                     CROSS JOIN LATERAL (VALUES (t.debit, -t.amount, 0), (t.credit, t.amount, 1)) m(account, delta, side)
                     WHERE alive[t.idx] AND m.account NOT LIKE 'system.%'),
                fresh AS (
                    INSERT INTO balances AS b (account, balance_minor) SELECT DISTINCT account, 0 FROM moves ORDER BY account
                    ON CONFLICT (account) DO UPDATE SET balance_minor = b.balance_minor RETURNING account, balance_minor),
                running AS (
                    SELECT m.account, m.idx, f.balance_minor + sum(m.delta) OVER (PARTITION BY m.account ORDER BY m.ord) AS balance
                      FROM moves m JOIN fresh f ON f.account = m.account)
                SELECT array_agg(DISTINCT short.idx), 'balances_funded' INTO guilty, why
                  FROM (SELECT account, min(idx) AS idx FROM running WHERE balance < 0 GROUP BY account) short;
                IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
                WITH moves AS (
                    SELECT m.account, m.delta
                      FROM unnest(t_idx, t_debit, t_credit, t_amount) t(idx, debit, credit, amount)
                     CROSS JOIN LATERAL (VALUES (t.debit, -t.amount), (t.credit, t.amount)) m(account, delta)
                     WHERE alive[t.idx] AND m.account NOT LIKE 'system.%'),
                folded AS (SELECT account, sum(delta) AS delta FROM moves GROUP BY account)
                UPDATE balances b SET balance_minor = b.balance_minor + f.delta FROM folded f WHERE b.account = f.account;
                INSERT INTO transfers (id, debit, credit, amount_minor, currency, reason, kind, subject_id, at)
                SELECT t.id, t.debit, t.credit, t.amount, t.currency, t.reason, t.kind, t.subject, t.at
                  FROM unnest(t_idx, t_id, t_debit, t_credit, t_amount, t_currency, t_reason, t_kind, t_subject, t_at)
                       t(idx, id, debit, credit, amount, currency, reason, kind, subject, at) WHERE alive[t.idx];
            END IF;

            -- State: an actor's last decision of the batch wins.
            WITH last AS (
                SELECT DISTINCT ON (d.chain) d.*
                  FROM unnest(d_chain, d_kind, d_id, d_version, d_stamp, d_schema, d_state)
                       WITH ORDINALITY d(chain, kind, id, version, stamp, schema, state, idx)
                 WHERE alive[d.idx] AND d.state IS NOT NULL AND d_expected[d.chain] > 0
                 ORDER BY d.chain, d.idx DESC)
            UPDATE actors a SET version = l.version, stamp = l.stamp, schema = l.schema, state = l.state::jsonb
              FROM last l WHERE a.kind = l.kind AND a.id = l.id;
            WITH born AS (
                SELECT DISTINCT ON (d.chain) d.*
                  FROM unnest(d_chain, d_kind, d_id, d_version, d_stamp, d_schema, d_state)
                       WITH ORDINALITY d(chain, kind, id, version, stamp, schema, state, idx)
                 WHERE alive[d.idx] AND d.state IS NOT NULL AND d_expected[d.chain] = 0
                 ORDER BY d.chain, d.idx DESC),
            made AS (
                INSERT INTO actors (kind, id, version, stamp, schema, state)
                SELECT kind, id, version, stamp, schema, state::jsonb FROM born ORDER BY kind, id
                ON CONFLICT DO NOTHING RETURNING kind, id)
            SELECT array_agg(b.chain), 'stale' INTO guilty, why
              FROM born b LEFT JOIN made m ON m.kind = b.kind AND m.id = b.id WHERE m.id IS NULL;
            IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;

            IF cardinality(j_idx) > 0 THEN
                INSERT INTO journal (kind, id, version, type, schema, data, at, principal, cause)
                SELECT j.kind, j.id, j.version, j.type, j.schema, j.data::jsonb, j.at, j.principal, j.cause
                  FROM unnest(j_idx, j_kind, j_id, j_version, j_type, j_schema, j_data, j_at, j_principal, j_cause)
                       j(idx, kind, id, version, type, schema, data, at, principal, cause) WHERE alive[j.idx];
            END IF;
            IF cardinality(r_idx) > 0 THEN
                FOR written IN
                    SELECT last.tab, last.gone, jsonb_agg(last.row::jsonb) AS data FROM (
                        SELECT DISTINCT ON (r.tab, r.key) r.*
                          FROM unnest(r_idx, r_table, r_key, r_drop, r_row) WITH ORDINALITY r(idx, tab, key, gone, row, ord)
                         WHERE alive[r.idx] ORDER BY r.tab, r.key, r.ord DESC) last
                     GROUP BY last.tab, last.gone
                     ORDER BY last.tab, last.gone
                LOOP
                    EXECUTE format('SELECT %I($1)', CASE WHEN written.gone THEN 'drop_' ELSE 'put_' END || written.tab)
                      USING written.data;
                END LOOP;
            END IF;
            IF cardinality(c_idx) > 0 THEN
                DELETE FROM agenda a USING unnest(c_idx, c_kind, c_id, c_name) c(idx, kind, id, name)
                 WHERE a.kind = c.kind AND a.actor_id = c.id AND a.name = c.name AND alive[c.idx];
            END IF;
            IF cardinality(a_idx) > 0 THEN
                INSERT INTO agenda (id, kind, actor_id, name, due_at, expires_at, command, payload, cause)
                SELECT a.id, a.kind, a.actor, a.name, a.due, a.expires, a.command, a.payload, a.cause
                  FROM unnest(a_idx, a_id, a_kind, a_actor, a_name, a_due, a_expires, a_command, a_payload, a_cause)
                       a(idx, id, kind, actor, name, due, expires, command, payload, cause) WHERE alive[a.idx];
            END IF;

            -- The rows that everybody shares come last, in order, so that their locks are short.
            IF cardinality(i_idx) > 0 THEN
                WITH wanted AS (
                    SELECT i.*, row_number() OVER (PARTITION BY i.user_id ORDER BY i.ord) AS nth,
                           count(*) OVER (PARTITION BY i.user_id) AS total
                      FROM unnest(i_idx, i_user, i_kind, i_id, i_version, i_at)
                           WITH ORDINALITY i(idx, user_id, kind, id, version, at, ord)
                     WHERE alive[i.idx]),
                bumped AS (
                    INSERT INTO inbox_counters AS c (user_id, seq)
                    SELECT user_id, count(*) FROM wanted GROUP BY user_id ORDER BY user_id
                    ON CONFLICT (user_id) DO UPDATE SET seq = c.seq + excluded.seq RETURNING user_id, seq),
                numbered AS (
                    SELECT w.*, b.seq - w.total + w.nth AS seq FROM wanted w JOIN bumped b ON b.user_id = w.user_id),
                put AS (
                    INSERT INTO inbox (user_id, seq, kind, id, version, at)
                    SELECT user_id, seq, kind, id, version, at FROM numbered)
                SELECT array_agg(m.seq ORDER BY o.ord) INTO seqs
                  FROM generate_subscripts(i_idx, 1) o(ord) LEFT JOIN numbered m ON m.ord = o.ord;
            END IF;
            WITH wanted AS (
                SELECT d.* FROM unnest(d_principal, d_key, d_hash, d_command, d_kind, d_id, d_version, d_refused, d_reply, d_at)
                       WITH ORDINALITY d(principal, key, hash, command, kind, id, version, refused, reply, at, idx)
                 WHERE d.key IS NOT NULL AND alive[d.idx]),
            own AS (
                SELECT i.idx, max(i.seq) AS seq FROM unnest(i_idx, i_user, seqs) i(idx, user_id, seq)
                  JOIN wanted w ON w.idx = i.idx AND w.principal = i.user_id GROUP BY i.idx),
            logged AS (
                INSERT INTO command_log (principal, key, hash, command, kind, id, version, refused, reply, seq, at)
                SELECT w.principal, w.key, w.hash, w.command, w.kind, w.id, w.version, w.refused, w.reply, own.seq, w.at
                  FROM wanted w LEFT JOIN own ON own.idx = w.idx ORDER BY w.principal, w.key
                ON CONFLICT DO NOTHING RETURNING principal, key)
            SELECT array_agg(w.idx::int), 'duplicate' INTO guilty, why
              FROM wanted w LEFT JOIN logged l ON l.principal = w.principal AND l.key = w.key WHERE l.key IS NULL;
            IF guilty IS NOT NULL THEN RAISE SQLSTATE 'GW001'; END IF;
            EXIT;
        EXCEPTION WHEN SQLSTATE 'GW001' THEN
            statuses := commit_mark(statuses, d_chain, guilty, why);
            seqs := NULL;
            rounds := rounds + 1;
            IF rounds >= ROUNDS_MAX THEN
                RAISE EXCEPTION 'a batch of % did not settle in % rounds', n, rounds;
            END IF;
        END;
        EXIT WHEN NOT 'ok' = ANY (statuses);
    END LOOP;
END $$;

-- Bookings, what people wrote to them, and the facts that a booking decision needs.

-- The booking as lists and dashboards show it. `local_start` is the start on the wall clocks of `zone`, as it was booked: when
-- a zone's rules change, the instant can be computed anew.
CREATE TABLE bookings (
    id                 uuid        PRIMARY KEY,
    number             text        NOT NULL,
    status             text        NOT NULL,
    customer_id        uuid        NOT NULL,
    business_id        uuid        NOT NULL,
    staff_id           uuid        NOT NULL,
    service_id         uuid        NOT NULL,
    title              text        NOT NULL,
    starts_at          timestamptz NOT NULL,
    ends_at            timestamptz NOT NULL,
    local_start        timestamp   NOT NULL,
    zone               text        NOT NULL,
    total_amount_minor bigint      NOT NULL,
    currency           text        NOT NULL,
    payment_method     text        NOT NULL,
    payment_status     text        NOT NULL,
    escrow_status      text        NOT NULL,
    approved           boolean     NOT NULL,
    reason_code        text,
    actual_start_at    timestamptz,
    actual_end_at      timestamptz,
    created_at         timestamptz NOT NULL,
    version            bigint      NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX bookings_customer ON bookings (customer_id, starts_at DESC, id DESC);
CREATE INDEX bookings_staff ON bookings (staff_id, starts_at DESC, id DESC);
CREATE INDEX bookings_business ON bookings (business_id, starts_at DESC, id DESC);
CREATE INDEX bookings_running ON bookings (staff_id, ends_at) WHERE status = 'IN_PROGRESS';
-- What a business has still to do, however much it has done before.
CREATE INDEX bookings_open ON bookings (business_id, starts_at DESC, id DESC)
 WHERE status IN ('PENDING', 'CONFIRMED', 'DECLINED', 'IN_PROGRESS');
COMMENT ON COLUMN bookings.number IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.status IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.title IS 'data: business; kept: for good';
COMMENT ON COLUMN bookings.zone IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.currency IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.payment_method IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.payment_status IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.escrow_status IS 'data: none; kept: for good';
COMMENT ON COLUMN bookings.reason_code IS 'data: none; kept: for good';

-- What the customer wrote to a booking, and where it takes place.
CREATE TABLE booking_notes (
    booking_id uuid   PRIMARY KEY,
    notes      text   NOT NULL,
    address    text   NOT NULL,
    latitude   float8,
    longitude  float8
);
COMMENT ON COLUMN booking_notes.notes IS 'data: customer; kept: until erased';
COMMENT ON COLUMN booking_notes.address IS 'data: customer; kept: until erased';

-- What people wrote when they declined or cancelled a booking.
-- audience: 'parties', all of them may read it; 'business', only its managers and the author.
CREATE TABLE booking_remarks (
    id         uuid        PRIMARY KEY,
    booking_id uuid        NOT NULL,
    author_id  uuid        NOT NULL,
    about      text        NOT NULL CHECK (about IN ('decline', 'cancel')),
    audience   text        NOT NULL CHECK (audience IN ('parties', 'business')),
    text       text        NOT NULL,
    written_at timestamptz NOT NULL
);
CREATE INDEX booking_remarks_booking ON booking_remarks (booking_id, id);
COMMENT ON COLUMN booking_remarks.about IS 'data: none; kept: until erased';
COMMENT ON COLUMN booking_remarks.audience IS 'data: none; kept: until erased';
COMMENT ON COLUMN booking_remarks.text IS 'data: author; kept: until erased';

-- Facts of many booking decisions that change by the minute: the slots that overlap each span (0), the jobs in progress (1), who
-- is blocked (2); `nth` is the position of the span or pair. It is a function for the sake of its settings: planned while the
-- tables are small, the statement would scan all of them ever after (a third of the database's time for a booking).
CREATE FUNCTION busy_now(staff_ids uuid[], from_ats timestamptz[], to_ats timestamptz[], business_ids uuid[], customer_ids uuid[])
RETURNS TABLE (what int, nth int, staff uuid, subject uuid, held_from timestamptz, held_to timestamptz,
               starts timestamptz, ends timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT 0, w.idx::int, w.staff_id, s.subject_id, lower(s.during), upper(s.during), b.starts_at, b.ends_at
      FROM unnest(staff_ids, from_ats, to_ats) WITH ORDINALITY w(staff_id, from_at, to_at, idx)
      JOIN slots s ON s.staff_id = w.staff_id AND s.during && tstzrange(w.from_at, w.to_at)
      LEFT JOIN bookings b ON b.id = s.subject_id;
    RETURN QUERY
    SELECT 1, NULL::int, b.staff_id, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, min(b.ends_at)
      FROM bookings b WHERE b.status = 'IN_PROGRESS' AND b.staff_id = ANY (staff_ids) GROUP BY b.staff_id;
    RETURN QUERY
    SELECT 2, w.idx::int, NULL::uuid, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz
      FROM unnest(business_ids, customer_ids) WITH ORDINALITY w(business_id, customer_id, idx)
      JOIN blocked_pairs p ON p.business_id = w.business_id AND p.customer_id = w.customer_id;
END $$;

SELECT make_row_writers(t) FROM unnest(ARRAY['bookings', 'booking_notes', 'booking_remarks']) t;

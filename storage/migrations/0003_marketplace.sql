-- Read rows of the marketplace: written whole by the decisions they follow from, read by queries and facts.

CREATE TABLE businesses (
    id                 uuid        PRIMARY KEY,
    owner_id           uuid        NOT NULL,
    name               text        NOT NULL,
    category           text        NOT NULL,
    description        text        NOT NULL,
    city               text        NOT NULL,
    zone               text        NOT NULL,
    currency           text        NOT NULL,
    latitude           float8,
    longitude          float8,
    hours              jsonb       NOT NULL,
    lead_time_minutes  int         NOT NULL CHECK (lead_time_minutes >= 0),
    commission_bp      int         NOT NULL CHECK (commission_bp BETWEEN 0 AND 10000),
    auto_approve       boolean     NOT NULL,
    is_active          boolean     NOT NULL,
    created_at         timestamptz NOT NULL
);
CREATE INDEX businesses_owner ON businesses (owner_id);

-- Who works for a business: owner, employees (with or without the manager right) and staff.
CREATE TABLE members (
    business_id uuid        NOT NULL,
    user_id     uuid        NOT NULL,
    role        text        NOT NULL CHECK (role IN ('owner', 'employee', 'staff')),
    manager     boolean     NOT NULL,
    -- Does jobs: a staff member, or an owner who also works.
    serves      boolean     NOT NULL,
    active      boolean     NOT NULL,
    bio         text        NOT NULL,
    -- When they work, as OpenHours; null: whenever the business is open.
    working     jsonb,
    joined_at   timestamptz NOT NULL,
    PRIMARY KEY (business_id, user_id)
);
CREATE INDEX members_user ON members (user_id);

CREATE TABLE services (
    id                    uuid        PRIMARY KEY,
    business_id           uuid        NOT NULL,
    category              text        NOT NULL,
    title                 text        NOT NULL,
    description           text        NOT NULL,
    price_minor           bigint      NOT NULL CHECK (price_minor >= 0),
    currency              text        NOT NULL,
    credits_required      int         NOT NULL CHECK (credits_required >= 0),
    duration_minutes      int         NOT NULL CHECK (duration_minutes > 0),
    buffer_before_minutes int         NOT NULL CHECK (buffer_before_minutes >= 0),
    buffer_after_minutes  int         NOT NULL CHECK (buffer_after_minutes >= 0),
    images                jsonb       NOT NULL,
    is_active             boolean     NOT NULL,
    created_at            timestamptz NOT NULL
);
CREATE INDEX services_business ON services (business_id, created_at, id);
CREATE INDEX services_category ON services (category, created_at, id);
CREATE INDEX services_newest ON services (created_at, id);

CREATE TABLE service_staff (
    service_id uuid NOT NULL,
    staff_id   uuid NOT NULL,
    PRIMARY KEY (service_id, staff_id)
);
CREATE INDEX service_staff_staff ON service_staff (staff_id);

CREATE TABLE blocked_pairs (
    business_id uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    blocked_at  timestamptz NOT NULL,
    PRIMARY KEY (business_id, customer_id)
);

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

-- What the customer wrote to a booking, and where it is to be: text that can be erased.
CREATE TABLE booking_notes (
    booking_id uuid   PRIMARY KEY,
    notes      text   NOT NULL,
    address    text   NOT NULL,
    latitude   float8,
    longitude  float8
);

CREATE TABLE payments (
    id           uuid        PRIMARY KEY,
    booking_id   uuid        NOT NULL,
    customer_id  uuid        NOT NULL,
    business_id  uuid        NOT NULL,
    method       text        NOT NULL,
    amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
    currency     text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('REQUESTED', 'CAPTURED', 'REFUNDING', 'REFUNDED')),
    requested_at timestamptz NOT NULL,
    captured_at  timestamptz
);
CREATE INDEX payments_booking ON payments (booking_id);
CREATE INDEX payments_customer ON payments (customer_id, requested_at DESC, id DESC);
CREATE INDEX payments_refunding ON payments (requested_at) WHERE status = 'REFUNDING';

CREATE TABLE conversations (
    id          uuid        PRIMARY KEY,
    kind        text        NOT NULL,
    booking_id  uuid,
    business_id uuid,
    closes_at   timestamptz,
    created_at  timestamptz NOT NULL
);
-- role: what the member is in this thread, since each role sees only its own kinds of thread.
-- active_at: the last message's time, moved at most once a minute, so that a message need not touch its thread's rows.
CREATE TABLE conversation_members (
    conversation_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    role            text        NOT NULL,
    active_at       timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
);
CREATE INDEX conversation_members_listed ON conversation_members (user_id, role, active_at DESC, conversation_id DESC);
CREATE TABLE messages (
    id              uuid        PRIMARY KEY,
    conversation_id uuid        NOT NULL,
    sender_id       uuid        NOT NULL,
    text            text        NOT NULL,
    sent_at         timestamptz NOT NULL,
    edited_at       timestamptz,
    deleted_at      timestamptz
);
CREATE INDEX messages_conversation ON messages (conversation_id, id DESC);
-- How far each person has read; ids sort by time.
CREATE TABLE read_marks (
    conversation_id uuid        NOT NULL,
    user_id         uuid        NOT NULL,
    message_id      uuid        NOT NULL,
    read_at         timestamptz NOT NULL,
    PRIMARY KEY (conversation_id, user_id)
) WITH (fillfactor = 70);

-- What a round of booking decisions has to know that changes by the minute: the jobs in the way of each span (0), the jobs
-- under way (1), who is blocked (2); `nth` is the position of the span or pair. A function for its settings alone: planned
-- while the tables are small, it would read all of them for good (a third of the database's time for a booking).
CREATE FUNCTION busy_now(staff_ids uuid[], from_ats timestamptz[], to_ats timestamptz[], business_ids uuid[], customer_ids uuid[])
RETURNS TABLE (what int, nth int, staff uuid, booking uuid, held_from timestamptz, held_to timestamptz,
               starts timestamptz, ends timestamptz)
LANGUAGE plpgsql STABLE SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN QUERY
    SELECT 0, w.idx::int, w.staff_id, s.booking_id, lower(s.during), upper(s.during), b.starts_at, b.ends_at
      FROM unnest(staff_ids, from_ats, to_ats) WITH ORDINALITY w(staff_id, from_at, to_at, idx)
      JOIN slots s ON s.staff_id = w.staff_id AND s.during && tstzrange(w.from_at, w.to_at)
      LEFT JOIN bookings b ON b.id = s.booking_id;
    RETURN QUERY
    SELECT 1, NULL::int, b.staff_id, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, min(b.ends_at)
      FROM bookings b WHERE b.status = 'IN_PROGRESS' AND b.staff_id = ANY (staff_ids) GROUP BY b.staff_id;
    RETURN QUERY
    SELECT 2, w.idx::int, NULL::uuid, NULL::uuid, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz
      FROM unnest(business_ids, customer_ids) WITH ORDINALITY w(business_id, customer_id, idx)
      JOIN blocked_pairs p ON p.business_id = w.business_id AND p.customer_id = w.customer_id;
END $$;

SELECT make_row_writers(t) FROM unnest(ARRAY[
    'businesses', 'members', 'services', 'service_staff', 'blocked_pairs', 'bookings', 'booking_notes', 'payments',
    'conversations', 'conversation_members', 'messages', 'read_marks']) t;

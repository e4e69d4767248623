-- Businesses, their members and what they offer.

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
COMMENT ON COLUMN businesses.name IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.category IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.description IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.city IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.zone IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.currency IS 'data: business; kept: until erased';
COMMENT ON COLUMN businesses.hours IS 'data: business; kept: until replaced';

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
COMMENT ON COLUMN members.role IS 'data: user; kept: for good';
COMMENT ON COLUMN members.bio IS 'data: user; kept: until erased';
COMMENT ON COLUMN members.working IS 'data: user; kept: until replaced';

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
COMMENT ON COLUMN services.category IS 'data: business; kept: until replaced';
COMMENT ON COLUMN services.title IS 'data: business; kept: until replaced';
COMMENT ON COLUMN services.description IS 'data: business; kept: until replaced';
COMMENT ON COLUMN services.currency IS 'data: business; kept: until replaced';
COMMENT ON COLUMN services.images IS 'data: business; kept: until replaced';

CREATE TABLE service_staff (
    service_id uuid NOT NULL,
    staff_id   uuid NOT NULL,
    PRIMARY KEY (service_id, staff_id)
);
CREATE INDEX service_staff_staff ON service_staff (staff_id);

-- Customers and businesses that have no new dealings with each other.
CREATE TABLE blocked_pairs (
    business_id uuid        NOT NULL,
    customer_id uuid        NOT NULL,
    blocked_at  timestamptz NOT NULL,
    PRIMARY KEY (business_id, customer_id)
);

SELECT make_row_writers(t) FROM unnest(ARRAY['businesses', 'members', 'services', 'service_staff', 'blocked_pairs']) t;

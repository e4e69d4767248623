-- Payments at a gateway. What is paid for is the payment's subject: a booking, …

CREATE TABLE payments (
    id           uuid        PRIMARY KEY,
    subject_kind text        NOT NULL,
    subject_id   uuid        NOT NULL,
    customer_id  uuid        NOT NULL,
    business_id  uuid        NOT NULL,
    method       text        NOT NULL,
    -- What the customer reads on the gateway's page.
    number       text        NOT NULL,
    title        text        NOT NULL,
    -- What was asked for; once it is captured, what came.
    amount_minor bigint      NOT NULL CHECK (amount_minor > 0),
    currency     text        NOT NULL,
    status       text        NOT NULL CHECK (status IN ('REQUESTED', 'CAPTURED', 'REFUNDING', 'REFUNDED')),
    requested_at timestamptz NOT NULL,
    captured_at  timestamptz,
    -- 0: asked for by the subject, and not opened yet.
    version      bigint      NOT NULL,
    CHECK ((status = 'REQUESTED') = (captured_at IS NULL))
);
CREATE INDEX payments_subject ON payments (subject_id);
CREATE INDEX payments_customer ON payments (customer_id, requested_at DESC, id DESC);
CREATE INDEX payments_refunding ON payments (requested_at) WHERE status = 'REFUNDING';
COMMENT ON COLUMN payments.subject_kind IS 'data: none; kept: for good';
COMMENT ON COLUMN payments.method IS 'data: none; kept: for good';
COMMENT ON COLUMN payments.number IS 'data: none; kept: for good';
COMMENT ON COLUMN payments.title IS 'data: business; kept: for good';
COMMENT ON COLUMN payments.currency IS 'data: none; kept: for good';
COMMENT ON COLUMN payments.status IS 'data: none; kept: for good';

-- What a gateway names a payment in its webhooks.
CREATE TABLE gateway_refs (
    gateway    text NOT NULL,
    reference  text NOT NULL,
    payment_id uuid NOT NULL,
    PRIMARY KEY (gateway, reference)
);
COMMENT ON COLUMN gateway_refs.gateway IS 'data: none; kept: for good';
COMMENT ON COLUMN gateway_refs.reference IS 'data: provider; kept: for good';

-- Verified webhooks of payment gateways and message providers that changed nothing: unknown types, unknown payments. For an
-- operator.
CREATE TABLE unmatched_webhooks (
    provider    text        NOT NULL,
    event_id    text        NOT NULL,
    type        text        NOT NULL,
    problem     text        NOT NULL,
    body        text        NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (provider, event_id)
);
COMMENT ON COLUMN unmatched_webhooks.provider IS 'data: none; kept: retention.unmatched_webhooks_days';
COMMENT ON COLUMN unmatched_webhooks.event_id IS 'data: provider; kept: retention.unmatched_webhooks_days';
COMMENT ON COLUMN unmatched_webhooks.type IS 'data: provider; kept: retention.unmatched_webhooks_days';
COMMENT ON COLUMN unmatched_webhooks.problem IS 'data: none; kept: retention.unmatched_webhooks_days';
COMMENT ON COLUMN unmatched_webhooks.body IS 'data: provider; kept: retention.unmatched_webhooks_days';

SELECT make_row_writers(t) FROM unnest(ARRAY['payments', 'gateway_refs']) t;

-- Saved addresses of users: an owned record. Its columns are the row's, in order.
CREATE TABLE addresses (
    owner_id    uuid             NOT NULL,
    id          uuid             PRIMARY KEY,
    place       smallint         NOT NULL,
    label       text             NOT NULL,
    street      text             NOT NULL,
    details     text             NOT NULL,
    postal_code text             NOT NULL,
    city        text             NOT NULL,
    region      text             NOT NULL,
    country     text             NOT NULL,
    latitude    double precision,
    longitude   double precision,
    put_at      timestamptz      NOT NULL,
    UNIQUE (owner_id, place)
);
CREATE INDEX addresses_listed ON addresses (owner_id, put_at, id);
SELECT make_row_writers('addresses');

-- What people wrote when they declined or called off a booking: text that can be erased.
-- audience: 'parties' may all read it; 'business' only its managers and whoever wrote it.
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
SELECT make_row_writers('booking_remarks');

-- A booking is found by its human number.

CREATE INDEX bookings_number ON bookings (number);

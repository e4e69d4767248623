-- When the staff member of a booking left the business. A server of the version before writes no such time.

ALTER TABLE bookings ADD COLUMN staff_left_at timestamptz;
SELECT make_row_writers('bookings');

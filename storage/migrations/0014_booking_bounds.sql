-- Jobs that were confirmed or started before now get the timers that end their waiting, as new ones do (rule B-22).
INSERT INTO agenda (id, kind, actor_id, name, due_at, command, payload, cause)
SELECT gen_random_uuid(), 'booking', b.id, 'start_overdue', b.ends_at + interval '2 hours', 'booking.ask_about_start',
       '{"booking_id":"' || b.id || '"}', 'migration'
  FROM bookings b WHERE b.status = 'CONFIRMED'
    ON CONFLICT DO NOTHING;
INSERT INTO agenda (id, kind, actor_id, name, due_at, command, payload, cause)
SELECT gen_random_uuid(), 'booking', b.id, 'end_overdue',
       greatest(b.ends_at, b.actual_start_at + (b.ends_at - b.starts_at)) + interval '12 hours', 'booking.alert_owner',
       '{"booking_id":"' || b.id || '"}', 'migration'
  FROM bookings b WHERE b.status = 'IN_PROGRESS'
    ON CONFLICT DO NOTHING;
-- Unpaid holds that expired: how many of a customer's at a business within the last day (rule B-31).
CREATE INDEX bookings_expired_unpaid ON bookings (customer_id, business_id, created_at)
 WHERE status = 'EXPIRED' AND payment_status = 'UNPAID';

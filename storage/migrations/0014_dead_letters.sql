-- Dead deliveries, for admins: listed by when they ended, and sent again.

-- Attempts from before it was last sent again; the others count towards the next death.
ALTER TABLE deliveries ADD COLUMN earlier_attempts smallint NOT NULL DEFAULT 0
    CHECK (earlier_attempts BETWEEN 0 AND attempts);
SELECT make_row_writers('deliveries');

DROP INDEX deliveries_dead;
CREATE INDEX deliveries_listed ON deliveries (state, (coalesce(finished_at, due_at)) DESC, id DESC);
CREATE INDEX mailbox_channel ON mailbox (channel, id DESC);

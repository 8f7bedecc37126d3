-- A sign-up is an intent like a partner's order: it stands here before ProBonus is called, and its outcome is unknown until the account is
-- seen.

-- Who works on it while the lease lasts.
ALTER TABLE registrations ADD COLUMN owner BYTEA;
-- The session whose sign-up was sent.
ALTER TABLE registrations ADD COLUMN session BYTEA;
-- When ProBonus was last called; NULL: never.
ALTER TABLE registrations ADD COLUMN sent_at_us BIGINT;
-- Until then that call may still take effect, and no other is made.
ALTER TABLE registrations ADD COLUMN settled_at_us BIGINT NOT NULL DEFAULT 0;
-- 1: the guest has been told that the account is made.
ALTER TABLE registrations ADD COLUMN told BIGINT NOT NULL DEFAULT 0;

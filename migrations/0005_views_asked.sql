-- When the answer was asked for: a view is not shown after a write that it may not have seen, whichever of them came to be kept first.

ALTER TABLE views ADD COLUMN asked_at_us BIGINT NOT NULL DEFAULT 0;

-- Writes are counted. The generation of a subject (a guest, an account by its keyed hash) is the number of its last write; an answer that
-- was asked for when the count was smaller is of before that write. No clock is compared.

CREATE TABLE writes (
    number BIGINT NOT NULL
);
INSERT INTO writes (number) VALUES (0);

CREATE TABLE generations (
    subject BYTEA NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL,
    -- Only to know when it may be forgotten.
    moved_at_us BIGINT NOT NULL
);
CREATE INDEX generations_by_age ON generations (moved_at_us);

-- What the watermarks kept from being shown goes with them; what is left was read under the first generation.
DELETE FROM views WHERE EXISTS
    (SELECT 1 FROM watermarks WHERE subject IN (views.guest, views.account) AND at_us >= views.asked_at_us);
DROP TABLE watermarks;
ALTER TABLE views DROP COLUMN asked_at_us;
ALTER TABLE views ADD COLUMN generation BIGINT NOT NULL DEFAULT 0;
-- When ProBonus was asked, by the time that all replicas share; `as_of_us` is by the clock of who asked.
ALTER TABLE views ADD COLUMN read_at_us BIGINT NOT NULL DEFAULT 0;
UPDATE views SET read_at_us = as_of_us;
DROP INDEX views_by_age;
CREATE INDEX views_by_age ON views (read_at_us);

-- By what a restore of an older state is known: then orders that this state does not know may be in ProBonus all the same.

CREATE TABLE restore_watch (
    -- There is one row: 1.
    id BIGINT NOT NULL PRIMARY KEY,
    -- What the state stands in, as its engine or its file system names it.
    identity TEXT,
    -- Operations ever claimed. Beside an embedded store the same number is kept in a file of its own.
    claims BIGINT NOT NULL,
    -- 1 when the program of an embedded store was stopped in order, and nothing was written since.
    clean BIGINT NOT NULL,
    -- When the program last said that it lives.
    alive_at_us BIGINT NOT NULL,
    -- What was ordered since this moment may be in ProBonus although it is not here; new orders are looked for until that one.
    lost_from_us BIGINT NOT NULL,
    look_until_us BIGINT NOT NULL
);
INSERT INTO restore_watch (id, identity, claims, clean, alive_at_us, lost_from_us, look_until_us) VALUES (1, NULL, 0, 0, 0, 0, 0);

-- Since when an operation may have been booked; 0: since it was asked for.
ALTER TABLE operations ADD COLUMN since_us BIGINT NOT NULL DEFAULT 0;

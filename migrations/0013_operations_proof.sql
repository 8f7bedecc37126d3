-- What partners' operations are proven by, what they took of their partner's day, and why one is not known.

-- The keyed hash of account, number and sums: two checks that share it cannot be told apart where ProBonus shows no GUID.
ALTER TABLE operations ADD COLUMN likeness BYTEA;
-- How far the history lagged behind, at the least, when it showed something later than the last call; -1: it has shown nothing.
ALTER TABLE operations ADD COLUMN history_lag_us BIGINT NOT NULL DEFAULT -1;
-- What the proof of an unknown operation lacks.
ALTER TABLE operations ADD COLUMN reason TEXT;
CREATE INDEX operations_by_likeness ON operations (likeness) WHERE likeness IS NOT NULL;

-- What an operation took of its partner's sums of a day: given back once, however it ends.
CREATE TABLE operation_sums (
    key_tag BYTEA NOT NULL,
    -- Which sum: refill, check_accrual, check_spend.
    what TEXT NOT NULL,
    -- The row of `limits` that it was taken of.
    day_key BYTEA NOT NULL,
    sum BIGINT NOT NULL,
    PRIMARY KEY (key_tag, what)
);

-- What of ProBonus' history settled an operation: one movement settles one.
CREATE TABLE settled_movements (
    -- The keyed hash of the account's id.
    account BYTEA NOT NULL,
    -- The check's or the movement's id, with what it is in front.
    movement TEXT NOT NULL,
    key_tag BYTEA NOT NULL,
    PRIMARY KEY (account, movement)
);

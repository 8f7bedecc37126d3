-- Who edits an account at the moment: the version is compared and the edit is made in one step, however many ask and wherever. Beside it
-- what was written last, sealed, for as long as ProBonus may take to show it.

CREATE TABLE edits (
    account BYTEA NOT NULL PRIMARY KEY,
    -- Counts who had the right; only the last gives it back.
    fence BIGINT NOT NULL,
    lease_until_us BIGINT NOT NULL,
    sealed BYTEA,
    shown_until_us BIGINT NOT NULL
);
CREATE INDEX edits_by_age ON edits (lease_until_us);

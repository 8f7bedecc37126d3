-- Money-like operations of partners. A row is the intent: it stands here before ProBonus is called.

CREATE TABLE operations (
    -- The keyed hash of what makes it unique: a check's GUID, a partner's idempotency key.
    key_tag BYTEA NOT NULL PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    partner TEXT NOT NULL,
    fingerprint BYTEA NOT NULL,
    -- The order, sealed; wiped when the retention is over, the rest stays.
    sealed BYTEA,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    -- Who works on it, and until when that is believed.
    owner BYTEA NOT NULL,
    lease_until_us BIGINT NOT NULL,
    settle_at_us BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL,
    sent_at_us BIGINT NOT NULL,
    changed_at_us BIGINT NOT NULL
);
CREATE INDEX operations_by_state ON operations (state, settle_at_us);
CREATE INDEX operations_by_age ON operations (changed_at_us);

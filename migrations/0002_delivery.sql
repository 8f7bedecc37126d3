-- Messages under way. `sealed` holds phone and code and is wiped as soon as the message's fate is known; while a guest's call is waited
-- for, it holds by what the gateway is asked for it.

CREATE TABLE outbox (
    id BYTEA NOT NULL PRIMARY KEY,
    challenge BYTEA NOT NULL,
    -- Counts the messages of a challenge.
    number BIGINT NOT NULL,
    cooldown BYTEA,
    -- The keyed hash of the phone that is to call us.
    caller BYTEA,
    -- The number it is to call.
    dial TEXT,
    sealed BYTEA,
    state TEXT NOT NULL,
    gateway TEXT,
    provider_tag BYTEA,
    created_at_us BIGINT NOT NULL,
    lease_until_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL
);
CREATE INDEX outbox_by_state ON outbox (state, created_at_us);
CREATE INDEX outbox_by_challenge ON outbox (challenge);
CREATE INDEX outbox_by_provider ON outbox (provider_tag);
CREATE INDEX outbox_by_caller ON outbox (caller) WHERE caller IS NOT NULL;
CREATE INDEX outbox_by_expiry ON outbox (expires_at_us);

-- Signing in. Moments are microseconds since the epoch; what is personal is keyed (fingerprints) or sealed.

CREATE TABLE challenges (
    id_tag BYTEA NOT NULL PRIMARY KEY,
    guest BYTEA NOT NULL,
    phone_sealed BYTEA NOT NULL,
    code_tag BYTEA NOT NULL,
    channel TEXT NOT NULL,
    platform TEXT NOT NULL,
    language TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL,
    resend_at_us BIGINT NOT NULL,
    consumed_at_us BIGINT,
    -- The guest's own call came: it stands for the code.
    confirmed_at_us BIGINT,
    -- The keyed hash of digits that a gateway chose.
    chosen_digits BYTEA
);
CREATE INDEX challenges_by_expiry ON challenges (expires_at_us);

CREATE TABLE sessions (
    id BYTEA NOT NULL PRIMARY KEY,
    guest BYTEA NOT NULL,
    phone_sealed BYTEA NOT NULL,
    kind TEXT NOT NULL,
    device_sealed BYTEA,
    -- The refresh token in use is the one with this number; the pair with `used` as its number was seen in use.
    counter BIGINT NOT NULL,
    used BIGINT NOT NULL,
    used_at_us BIGINT NOT NULL,
    created_at_us BIGINT NOT NULL,
    last_seen_at_us BIGINT NOT NULL,
    idle_until_us BIGINT NOT NULL,
    expires_at_us BIGINT NOT NULL
);
CREATE INDEX sessions_by_guest ON sessions (guest);
CREATE INDEX sessions_by_expiry ON sessions (expires_at_us);

CREATE TABLE limits (
    key BYTEA NOT NULL PRIMARY KEY,
    started_at_us BIGINT NOT NULL,
    ends_at_us BIGINT NOT NULL,
    count BIGINT NOT NULL
);
CREATE INDEX limits_by_end ON limits (ends_at_us);

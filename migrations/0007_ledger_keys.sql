-- The ledger key: random, made once, and kept only wrapped by the master secret. A rotation wraps it anew and never replaces it.

-- A generation is added only when a start knows no secret that unwraps an earlier one.
CREATE TABLE ledger_keys (
    generation BIGINT NOT NULL PRIMARY KEY,
    created_at_us BIGINT NOT NULL
);

CREATE TABLE ledger_wraps (
    generation BIGINT NOT NULL,
    secret_id BYTEA NOT NULL,
    -- Counts the wraps of a generation: a later secret has a greater number.
    number BIGINT NOT NULL,
    -- Emptied when a later secret is the only one in use.
    sealed BYTEA NOT NULL,
    created_at_us BIGINT NOT NULL,
    PRIMARY KEY (generation, secret_id)
);

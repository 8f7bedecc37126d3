-- What guests saw last, sealed: stale answers survive a restart, and one replica knows what another learned.

CREATE TABLE views (
    guest BYTEA NOT NULL,
    view TEXT NOT NULL,
    -- The keyed hash of the account's id: partners' operations know no more.
    account BYTEA NOT NULL,
    sealed BYTEA NOT NULL,
    as_of_us BIGINT NOT NULL,
    PRIMARY KEY (guest, view)
);
CREATE INDEX views_by_account ON views (account);
CREATE INDEX views_by_age ON views (as_of_us);

-- A write happened for this guest or account then: what was asked for before is not kept any more.
CREATE TABLE watermarks (
    subject BYTEA NOT NULL PRIMARY KEY,
    at_us BIGINT NOT NULL
);
CREATE INDEX watermarks_by_age ON watermarks (at_us);

-- Who is signing up at the moment: one call to ProBonus, however many ask.
CREATE TABLE registrations (
    guest BYTEA NOT NULL PRIMARY KEY,
    lease_until_us BIGINT NOT NULL
);

-- What guests agreed to, and when.
CREATE TABLE consents (
    guest BYTEA NOT NULL,
    document TEXT NOT NULL,
    version TEXT NOT NULL,
    agreed_at_us BIGINT NOT NULL,
    PRIMARY KEY (guest, document, version)
);

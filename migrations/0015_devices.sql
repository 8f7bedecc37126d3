-- Devices that signed a phone in before: so many a phone, the longest unseen are forgotten. `id` is the random half of a device's token.

CREATE TABLE devices (
    id BYTEA NOT NULL PRIMARY KEY,
    guest BYTEA NOT NULL,
    seen_at_us BIGINT NOT NULL
);
CREATE INDEX devices_by_guest ON devices (guest, seen_at_us);
CREATE INDEX devices_by_age ON devices (seen_at_us);

-- From where a challenge was asked for, sealed: wrong codes count against its asker's networks, too.
ALTER TABLE challenges ADD COLUMN asked_from BYTEA;

-- A call that a device asked for which had signed the phone in before goes before calls that others asked for.
ALTER TABLE outbox ADD COLUMN known_device BIGINT NOT NULL DEFAULT 0;

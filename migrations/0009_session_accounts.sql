-- The account that a session was opened under: the keyed hash of its id, empty for none; NULL while nobody has said.

ALTER TABLE sessions ADD COLUMN account BYTEA;

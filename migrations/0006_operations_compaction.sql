-- Finds orders whose retention is over without passing by those that were wiped long ago.
DROP INDEX operations_by_age;
CREATE INDEX operations_to_wipe ON operations (changed_at_us) WHERE sealed IS NOT NULL AND state IN ('registered', 'rejected');

-- What one end comes to when nothing but the database works: the call is over, the ledger has its
-- entry, the outbox its event, in one statement, on tables like ours without their foreign keys.
CREATE TABLE bench.end_calls (LIKE calls INCLUDING ALL EXCLUDING CONSTRAINTS);
ALTER TABLE bench.end_calls ADD CONSTRAINT calls_sound CHECK (call_is_sound(ROW(end_calls.*)::calls));
CREATE TABLE bench.end_ledger (LIKE ledger_entries INCLUDING ALL);
CREATE TABLE bench.end_outbox (LIKE webhook_deliveries INCLUDING ALL);

-- What one end of ours hands to apply_change, in its two steps. Stored plain, as it is read for
-- each end.
CREATE TABLE bench.own (step integer PRIMARY KEY, version bigint NOT NULL, call calls NOT NULL, effects text NOT NULL);
ALTER TABLE bench.own ALTER call SET STORAGE PLAIN, ALTER effects SET STORAGE PLAIN;

-- The live stream and the pull of events read an organisation's facts in the order of their positions.
--
-- A position is (position, call_id, sequence). A reader stops below
-- pg_snapshot_xmin(pg_current_snapshot()): what a transaction still running may write comes after that.
-- The two columns suffice: the few facts of one transaction are put in order as they are read.
CREATE INDEX call_facts_position ON call_facts (organization_id, position);

-- Requests without an API token honour Idempotency-Key too: those of local mode, and the operator's.

ALTER TABLE idempotency_keys ALTER COLUMN token_id DROP NOT NULL;
COMMENT ON COLUMN idempotency_keys.token_id IS 'The token it came with; null: local mode, or the operator.';

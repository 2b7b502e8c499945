-- When each account's calls are next compared with those that live at its provider.

ALTER TABLE provider_accounts
    ADD COLUMN list_due_at timestamptz NOT NULL DEFAULT '-infinity';
COMMENT ON COLUMN provider_accounts.list_due_at IS 'When the calls that live on the account are listed next, by whichever node claims it.';
CREATE INDEX provider_accounts_list_due ON provider_accounts (list_due_at) WHERE disconnected_at IS NULL;

-- An end writes each index of calls once more, since whether a call is over is in one of them.
-- The same rules and look-ups with two indexes fewer for most calls.

-- By the provider's name alone, and once for each account: one index instead of two.
ALTER TABLE calls DROP CONSTRAINT calls_organization_id_provider_account_id_provider_call_id_key;
DROP INDEX calls_provider_call_id;
ALTER TABLE calls ADD CONSTRAINT calls_once_at_its_provider UNIQUE (organization_id, provider_call_id, provider_account_id);

-- Few calls have a reference of the client's.
ALTER TABLE calls DROP CONSTRAINT calls_organization_id_client_reference_key;
CREATE UNIQUE INDEX calls_client_reference ON calls (organization_id, client_reference) WHERE client_reference IS NOT NULL;

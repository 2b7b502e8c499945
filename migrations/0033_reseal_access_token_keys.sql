-- `onhook reseal` seals the seeds of access tokens' keys anew, as everything else that lives longer than a
-- rotation of ONHOOK_SECRET_KEY: a node without the old key could not sign anybody in otherwise.
-- Nothing else of a key ever changes.

GRANT UPDATE (seed_sealed, seed_key_id) ON access_token_keys TO onhook_application;

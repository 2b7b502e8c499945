//! The variables that the configuration is read from. What they mean is in `read.rs`.

/// Every variable: its name, its default (`None`: required; empty: off), what it is.
pub const VARIABLES: [(&str, Option<&str>, &str); 28] = [
    (
        "DATABASE_URL",
        None,
        "PostgreSQL, for example postgres://onhook:…@localhost:5432/onhook",
    ),
    (
        "ONHOOK_DATABASE_REQUEST_CONNECTIONS",
        Some("8"),
        "connections for requests, 1–1000",
    ),
    (
        "ONHOOK_DATABASE_WORKER_CONNECTIONS",
        Some("8"),
        "connections for jobs and deliveries, 1–1000",
    ),
    (
        "ONHOOK_DATABASE_PATIENCE_MS",
        Some("800"),
        "how long a request that ends a call waits for connections in all; others 5/8 of it, 100–10000",
    ),
    (
        "ONHOOK_LISTEN",
        Some("127.0.0.1:8080"),
        "address and port of the API",
    ),
    (
        "ONHOOK_OPERATOR_LISTEN",
        Some("127.0.0.1:9464"),
        "address and port of /metrics, for operators only",
    ),
    (
        "ONHOOK_PUBLIC_URL",
        None,
        "how providers reach the API, for example https://calls.example.com",
    ),
    (
        "ONHOOK_SECRET_KEY",
        None,
        "id:base64 of 32 bytes, newest first, separated by commas: seals secrets at rest",
    ),
    (
        "ONHOOK_TOKEN_PEPPER",
        None,
        "base64 of at least 32 bytes: hashes API tokens; changing it revokes them all",
    ),
    (
        "ADMIN_TOKEN",
        Some(""),
        "what the operator shows in X-Admin-Token; empty: the operator's routes are not there",
    ),
    (
        "ONHOOK_LOCAL_ORGANIZATION",
        Some(""),
        "local mode: the organisation that /api/call and /api/calls act as without a token",
    ),
    (
        "ONHOOK_END_WAIT_SECONDS",
        Some("5"),
        "how long terminate and end wait for the provider, 0–30",
    ),
    (
        "ONHOOK_AGENT_END_WAIT_SECONDS",
        Some("2"),
        "how long end-call waits for the provider, 0–30",
    ),
    (
        "ONHOOK_MAX_CONNECTIONS",
        Some("10000"),
        "open client connections at most",
    ),
    (
        "ONHOOK_TRUSTED_PROXIES",
        Some(""),
        "addresses and networks of proxies whose X-Forwarded-For is believed, separated by commas",
    ),
    (
        "ONHOOK_PROVIDER_CONNECT_TIMEOUT_MS",
        Some("1000"),
        "100–5000",
    ),
    (
        "ONHOOK_PROVIDER_HANG_UP_TIMEOUT_MS",
        Some("4000"),
        "a whole request to hang up or read, 100–4000",
    ),
    (
        "ONHOOK_PROVIDER_DIAL_TIMEOUT_MS",
        Some("10000"),
        "a whole request to dial, 100–10000",
    ),
    (
        "ONHOOK_OUTBOUND_ALLOW_LOOPBACK",
        Some("false"),
        "true: providers and webhooks may be on loopback; never in production",
    ),
    (
        "ONHOOK_QUIET_AFTER_SECONDS",
        Some("120"),
        "a call without evidence for so long is read at its provider, 10–3600",
    ),
    (
        "ONHOOK_DELIVER_WEBHOOKS",
        Some("true"),
        "false: this node leaves webhook deliveries to other nodes",
    ),
    (
        "ONHOOK_MAIL_URL",
        Some(""),
        "how mail is sent: smtps://user:password@host:465, smtp://…, or folder:/path; empty: not at all",
    ),
    (
        "ONHOOK_MAIL_FROM",
        Some("Onhook <onhook@localhost.localdomain>"),
        "whom mails are from",
    ),
    (
        "ONHOOK_REQUESTS_PER_TOKEN",
        Some("6000"),
        "requests a minute of one token on this node, but for ending and reading; 0: any number",
    ),
    (
        "ONHOOK_REQUESTS_PER_ORGANIZATION",
        Some("30000"),
        "requests a minute of one organisation on this node, but for ending and reading; 0: any number",
    ),
    (
        "ONHOOK_SAFETY_CEILING",
        Some("6000000"),
        "ends and reads a minute of one organisation on this node; 0: any number",
    ),
    (
        "ONHOOK_LIVE_CALLS",
        Some("1000"),
        "live calls of an organisation that has no limit of its own; 0: any number",
    ),
    (
        "ONHOOK_LOG",
        Some("json:info"),
        "json or plain, a colon, and a filter, for example plain:info,onhook=debug",
    ),
];

//! Onhook: the call-control plane for AI phone agents.
//!
//! One package, one folder per layer; the same noun has the same name in every layer, and in `app`
//! and `http` the file is the verb. `ARCHITECTURE.md` says why, `docs/` how to add to it.
//!
//! # Where does X live?
//!
//! | looking for | look in |
//! |---|---|
//! | may a call go from A to B | `domain/call/status.rs` |
//! | what anything that happens does to a call | `domain/call/decide.rs` |
//! | why and by whom a call ended | `domain/call/end_reason.rs` |
//! | the times, reason and price of an end | `domain/call/ending.rs` |
//! | what a duration costs | `domain/billing/rate.rs` |
//! | what happens when someone ends a call | `app/calls/end.rs` |
//! | what happens when someone places one | `app/calls/start.rs` |
//! | how a provider's report is applied | `app/calls/observe.rs` |
//! | how a provider is asked to hang up, and how often | `jobs/kinds/hang_up_call.rs` |
//! | what becomes of a dial whose answer was lost | `jobs/kinds/dial_call.rs` |
//! | how due webhooks are taken, and how one is sent | `jobs/deliveries.rs`, `jobs/kinds/deliver_webhook.rs` |
//! | how much of a node one receiver may take, and when it is left alone | `jobs/endpoints.rs` |
//! | how a receiver is disabled by itself, and who is told | `app/webhook_endpoints/disable.rs` |
//! | what is removed when it is old | `jobs/retention.rs`, `jobs/worker.rs` (attempts, keys) |
//! | what the owner of a webhook endpoint can do | `app/webhook_endpoints/` |
//! | what was sent, and sending it again | `db/delivery_log.rs`, `app/webhook_endpoints/replay.rs` |
//! | the types of events, and their examples | `domain/webhook/event.rs`, `http/webhook_catalogue.rs` |
//! | an organisation's events in their order | `db/events.rs`, `domain/position.rs` |
//! | an event that is about no call | `app/organization_events.rs` |
//! | how live streams are fed, and from where one goes on | `app/stream/`, `domain/position.rs`, `http/v1/stream.rs` |
//! | why a call ended, in words | `domain/call/why.rs` |
//! | what a Telegram chat or a gateway is told | `domain/notice/` |
//! | how a gateway is held and told | `jobs/gateways/`, `db/gateway_leases.rs` |
//! | how a websocket to a provider is held, and by whom | `jobs/listeners/`, `db/listeners.rs` |
//! | what a provider told, whichever way it came | `app/calls/hear.rs` |
//! | what is asked again without anybody asking | `jobs/kinds/reconcile_calls.rs` |
//! | which loops run, and how often | `jobs/mod.rs`, `jobs/loops.rs` |
//! | how Twilio is told | `providers/twilio/request.rs` |
//! | what Twilio's answer or status means | `providers/twilio/map.rs` |
//! | the signature check of a Twilio callback | `providers/twilio/callback.rs` |
//! | its imitation | `simulator/twilio/` |
//! | any SQL touching table T | `db/T.rs`, `db/T/` |
//! | how a connection to the database is kept between statements | `db/connections.rs` |
//! | the one statement by which a call changes | `db/calls/apply.rs`, `migrations/0031_value_rules_in_domains.sql` |
//! | why a client got 409 | `http/error.rs` for the status, `docs/error-codes.md` for the code |
//! | what a token may do, and what its maker may give | `domain/token.rs`, `domain/grant.rs` |
//! | what an agent may say, and whom it may call | `domain/agent.rs` |
//! | what the doctor says of a provider account | `domain/diagnosis.rs` |
//! | how credentials are tried before they are stored | `http/v1/provider_accounts/probe.rs` |
//! | how old rows get a new key | `app/resealing.rs` |
//! | who is calling | `app/callers.rs`, `app/people/access.rs`, `http/extract/mod.rs` |
//! | whose address counts behind a proxy | `domain/proxies.rs`, `http/layers/access_log.rs` |
//! | what a role may do, who may give it | `domain/role.rs` |
//! | how somebody logs in, goes on, is thrown out | `app/people/log_in.rs`, `db/sessions.rs` |
//! | how often strangers may try | `domain/throttle.rs`, `migrations/0014_people.sql` |
//! | how passwords are hashed, and how many at once | `crypto/password_hash.rs`, `app/people/hashing.rs` |
//! | the keys of people's access tokens | `crypto/access_token.rs`, `app/people/access.rs` |
//! | what a mail says, how it is sent | `domain/mail.rs`, `jobs/mails.rs`, `outbound/mail.rs` |
//! | every route on one screen | `http/router.rs` |
//! | the strings that a drop-in route answers | `http/dropin/` |
//! | the JSON of a call | `domain/call/view.rs` |
//! | the JSON of an event, its id | `domain/webhook/envelope.rs` |
//! | retry delays of a call's job / of a webhook | `domain/backoff.rs` / `domain/webhook/schedule.rs` |
//! | how an `Idempotency-Key` is kept | `app/idempotency.rs` |
//! | what must always hold of the data | `db/invariants/` |
//! | how the audit log is sealed, and how that is checked | `jobs/audit_chain.rs`, `migrations/0018_audit_seals.sql`, `crypto/audit_chain.rs` |
//! | which addresses may be reached | `outbound/guard.rs` |
//! | how secrets are sealed, tokens hashed | `crypto/` |
//! | an environment variable | `config/read.rs`, `.env.example` |
//! | a metric's name, a log line's form | `telemetry/metrics.rs`, `telemetry/log.rs` |
//! | what starts and stops, in what order | `boot/mod.rs` |
//! | slow, silent and too many clients | `boot/connections.rs` |
//! | the PostgreSQL of `onhook dev` and the tests | `boot/private_postgres/` |
//! | a command | `cli/` |
//! | the test of X | beside it, or `tests/it/` when it needs a database or a listener |

pub mod ambient;
pub mod app;
pub mod boot;
pub mod cli;
pub mod config;
pub mod crypto;
pub mod db;
pub mod domain;
pub mod http;
pub mod jobs;
pub mod outbound;
pub mod providers;
pub mod simulator;
pub mod telemetry;

//! The routes, as their clients see them.

mod admin_cancel;
mod agent_call;
mod agent_end_call;
mod agents;
mod audit;
mod bad_input;
mod calls_adopt;
mod calls_create;
mod calls_end;
mod calls_list;
mod calls_watch;
mod calls_why;
mod idempotency;
mod injection;
mod limits;
mod list_plan;
mod local_mode;
mod main_job;
mod not_stored;
mod operations;
mod provider_accounts;
mod sessions;
mod slow_clients;
pub mod steps;
mod terminate;
mod tokens;
mod webhook_endpoints;

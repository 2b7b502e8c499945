//! The tests of the whole program, in one binary: it compiles and links once.
//!
//! Unit tests are beside what they test, in `src`.
#![cfg(test)]
#![expect(
    unreachable_pub,
    reason = "one binary: what its modules share is public among them"
)]

mod architecture;
mod breaches;
mod connections;
mod contracts;
mod every_provider;
mod examples;
mod flows;
mod flows_openai;
mod flows_sip;
mod flows_telnyx;
mod flows_vonage;
mod invariants;
mod isolation;
mod jobs;
mod migrations;
mod openapi;
mod people;
mod permissions;
mod routes;
mod support;
mod tenancy;

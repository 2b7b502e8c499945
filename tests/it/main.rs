//! Every test that needs a database or a listener, in one binary.

#![expect(
    unreachable_pub,
    reason = "one binary: what its modules share is public among them"
)]

mod openapi;
mod permissions;
mod routes;
mod support;
mod tenancy;

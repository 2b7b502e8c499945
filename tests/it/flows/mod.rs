//! What happens over time: races, faults, crashes, and what is told of them.

pub mod books;
mod callbacks;
mod circuit;
mod concurrent_ends;
mod events;
mod fairness;
mod incoming;
mod key_rotation;
mod key_rotation_restarts;
mod kill;
mod notices;
mod overload;
mod provider_faults;
mod retention;
mod stream;
mod webhook_endpoints;
mod webhooks;
mod webhooks_three_days;

//! What happens over time: races, faults, crashes, and what is told of them.

pub mod books;
mod callbacks;
mod circuit;
mod concurrent_ends;
mod incoming;
mod key_rotation;
mod kill;
mod overload;
mod provider_faults;
mod webhooks;

//! What happens over time: races, faults, crashes, and what is told of them.

mod books;
mod callbacks;
mod concurrent_ends;
mod kill;
mod provider_faults;
mod webhooks;

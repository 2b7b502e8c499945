//! Jobs one by one, where their order and their leases matter.

mod accounts;
mod audit_chain;
mod dial_call;
mod hang_up_call;
mod hunt_orphans;
mod listeners;
mod stopping;

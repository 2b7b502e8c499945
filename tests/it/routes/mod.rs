//! The routes, as their clients see them.

mod agent_end_call;
mod main_job;
mod steps;
mod terminate;

//! The routes, as their clients see them.

mod main_job;

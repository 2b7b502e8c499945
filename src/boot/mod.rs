//! The composition root: everything that starts or stops as a whole.
//!
//! What an operation may do is decided elsewhere; here is only what runs, and in which order it
//! comes up and goes down.

pub mod private_postgres;

//! The real program, killed without warning and started again. Database, provider and receiver live
//! in the test's process and survive.

mod points;
pub mod process;
mod storm;
mod three_days;

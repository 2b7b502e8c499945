//! What a call costs.

mod rate;

pub use rate::{Cost, Meter, Rate};

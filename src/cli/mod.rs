//! The commands of `onhook`, one file each, and the one place where they print.

pub mod terminal;
pub mod with_database;

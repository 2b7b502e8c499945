//! The tests of the whole program, in one binary: it compiles and links once.
//!
//! Unit tests are beside what they test, in `src`.
#![cfg(test)]

mod architecture;
mod breaches;
mod migrations;
mod support;

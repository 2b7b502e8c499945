//! What the adapters and the simulator have to agree with, apart from each other.
//!
//! They share no code, but one author may misread a provider twice. [`outcomes`] is one suite of
//! rows for every provider; each says in its column what it makes of each row.
//! `scripts/contract-suite` prints the table.
//!
//! To add a provider: an arm in [`faces::face`] and an arm in [`columns::column`].

mod columns;
mod faces;
mod outcomes;
mod rig;
mod rows;

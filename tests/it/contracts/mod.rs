//! What the adapters and the simulator have to agree with, apart from each other.
//!
//! They share no code, but one author may misread a provider twice. So there are three judges that
//! neither of them knows:
//! - [`outcomes`]: one suite of rows for every provider; each says in its column what it makes of
//!   each row. `scripts/contract-suite` prints the table.
//! - [`official_documents`]: the provider's own `OpenAPI` document, between adapter and simulator.
//! - [`official_clients`]: the provider's own Python package, against the simulator.
//!
//! The last two need things that are no part of this repository ([`tools`]); without them they
//! say what they skipped. `scripts/contract-tools` installs what can be installed.
//!
//! To add a provider: an arm in [`faces::face`] and one in [`columns::column`], a line in the table
//! of [`official_documents`], a script and a line in the table of [`official_clients`], and its
//! package in `pins.txt`.

mod columns;
mod faces;
mod judge;
mod official_clients;
mod official_documents;
mod outcomes;
mod rig;
mod rows;
mod standard_webhooks;
mod tools;

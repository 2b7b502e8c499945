//! `onhook migrate`: brings the database to the current schema.

use super::{Failure, terminal};
use crate::db;

/// Needs `DATABASE_URL` only: the schema's owner runs it, perhaps without the other variables.
pub(super) async fn run() -> Result<(), Failure> {
    let url = std::env::var_os("DATABASE_URL").and_then(|url| url.into_string().ok());
    let url = url.filter(|url| !url.is_empty());
    let url = url.ok_or("DATABASE_URL is not set: name the database to migrate")?;
    db::migrate::run(&url).await?;
    terminal::say("The database has the current schema.");
    Ok(())
}

/// Migrates by the files below the current folder, which may be newer than this program.
pub(super) async fn from_folder(url: String) -> Result<(), Failure> {
    Ok(db::migrate::run_from(std::path::Path::new("migrations"), &url).await?)
}

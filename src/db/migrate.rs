//! The schema's migrations, embedded. Run by the owner's login, never by the application's role.

use std::{path::Path, str::FromStr};

use sqlx::{ConnectOptions, Connection, migrate::Migrator, postgres::PgConnectOptions};

use crate::domain::{Error, Result};

static MIGRATOR: Migrator = sqlx::migrate!();

/// Brings the database at `url` to the current schema. Safe to repeat and to run on several nodes
/// at once (an advisory lock makes them take turns).
///
/// # Errors
/// When the database cannot be reached or a migration fails; what was applied stays applied.
pub async fn run(url: &str) -> Result<()> {
    migrate(&MIGRATOR, url).await
}

/// As [`run`], by the migrations in a folder.
///
/// # Errors
/// As [`run`]; also when the folder cannot be read.
pub async fn run_from(folder: &Path, url: &str) -> Result<()> {
    let migrator = Migrator::new(folder)
        .await
        .map_err(|error| Error::internal("read the migrations", error))?;
    migrate(&migrator, url).await
}

async fn migrate(migrator: &Migrator, url: &str) -> Result<()> {
    let mut connection = PgConnectOptions::from_str(url)
        .map_err(|error| Error::internal("read DATABASE_URL", error))?
        .application_name("onhook migrate")
        .connect()
        .await
        .map_err(|error| Error::internal("connect to migrate", error))?;
    migrator
        .run_direct(None, &mut connection, false)
        .await
        .map_err(|error| Error::internal("migrate the database", error))?;
    connection
        .close()
        .await
        .map_err(|error| Error::internal("close after migrating", error))
}

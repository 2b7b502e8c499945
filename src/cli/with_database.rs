//! `onhook with-database -- COMMAND`: runs a command with a database of its own.
//!
//! The database is private, migrated and gone afterwards; the command finds it in `DATABASE_URL`.
//! Checks use it that need a schema to look at, such as writing `.sqlx`.

use std::{future::Future, io, process::ExitStatus};

use crate::{
    ambient::Ambient,
    boot::private_postgres::{Options, PrivatePostgres, PrivatePostgresError},
};

/// The database's name, for whoever looks into the server meanwhile.
const DATABASE: &str = "onhook";

/// Why the command was not run. What the command itself returned is no error here.
#[derive(Debug, thiserror::Error)]
pub enum WithDatabaseError {
    #[error("name the command to run after `--`")]
    NoCommand,
    #[error(transparent)]
    Postgres(#[from] PrivatePostgresError),
    #[error("could not migrate the database: {0}")]
    Migrate(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("could not run `{program}`: {source}")]
    Run { program: String, source: io::Error },
}

/// Runs `command`, its program first, after `migrate` has prepared the database at the URL it is
/// given. The server is stopped and its data removed whatever happens.
pub async fn run<M, F>(
    command: Vec<String>,
    ambient: &Ambient,
    migrate: M,
) -> Result<ExitStatus, WithDatabaseError>
where
    M: FnOnce(String) -> F,
    F: Future<Output = Result<(), Box<dyn std::error::Error + Send + Sync>>>,
{
    let Some((program, arguments)) = command.split_first() else {
        return Err(WithDatabaseError::NoCommand);
    };
    let name = format!("onhook-with-database-{}", ambient.entropy.uuid().simple());
    let options = Options {
        data_dir: std::env::temp_dir().join(name),
        durable: false,
        keep: false,
        max_connections: 20,
    };
    let postgres = PrivatePostgres::start(options, &*ambient.entropy).await?;
    let outcome = async {
        postgres.create_database(DATABASE).await?;
        let url = postgres.url(DATABASE);
        migrate(url.clone())
            .await
            .map_err(WithDatabaseError::Migrate)?;
        tokio::process::Command::new(program)
            .args(arguments)
            .env("DATABASE_URL", url)
            .kill_on_drop(true)
            .status()
            .await
            .map_err(|source| WithDatabaseError::Run {
                program: program.clone(),
                source,
            })
    }
    .await;
    postgres.stop().await?;
    outcome
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    use super::*;

    #[tokio::test]
    async fn the_command_gets_the_migrated_database_and_its_status_is_returned() {
        let script = r#"case "$DATABASE_URL" in postgres://*/onhook*) exit 7;; esac"#;
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();

        let status = run(command, &Ambient::system(), |url| async move {
            PgConnection::connect(&url).await?.close().await?;
            Ok(())
        })
        .await
        .unwrap();

        assert_eq!(status.code(), Some(7));
    }
}

//! The commands of `onhook`, one file each, and the one place where they print.

mod admin;
mod audit;
mod audit_chain;
mod check_config;
mod dev;
mod migrate;
mod reseal;
mod serve;
mod simulator;
pub mod terminal;
pub mod with_database;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::{
    ambient::Ambient,
    config::{self, Config},
    domain::Error,
    http::openapi,
};

/// The call-control plane for AI phone agents.
#[derive(Parser)]
#[command(name = "onhook", version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything on one machine, nothing to configure: database, provider simulator, demo data
    Dev {
        /// Address and port of the API
        #[arg(long, default_value = "127.0.0.1:8080")]
        listen: std::net::SocketAddr,
        /// Where the database and the demo's keys are kept
        #[arg(long, default_value = ".onhook")]
        data_dir: PathBuf,
    },
    /// Serve the API and carry out jobs, as the environment says (see .env.example)
    Serve,
    /// Bring the database at `DATABASE_URL` to the current schema
    Migrate,
    /// Print the OpenAPI document
    Openapi,
    /// Check the environment and say everything that is wrong with it
    CheckConfig,
    /// Check the invariants on the database; exit 1 when one is broken
    Audit {
        /// Check the chain of seals over each organisation's audit log instead
        #[arg(long)]
        chain: bool,
    },
    /// Seal anew, under the newest key of `ONHOOK_SECRET_KEY`, what older keys sealed
    Reseal,
    /// Imitate the providers, without accounts; /_sim/accounts lets them in. Calls are forgotten at the end
    Simulator {
        /// Address and port, on loopback
        #[arg(long, default_value = "127.0.0.1:9010")]
        listen: std::net::SocketAddr,
    },
    /// What operators do to organisations
    #[command(subcommand)]
    Admin(admin::Command),
    /// Run a command with a private, migrated database in `DATABASE_URL`
    #[command(hide = true)]
    WithDatabase {
        #[arg(last = true, required = true)]
        command: Vec<String>,
    },
}

/// Why a command failed, as the terminal shows it.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::complain(&format!("onhook: cannot start: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments.command)) {
        Ok(code) => code,
        Err(failure) => {
            terminal::complain(&format!("onhook: {}", explain(&failure)));
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode, Failure> {
    let ambient = Ambient::system();
    match command {
        Command::Dev { listen, data_dir } => dev::run(listen, data_dir, ambient).await?,
        Command::Serve => serve::run(config()?, ambient).await?,
        Command::Migrate => migrate::run().await?,
        Command::Openapi => terminal::say(openapi::document()?.trim_end()),
        Command::CheckConfig => return Ok(check_config::run()),
        Command::Audit { chain } => {
            let (db, now) = (admin::app(&config()?, &ambient)?.db, ambient.now());
            let holds = if chain {
                audit_chain::run(&db, now).await?
            } else {
                audit::run(&db, now).await?
            };
            return Ok(if holds {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Reseal => {
            let all = reseal::run(&admin::app(&config()?, &ambient)?).await?;
            return Ok(if all {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Simulator { listen } => simulator::run(listen, ambient).await?,
        Command::Admin(command) => admin::run(command, &config()?, &ambient).await?,
        Command::WithDatabase { command } => {
            let status = with_database::run(command, &ambient, migrate::from_folder).await?;
            let code = status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .unwrap_or(1);
            return Ok(ExitCode::from(code));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn config() -> Result<Config, Failure> {
    config::from_environment().map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(|fault| format!("  {fault}")).collect();
        format!(
            "the configuration is not complete (see .env.example):\n{}",
            lines.join("\n")
        )
        .into()
    })
}

/// An operation's error with its causes: the operator sees what a client must not.
fn explain(failure: &Failure) -> String {
    match failure.downcast_ref::<Error>() {
        Some(error) => format!("{}: {}", error.detail, error.causes()),
        None => failure.to_string(),
    }
}

//! Onhook beside the limits of the machine, in one run: `cargo bench --bench side_by_side`
//! (docs/benchmarks.md). `-- --quick` takes one round, `-- --ends` only the rows of ends,
//! `-- --protection` only those of a provider that hangs, of too many clients and of many logins, `-- --isolation`
//! only those of other tenants' ids, `-- --logins` only that of many logins, `-- --deliveries` takes what webhooks cost and nothing else
//! (`deliveries`).
//!
//! Nothing is compared with figures of another machine or another day: each round runs a bare HTTP
//! answer, PostgreSQL alone and the release build of the server on the same data, one after the
//! other, and the medians of the rounds' ratios are held against the gates (`rows`). A sample that
//! others disturbed is dropped; with too few left a row is inconclusive and no failure. The exit
//! code is 1 when a gate is missed.
//!
//! What lives here: the measuring. What is measured runs in processes of its own (`children`,
//! `roles`), so that its processor time is its own.

mod children;
mod client;
mod database;
mod deliveries;
mod ends;
mod isolation;
mod load;
mod logins;
mod machine;
mod pgbench;
mod protection;
mod provider;
mod providers;
mod recording;
mod report;
mod roles;
mod rounds;
mod rows;
mod stand;
mod statements;

use std::{
    error::Error,
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use onhook::{ambient::Ambient, cli::terminal};

use report::Report;
use rounds::{Only, Times};
use stand::Stand;

type Failure = Box<dyn Error + Send + Sync>;
type Result<T> = std::result::Result<T, Failure>;

/// Clients of the rows that do not say another number.
const CLIENTS: usize = 16;

/// No round is begun after so long.
const LATEST_ROUND: Duration = Duration::from_mins(6);

/// The whole run is given up after so long.
const LONGEST_RUN: Duration = Duration::from_mins(12);

/// How much is measured.
struct Plan {
    /// Undisturbed samples that a conclusion needs.
    wanted: usize,
    /// Rounds at least and, while samples are missing, at most.
    rounds: usize,
    most_rounds: usize,
    times: Times,
}

const WHOLE: Plan = Plan {
    wanted: 2,
    rounds: 3,
    most_rounds: 5,
    times: Times {
        hello: Duration::from_secs(3),
        list: Duration::from_secs(5),
        end: Duration::from_secs(5),
        pgbench_seconds: 4,
        only: None,
    },
};

const QUICK: Plan = Plan {
    wanted: 1,
    rounds: 1,
    most_rounds: 1,
    times: Times {
        hello: Duration::from_secs(2),
        list: Duration::from_secs(3),
        end: Duration::from_secs(3),
        pgbench_seconds: 2,
        only: None,
    },
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let role = arguments.iter().skip_while(|word| *word != "--role").nth(1);
    let has = |flag: &str| arguments.iter().any(|word| word == flag);
    if role.is_none() && !has("--bench") {
        say(
            "This is a benchmark: cargo bench --bench side_by_side [-- --quick] [--ends] [--protection] [--providers] [--isolation] [--logins] [--statements] [--deliveries]",
        );
        return ExitCode::SUCCESS;
    }
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            runtime.block_on(async {
                if let Some(role) = role {
                    return roles::play(role).await.map(|()| true);
                }
                if has("--deliveries") {
                    return deliveries::run(has("--quick")).await;
                }
                let mut plan = if has("--quick") { QUICK } else { WHOLE };
                let parts = [
                    ("--ends", Only::Ends),
                    ("--protection", Only::Protection),
                    ("--providers", Only::Providers),
                    ("--isolation", Only::Isolation),
                    ("--logins", Only::Logins),
                    ("--statements", Only::Statements),
                ];
                let asked = parts.into_iter().find(|(flag, _)| has(flag));
                plan.times.only = asked.map(|(_, part)| part);
                run(&plan).await
            })
        });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            terminal::complain(&format!("side_by_side: {failure}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether no gate is missed.
async fn run(plan: &Plan) -> Result<bool> {
    tokio::time::timeout(LONGEST_RUN, measure(plan))
        .await
        .map_err(|_elapsed| "the run took too long and was given up")?
}

async fn measure(plan: &Plan) -> Result<bool> {
    let ambient = Ambient::system();
    let started = Instant::now();
    say(&format!(
        "{} processors, load average {:.2}",
        machine::processors(),
        machine::load_average()?
    ));
    let mut stand = Stand::set_up(&ambient).await?;
    if stand.pgbench.is_none() {
        say("no pgbench beside the server's programs or on PATH: rows 1 and 2 are inconclusive");
    }
    if stand.recording.statements.is_none() {
        say("no pg_stat_statements: rows 1 and 9 are inconclusive");
    }
    let mut report = Report::default();
    let idle = machine::resident_kib(stand.server.running.pid)?;
    report.add("7.idle", rounds::mebibytes(idle)?, false);
    let mut number = 0;
    while number < plan.rounds || (number < plan.most_rounds && !report.is_conclusive(plan.wanted))
    {
        if started.elapsed() > LATEST_ROUND {
            break;
        }
        number += 1;
        say(&format!(
            "round {number}, after {} s",
            started.elapsed().as_secs()
        ));
        rounds::round(&mut stand, plan.times, &mut report).await?;
    }
    stand.tear_down().await?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    let path = target
        .ok_or("no target directory")?
        .join("bench/side_by_side.json");
    let reached = report.conclude(plan.wanted, &ambient.now().to_string(), &path)?;
    let seconds = started.elapsed().as_secs();
    say(&format!(
        "\n{number} rounds in {seconds} s; written to {}",
        path.display()
    ));
    Ok(reached)
}

/// Prints a line.
fn say(text: &str) {
    terminal::say(text);
}

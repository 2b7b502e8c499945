//! The limits: the same work by PostgreSQL alone, driven by pgbench, on a copy of the database.

use std::path::PathBuf;

use tokio::process::Command;
use uuid::Uuid;

use crate::{
    CLIENTS, Result,
    database::{Database, quoted, text},
    machine::{Seen, Watch},
    recording::{Recording, Statements},
    stand::Tenant,
};

/// Stands in recorded documents for what differs from call to call.
const MARK: &str = "@n@";

/// Calls made ready for one run, each ended once: so many clients, each so many times.
const ENDS: usize = CLIENTS * 4096;
const OWN_ENDS: usize = CLIENTS * 2048;

/// pgbench, its scripts and its database.
pub(crate) struct Pgbench {
    program: PathBuf,
    database: Database,
    directory: PathBuf,
    organization: String,
    prefix: String,
    sid_prefix: String,
    /// Whether the server's own statements are known.
    has_own: bool,
    /// Every run ends calls of its own.
    next: usize,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) per_second: f64,
    pub(crate) seen: Seen,
}

impl Pgbench {
    /// Looks for pgbench beside the server's programs, then on PATH, and prepares its work.
    pub(crate) async fn find(
        database: Database,
        recording: &Recording,
        few: &Tenant,
        ending: &Tenant,
    ) -> Result<Option<Self>> {
        let Some(program) = program(&database).await? else {
            return Ok(None);
        };
        database.run(include_str!("limits.sql")).await?;
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let (prefix, _) = recording.call_id.split_at(24);
        let (sid_prefix, _) = recording.sid.split_at(22);
        let pgbench = Self {
            program,
            directory,
            organization: ending.organization_id.clone(),
            prefix: prefix.to_owned(),
            sid_prefix: sid_prefix.to_owned(),
            has_own: recording.statements.is_some(),
            next: 0,
            database,
        };
        pgbench.keep_steps(recording, ending).await?;
        pgbench.write_end1().await?;
        if let Some(statements) = &recording.statements {
            pgbench.write_own(statements, few).await?;
        }
        Ok(Some(pgbench))
    }

    /// The list, as the server asks for it.
    pub(crate) async fn list(&self, seconds: u64) -> Result<Option<Run>> {
        if !self.has_own {
            return Ok(None);
        }
        Ok(Some(self.run("list.sql", 0, seconds).await?.0))
    }

    /// An end as one statement.
    pub(crate) async fn end1(&mut self, seconds: u64) -> Result<Run> {
        let base = self.take(ENDS);
        self.database
            .run("TRUNCATE bench.end_calls, bench.end_ledger, bench.end_outbox")
            .await?;
        self.make("bench.end_calls", base, ENDS).await?;
        let (run, ends) = self.run("end1.sql", base, seconds).await?;
        self.check("bench.end_calls", ends, base).await?;
        Ok(run)
    }

    /// An end as the three statements of the server.
    pub(crate) async fn own_end(&mut self, seconds: u64) -> Result<Option<Run>> {
        if !self.has_own {
            return Ok(None);
        }
        let base = self.take(OWN_ENDS);
        self.make("calls", base, OWN_ENDS).await?;
        let (run, ends) = self.run("own_end.sql", base, seconds).await?;
        self.check("calls", ends, base).await?;
        Ok(Some(run))
    }

    fn take(&mut self, count: usize) -> usize {
        let base = self.next;
        self.next += count + CLIENTS;
        base
    }

    /// Makes calls in progress, numbered from `base`.
    async fn make(&self, table: &str, base: usize, count: usize) -> Result<()> {
        let Self {
            organization,
            prefix,
            sid_prefix,
            ..
        } = self;
        let last = base + count + CLIENTS - 1;
        self.database
            .run(format!(
                "INSERT INTO {table}
                SELECT c.* FROM bench.template t
                JOIN bench.organization o ON o.organization_id = '{organization}'
                CROSS JOIN generate_series({base}, {last}) n
                CROSS JOIN LATERAL lpad(to_hex(n), 12, '0') hex
                CROSS JOIN LATERAL bench.copy(t.live, o.organization_id, o.agent_id, o.account_id,
                    o.rate_card_id, ('{prefix}' || hex)::uuid, '{sid_prefix}' || hex, interval '0') c;
                ANALYZE {table}; CHECKPOINT"
            ))
            .await
    }

    /// Every transaction must have ended a call: a run that ran out of calls measures nothing.
    async fn check(&self, table: &str, ends: u32, base: usize) -> Result<()> {
        let Self {
            organization,
            prefix,
            next,
            ..
        } = self;
        let ended = self
            .database
            .number(format!(
                "SELECT count(*) AS n FROM {table} WHERE organization_id = '{organization}'
                AND ended_at IS NOT NULL AND id >= ('{prefix}' || lpad(to_hex({base}), 12, '0'))::uuid
                AND id < ('{prefix}' || lpad(to_hex({next}), 12, '0'))::uuid"
            ))
            .await?;
        if ended == ends {
            Ok(())
        } else {
            Err(format!("pgbench made {ends} ends and ended {ended} calls of {table}").into())
        }
    }

    async fn run(&self, script: &str, base: usize, seconds: u64) -> Result<(Run, u32)> {
        let watch = Watch::start()?;
        let output = Command::new(&self.program)
            .args(["--no-vacuum", "--protocol=prepared", "--jobs=2"])
            .arg(format!("--client={CLIENTS}"))
            .arg(format!("--time={seconds}"))
            .arg(format!("--define=clients={CLIENTS}"))
            .arg(format!("--define=base={base}"))
            .arg("--define=i=0")
            .arg("--file")
            .arg(self.directory.join(script))
            .arg(&self.database.url)
            .kill_on_drop(true)
            .output()
            .await?;
        let seen = watch.end()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let count = after(&said, "number of transactions actually processed:");
        let rate = after(&said, "tps =");
        let (Some(count), Some(rate), true) = (count, rate, output.status.success()) else {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("pgbench failed at {script}: {complaint}{said}").into());
        };
        let run = Run {
            per_second: rate.parse()?,
            seen,
        };
        Ok((run, count.parse()?))
    }

    /// Keeps the recorded steps with marks where calls differ.
    async fn keep_steps(&self, recording: &Recording, ending: &Tenant) -> Result<()> {
        let rates = self
            .database
            .rows("SELECT id FROM rate_cards UNION ALL SELECT id FROM webhook_endpoints")
            .await?;
        let mut same: Vec<&str> = rates
            .iter()
            .filter_map(|row| text(row, "id").ok())
            .collect();
        same.extend([
            ending.organization_id.as_str(),
            &ending.agent_id,
            &ending.account_id,
        ]);
        for (step, number) in recording.steps.iter().zip(1..) {
            let part = |name| step.get(name).ok_or("a recorded step lacks a part");
            let marked_sid = format!("{}{MARK}", self.sid_prefix);
            let marked = |text: &str| quoted(&text.replace(&recording.sid, &marked_sid));
            let version = part("version")?;
            let call = marked(&part("call")?.to_string());
            let effects = marked(&mark_ids(&part("effects")?.to_string(), &same));
            self.database
                .run(format!(
                    "INSERT INTO bench.own VALUES ({number}, {version},
                    jsonb_populate_record(NULL::calls, {call}), {effects})"
                ))
                .await?;
        }
        Ok(())
    }

    async fn write_end1(&self) -> Result<()> {
        let query = format!(
            "SELECT id FROM webhook_endpoints WHERE organization_id = '{}'",
            self.organization
        );
        let endpoint = self.database.row(query).await?;
        let script = include_str!("end1.sql").replace("{endpoint}", text(&endpoint, "id")?);
        self.write("end1.sql", &script)
    }

    async fn write_own(&self, statements: &Statements, few: &Tenant) -> Result<()> {
        // One more than is shown tells whether there are more.
        let list = statements
            .list
            .replace("$1", &quoted(&few.organization_id))
            .replace("$2", "51")
            // The statistics put parameters in the place of the constants.
            .replace("$3", "true")
            .replace("$4", "true");
        self.write("list.sql", &format!("{list};\n"))?;
        let id = "('{prefix}' || lpad(to_hex(:n::bigint), 12, '0'))";
        let find = statements
            .find
            .replace("$1", &quoted(&self.organization))
            .replace("$2", &format!("{id}::uuid"))
            .replace("$3", id)
            .replace("$4", "NULL")
            // The statistics put a parameter in the place of the constant after LIMIT.
            .replace("$5", "1");
        let script = include_str!("own_end.sql")
            .replace("{find}", &find)
            .replace("{change}", &self.change().await?);
        self.write("own_end.sql", &script)
    }

    /// What `apply_change` is handed of a recorded step, in its order.
    async fn change(&self) -> Result<String> {
        let names = "SELECT name FROM pg_proc
            CROSS JOIN unnest(proargnames) WITH ORDINALITY AS a (name, number)
            WHERE oid = 'apply_change'::regproc ORDER BY number";
        let mut change = Vec::new();
        for row in &self.database.rows(names).await? {
            change.push(match text(row, "name")? {
                "p_organization_id" => "'{organization}'".to_owned(),
                "p_call_id" => "('{prefix}' || {number})::uuid".to_owned(),
                "p_version" => "o.version".to_owned(),
                "p_provider_call_id" => {
                    "replace((o.call).provider_call_id, '{mark}', {number})".to_owned()
                }
                "p_effects" => "replace(o.effects, '{mark}', {number})::jsonb".to_owned(),
                name => format!("(o.call).{}", name.trim_start_matches("p_")),
            });
        }
        let number = "lpad(to_hex(:n::bigint), 12, '0')";
        Ok(change.join(", ").replace("{number}", number))
    }

    fn write(&self, name: &str, script: &str) -> Result<()> {
        let script = script
            .replace("{organization}", &self.organization)
            .replace("{prefix}", &self.prefix)
            .replace("{mark}", MARK);
        Ok(std::fs::write(self.directory.join(name), script)?)
    }
}

async fn program(database: &Database) -> Result<Option<PathBuf>> {
    let row = database
        .row("SELECT setting FROM pg_config WHERE name = 'BINDIR'")
        .await?;
    let beside = PathBuf::from(text(&row, "setting")?).join("pgbench");
    for program in [beside, PathBuf::from("pgbench")] {
        let asked = Command::new(&program).arg("--version").output().await;
        if asked.is_ok_and(|output| output.status.success()) {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// The word after `label` in what pgbench says.
fn after<'a>(said: &'a str, label: &str) -> Option<&'a str> {
    let line = said
        .lines()
        .find_map(|line| line.trim().strip_prefix(label))?;
    line.split_whitespace().next()
}

/// Puts the mark in place of the last twelve digits of every UUID but `same`.
fn mark_ids(document: &str, same: &[&str]) -> String {
    let mut marked = String::with_capacity(document.len());
    let mut rest = document;
    while let Some(next) = rest.chars().next() {
        let id = rest
            .get(..36)
            .filter(|text| text.as_bytes().get(8) == Some(&b'-') && Uuid::try_parse(text).is_ok());
        let taken = if let Some(id) = id {
            if same.contains(&id) {
                marked.push_str(id);
            } else {
                marked.push_str(id.get(..24).unwrap_or_default());
                marked.push_str(MARK);
            }
            36
        } else {
            marked.push(next);
            next.len_utf8()
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    marked
}

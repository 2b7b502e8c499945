//! The processes beside the benchmark: the measured server, its commands, and the benchmark's own
//! other roles. None outlives the benchmark.

use std::{
    net::{SocketAddr, TcpListener},
    process::Stdio,
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use onhook::ambient::Ambient;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{Result, client};

/// The program that is measured, built with the benchmark and like it.
const ONHOOK: &str = env!("CARGO_BIN_EXE_onhook");

/// How long a process may take to come up, or a command to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// How often a starting server is asked whether it answers.
const ASK_EVERY: Duration = Duration::from_millis(1);

/// A process that ends when this is dropped.
pub(crate) struct Running {
    process: Child,
    pub(crate) pid: u32,
}

impl Running {
    fn of(process: Child) -> Result<Self> {
        let pid = process.id().ok_or("a process ended at once")?;
        Ok(Self { process, pid })
    }

    /// Ends it and waits until it is gone.
    pub(crate) async fn end(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// Starts this program in a role and returns what it tells of itself.
pub(crate) async fn role(name: &str) -> Result<(Running, Value)> {
    let mut process = Command::new(std::env::current_exe()?)
        .args(["--role", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = process.stdout.take().ok_or("no standard output")?;
    let mut line = String::new();
    timeout(PATIENCE, BufReader::new(output).read_line(&mut line)).await??;
    Ok((Running::of(process)?, serde_json::from_str(&line)?))
}

/// An address in what a role tells of itself.
pub(crate) fn address(told: &Value, name: &str) -> Result<SocketAddr> {
    let text = told.get(name).and_then(Value::as_str).unwrap_or_default();
    Ok(text.trim_start_matches("http://").parse()?)
}

/// The variables of every server and command, but for its addresses.
#[derive(Clone)]
pub(crate) struct Environment(Vec<(&'static str, String)>);

impl Environment {
    pub(crate) fn new(database_url: &str, ambient: &Ambient) -> Self {
        let key = || BASE64_STANDARD.encode(ambient.entropy.bytes::<32>());
        Self(vec![
            ("DATABASE_URL", database_url.to_owned()),
            ("ONHOOK_PUBLIC_URL", "http://127.0.0.1:1".to_owned()),
            ("ONHOOK_SECRET_KEY", format!("bench:{}", key())),
            ("ONHOOK_TOKEN_PEPPER", key()),
            ("ONHOOK_OUTBOUND_ALLOW_LOOPBACK", "true".to_owned()),
            // The seeded calls live at no provider: they must not be looked for.
            ("ONHOOK_QUIET_AFTER_SECONDS", "3600".to_owned()),
            // They are more than may live at once by default.
            ("ONHOOK_LIVE_CALLS", "0".to_owned()),
        ])
    }

    /// The same for a node that leaves webhook deliveries to others.
    pub(crate) fn without_deliveries(&self) -> Self {
        let mut variables = self.0.clone();
        variables.push(("ONHOOK_DELIVER_WEBHOOKS", "false".to_owned()));
        Self(variables)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(ONHOOK);
        command
            .env_clear()
            .envs(self.0.iter().map(|(name, value)| (*name, value)))
            .kill_on_drop(true);
        command
    }
}

/// Runs `onhook` with these arguments and returns what it prints.
pub(crate) async fn onhook(
    environment: &Environment,
    arguments: &[&str],
    input: &str,
) -> Result<String> {
    let mut process = environment
        .command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes()).await?;
    }
    let output = timeout(PATIENCE, process.wait_with_output()).await??;
    if !output.status.success() {
        return Err(format!("onhook {} failed", arguments.join(" ")).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// A running server.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    /// From its start to its first answer with status 200.
    pub(crate) started_in: Duration,
}

/// Starts the server with its usual log, which goes nowhere, and waits until it answers.
pub(crate) async fn serve(environment: &Environment) -> Result<Server> {
    let (address, operators) = (free_address()?, free_address()?);
    let mut command = environment.command();
    command
        .arg("serve")
        .env("ONHOOK_LISTEN", address.to_string())
        .env("ONHOOK_OPERATOR_LISTEN", operators.to_string())
        .env("ONHOOK_PUBLIC_URL", format!("http://{address}"))
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let started = Instant::now();
    let running = Running::of(command.spawn()?)?;
    timeout(PATIENCE, answers(address))
        .await
        .map_err(|_elapsed| "onhook serve does not answer")?;
    Ok(Server {
        running,
        address,
        started_in: started.elapsed(),
    })
}

async fn answers(address: SocketAddr) {
    let mut again = tokio::time::interval(ASK_EVERY);
    loop {
        again.tick().await;
        let asked = client::once(address, "GET", "/healthz", &[], "").await;
        if asked.is_ok() {
            return;
        }
    }
}

/// An address of loopback that nobody listens on.
fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

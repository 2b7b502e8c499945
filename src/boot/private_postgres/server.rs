//! The running server and the shell that watches over it.
//!
//! The server must end when we do, however we end. So it is the child of a small shell whose input
//! is a pipe held by us: when the pipe closes, be it by [`Server::stop`], by a drop or by
//! `kill -9`, the shell stops the server in order and, for data that is not kept, removes it. Both
//! run in a process group of their own, so that Ctrl-C in a terminal reaches only us and we decide
//! the order of stopping.

use std::{
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    time::Duration,
};

use sqlx::{Connection, PgConnection};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::{
    Options,
    binaries::Binaries,
    error::PrivatePostgresError,
    home::{CONTENTS, Home, Lock},
};

/// Recovery after a crash of the machine is included.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// A fast shutdown ends every session and writes a checkpoint.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// One attempt to connect while the server starts.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

const POLL_EVERY: Duration = Duration::from_millis(20);

/// Arguments: the signal that stops the server, the directory to remove from or nothing, how many
/// names to remove there, the names, and the server's command line.
///
/// The reader has its own process because a shell cannot wait for its input and for a child at
/// once: whichever ends first, the other is ended too. Both inputs are closed for the server,
/// which must not keep the pipe open. Terminating signals are ignored here: a machine that shuts
/// down sends them to everybody, and the server needs its watchdog a moment longer.
const WATCHDOG: &str = r#"
trap '' HUP INT TERM
signal=$1 dir=$2 count=$3
shift 3
names=
while [ "$count" -gt 0 ]; do
  names="$names $1" count=$((count - 1))
  shift
done
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
(
  read -r _ <&3
  kill -s "$signal" "$server"
) 2>/dev/null &
reader=$!
exec 3<&-
wait "$server"
status=$?
kill -s KILL "$reader" 2>/dev/null
wait "$reader" 2>/dev/null
if [ -n "$dir" ] && cd "$dir"; then
  rm -rf $names
  cd /
  rmdir "$dir" 2>/dev/null
fi
exit "$status"
"#;

/// A server that answers.
#[derive(Debug)]
pub(super) struct Server {
    watchdog: Child,
    /// Closing it stops the server.
    leash: Option<ChildStdin>,
    pub(super) port: u16,
}

impl Server {
    /// Starts the server on the port and waits until it answers with the password.
    pub(super) async fn start(
        home: &Home,
        binaries: &Binaries,
        options: &Options,
        lock: &Lock,
        port: u16,
        url: &str,
    ) -> Result<Self, PrivatePostgresError> {
        let mut command = home.account.command("/bin/sh");
        command.args(["-c", WATCHDOG, "onhook-postgres"]);
        if options.keep {
            command.args(["INT", "", "0"]);
        } else {
            // Nobody will read the data again, so the last checkpoint is spared.
            command.arg("QUIT").arg(home.dir());
            command.arg(CONTENTS.len().to_string()).args(CONTENTS);
        }
        command.arg(binaries.program("postgres"));
        command.arg("-D").arg(home.path("data"));
        let statistics = binaries.has_statement_statistics(&home.account).await;
        for (name, value) in settings(options, port, statistics) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        command
            .stdin(Stdio::piped())
            .stdout(lock.share()?)
            .stderr(home.new_log()?)
            .process_group(0);
        let mut watchdog = spawn(&mut command)?;
        let leash = watchdog.stdin.take();
        let mut server = Self {
            watchdog,
            leash,
            port,
        };
        match server.answers(home, url).await {
            Ok(()) => Ok(server),
            Err(error) => {
                server.stop().await;
                Err(error)
            }
        }
    }

    async fn answers(&mut self, home: &Home, url: &str) -> Result<(), PrivatePostgresError> {
        let mut last = "no attempt was answered".to_owned();
        let answered = timeout(READY_LIMIT, async {
            let mut ticks = ticks();
            loop {
                ticks.tick().await;
                if self.has_ended() {
                    return Err(PrivatePostgresError::Ended {
                        log: home.path("server.log"),
                        tail: home.log_tail(),
                    });
                }
                match timeout(CONNECT_LIMIT, PgConnection::connect(url)).await {
                    Ok(Ok(connection)) => {
                        connection.close().await.ok();
                        return Ok(());
                    }
                    Ok(Err(error)) if is_wrong_password(&error) => {
                        return Err(PrivatePostgresError::PasswordLost {
                            dir: home.dir().to_owned(),
                        });
                    }
                    Ok(Err(error)) => last = error.to_string(),
                    Err(_) => "it accepts connections but does not greet".clone_into(&mut last),
                }
            }
        })
        .await;
        answered.unwrap_or_else(|_| {
            Err(PrivatePostgresError::NotReady {
                limit_secs: READY_LIMIT.as_secs(),
                last,
                log: home.path("server.log"),
                tail: home.log_tail(),
            })
        })
    }

    /// Stops the server and waits; whether it ended in time. It goes on stopping when not.
    pub(super) async fn stop(&mut self) -> bool {
        drop(self.leash.take());
        let ended = async {
            let mut ticks = ticks();
            while !self.has_ended() {
                ticks.tick().await;
            }
        };
        timeout(STOP_LIMIT, ended).await.is_ok()
    }

    /// A watchdog whose state cannot be asked any more is gone.
    fn has_ended(&mut self) -> bool {
        !matches!(self.watchdog.try_wait(), Ok(None))
    }

    /// The process group of the watchdog and the server.
    #[cfg(test)]
    pub(super) fn group(&self) -> u32 {
        self.watchdog.id()
    }
}

/// Stops a server that lost both us and its watchdog, by PostgreSQL's own means.
pub(super) async fn stop_orphan(home: &Home, binaries: &Binaries, mode: &str) {
    let mut command = home.account.command(binaries.program("pg_ctl"));
    command.arg("stop").arg("--pgdata").arg(home.path("data"));
    command.args(["--mode", mode, "--timeout", "15", "--silent"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    // Whether it worked is seen by the lock, which is what the caller waits for.
    tokio::process::Command::from(command).status().await.ok();
}

/// Makes an empty cluster in `data`, whole or not at all.
pub(super) async fn initialize(
    home: &Home,
    binaries: &Binaries,
    options: &Options,
    lock: &Lock,
) -> Result<(), PrivatePostgresError> {
    let (data, unfinished) = (home.path("data"), home.path("data.new"));
    super::home::remove(&unfinished).map_err(PrivatePostgresError::files("remove", &unfinished))?;
    let mut command = home.account.command(binaries.program("initdb"));
    command.arg("--pgdata").arg(&unfinished);
    command.arg("--pwfile").arg(home.path("password"));
    command.args(["--no-locale", "-E", "UTF8", "-U", "onhook"]);
    command.args(["--auth=scram-sha-256", "--no-instructions"]);
    if !options.durable {
        command.arg("--no-sync");
    }
    // It reads nothing; the lock tells a next start that it is still at work if we are killed.
    command.stdin(lock.share()?);
    let program = binaries.program("initdb");
    let output = tokio::process::Command::from(command)
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|source| PrivatePostgresError::Program { program, source })?;
    if !output.status.success() {
        let said = [output.stdout, output.stderr].concat();
        return Err(PrivatePostgresError::InitDb {
            output: super::home::last_lines(&String::from_utf8_lossy(&said)),
        });
    }
    std::fs::rename(&unfinished, &data).map_err(PrivatePostgresError::files("create", data))
}

/// Everything is given at every start, so that existing data follows a change of ours.
fn settings(options: &Options, port: u16, statistics: bool) -> Vec<(&'static str, String)> {
    let libraries = if statistics { "pg_stat_statements" } else { "" };
    let durability = if options.durable { "on" } else { "off" };
    vec![
        ("listen_addresses", "127.0.0.1".to_owned()),
        ("port", port.to_string()),
        // A socket's path may be no longer than about 100 bytes, a data directory's may.
        ("unix_socket_directories", String::new()),
        ("max_connections", options.max_connections.to_string()),
        ("shared_preload_libraries", libraries.to_owned()),
        ("jit", "off".to_owned()),
        ("ssl", "off".to_owned()),
        ("log_destination", "stderr".to_owned()),
        ("logging_collector", "off".to_owned()),
        ("fsync", durability.to_owned()),
        ("synchronous_commit", durability.to_owned()),
        ("full_page_writes", durability.to_owned()),
    ]
}

fn spawn(command: &mut Command) -> Result<Child, PrivatePostgresError> {
    let program = PathBuf::from(command.get_program());
    command
        .spawn()
        .map_err(|source| PrivatePostgresError::Program { program, source })
}

/// Whether the server refused the password: waiting will not help.
fn is_wrong_password(error: &sqlx::Error) -> bool {
    const INVALID_PASSWORD: &str = "28P01";
    error
        .as_database_error()
        .and_then(|error| error.code().map(|code| code == INVALID_PASSWORD))
        .unwrap_or(false)
}

pub(super) fn ticks() -> tokio::time::Interval {
    let mut ticks = interval(POLL_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

//! What processes and the machine use, as `/proc` tells it (Linux, proc(5)).
//!
//! A sample counts only when others left the machine to us: everything that is not a descendant of
//! the benchmark is somebody else's, time stolen by the hypervisor included.

use std::{collections::HashMap, fs, time::Duration};

use crate::Result;

/// The unit of processor time in `/proc`: 1/100 s on every Linux (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// Others may use this share of the machine's processors before a sample counts as disturbed.
pub(crate) const MOST_BY_OTHERS: f64 = 0.10;

/// The name of every process of a PostgreSQL server.
const POSTGRES: &str = "postgres";

/// Watches the machine from [`Watch::start`] to [`Watch::end`].
pub(crate) struct Watch {
    machine: Machine,
    ours: u64,
    postgres: u64,
}

/// What happened on the machine while a sample was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Share of all processors that processes other than ours used, 0 to 1.
    pub(crate) others: f64,
    /// Processor time of the database server's processes.
    pub(crate) postgres: Duration,
}

impl Seen {
    pub(crate) fn disturbed(self) -> bool {
        self.others > MOST_BY_OTHERS
    }
}

impl Watch {
    pub(crate) fn start() -> Result<Self> {
        let (ours, postgres) = descendants()?;
        Ok(Self {
            machine: machine()?,
            ours,
            postgres,
        })
    }

    pub(crate) fn end(&self) -> Result<Seen> {
        let (ours, postgres) = descendants()?;
        let now = machine()?;
        let all = now.all.saturating_sub(self.machine.all).max(1);
        let busy = now.busy.saturating_sub(self.machine.busy);
        let others = busy.saturating_sub(ours.saturating_sub(self.ours));
        Ok(Seen {
            others: ticks(others).as_secs_f64() / ticks(all).as_secs_f64(),
            postgres: ticks(postgres.saturating_sub(self.postgres)),
        })
    }
}

/// Processor time of one process since it started, its threads included, its children not.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = Stat::read(pid).ok_or("the measured process is gone")?;
    Ok(ticks(stat.own))
}

/// Resident memory of a process, in KiB.
pub(crate) fn resident_kib(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    Ok(number.ok_or("no VmRSS in /proc")?)
}

/// The one-minute load average.
pub(crate) fn load_average() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split_whitespace().next().unwrap_or_default();
    Ok(first.parse()?)
}

pub(crate) fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

struct Machine {
    all: u64,
    busy: u64,
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal; the rest
/// is contained in the first two.
fn machine() -> Result<Machine> {
    let text = fs::read_to_string("/proc/stat")?;
    let line = text.lines().next().unwrap_or_default();
    let numbers: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|number| number.parse().ok())
        .collect();
    let all = numbers.iter().sum();
    let idle: u64 = numbers.iter().skip(3).take(2).sum();
    Ok(Machine {
        all,
        busy: all - idle,
    })
}

struct Stat {
    name: String,
    parent: u32,
    own: u64,
    /// Of children that have ended and were waited for.
    reaped: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything, spaces and parentheses too.
        let (name, rest) = text.split_once('(')?.1.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            name: name.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own: number(11)? + number(12)?,
            reaped: number(13)? + number(14)?,
        })
    }
}

/// Ticks of this process and all that descend from it, and of the database server's among them.
fn descendants() -> Result<(u64, u64)> {
    let processes: HashMap<u32, Stat> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
        .collect();
    let root = std::process::id();
    let is_ours = |mut pid: u32| {
        while pid != root {
            match processes.get(&pid) {
                Some(stat) if stat.parent > 1 => pid = stat.parent,
                _ => return false,
            }
        }
        true
    };
    let (mut ours, mut postgres) = (0, 0);
    for (pid, stat) in &processes {
        if is_ours(*pid) {
            ours += stat.own + stat.reaped;
            if stat.name == POSTGRES {
                postgres += stat.own + stat.reaped;
            }
        }
    }
    Ok((ours, postgres))
}

fn ticks(count: u64) -> Duration {
    TICK * u32::try_from(count).unwrap_or(u32::MAX)
}

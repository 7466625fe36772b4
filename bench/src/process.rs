//! What a server costs, as the kernel counts it: CPU time and memory of a process and its children.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::fault::{Fault, Result};

/// Linux counts process times in hundredths of a second on every architecture that it reports them for.
const TICK: Duration = Duration::from_millis(10);

/// A server process with everything that it started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tree {
    root: u32,
}

impl Tree {
    pub(crate) fn new(root: u32) -> Tree {
        Tree { root }
    }

    /// User and system time so far, of living processes and of children that they waited for.
    pub(crate) fn cpu(&self) -> Duration {
        self.members().into_iter().map(|pid| TICK * ticks(pid).unwrap_or(0)).sum()
    }

    /// Time so far of every thread, by process and thread id, with the thread's name.
    pub(crate) fn threads(&self) -> HashMap<(u32, u32), (String, Duration)> {
        let mut threads = HashMap::new();
        for pid in self.members() {
            for entry in fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
                let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                    continue;
                };
                let folder = entry.path();
                let name = fs::read_to_string(folder.join("comm")).unwrap_or_default();
                let Some(fields) = fields(&folder.join("stat")) else { continue };
                let ticks = fields
                    .get(11..13)
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|field| field.parse::<u32>().ok());
                threads.insert((pid, id), (name.trim_end().to_owned(), TICK * ticks.sum::<u32>()));
            }
        }
        threads
    }

    /// Resident bytes, each shared page divided among those who map it.
    pub(crate) fn pss(&self) -> u64 {
        self.members()
            .into_iter()
            .filter_map(|pid| kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
            .sum::<u64>()
            * 1024
    }

    /// The most resident bytes since the start or the last [`Tree::forget_peak`].
    pub(crate) fn peak(&self) -> u64 {
        self.members()
            .into_iter()
            .filter_map(|pid| kib(&format!("/proc/{pid}/status"), "VmHWM:"))
            .sum::<u64>()
            * 1024
    }

    /// Starts the peak anew. Needs the right to write to the process' `clear_refs`; without it the peak goes on.
    pub(crate) fn forget_peak(&self) {
        for pid in self.members() {
            let _ = fs::write(format!("/proc/{pid}/clear_refs"), "5");
        }
    }

    fn members(&self) -> Vec<u32> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            if let Some(parent) = stat(pid).and_then(|fields| fields.get(1)?.parse::<u32>().ok()) {
                parents.push((pid, parent));
            }
        }
        let mut members = vec![self.root];
        let mut next = 0;
        while let Some(&parent) = members.get(next) {
            members.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        members
    }
}

fn stat(pid: u32) -> Option<Vec<String>> {
    fields(Path::new(&format!("/proc/{pid}/stat")))
}

/// The fields of a `stat` file after the command name, which may hold spaces itself.
fn fields(path: &Path) -> Option<Vec<String>> {
    let text = fs::read_to_string(path).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    Some(rest.split_ascii_whitespace().map(str::to_owned).collect())
}

fn ticks(pid: u32) -> Option<u32> {
    let fields = stat(pid)?;
    // utime, stime, and the same of reaped children: fields 14 to 17 in proc(5).
    fields.get(11..15)?.iter().map(|field| field.parse::<u32>().ok()).sum()
}

/// User and system time of this process alone, without the servers that it started.
pub(crate) fn own_cpu() -> Duration {
    let fields = stat(std::process::id()).unwrap_or_default();
    let own = fields.get(11..13).unwrap_or_default();
    TICK * own.iter().filter_map(|field| field.parse::<u32>().ok()).sum::<u32>()
}

fn kib(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// How the machine's processors spent their time, all processes together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) busy: Duration,
    pub(crate) idle: Duration,
    /// Idle while a disk was being waited for.
    pub(crate) disk: Duration,
    /// Taken by other guests of the same host.
    pub(crate) stolen: Duration,
}

impl Machine {
    /// Since the machine started.
    pub(crate) fn now() -> Machine {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let line = text.lines().next().unwrap_or_default();
        let ticks: Vec<u64> =
            line.split_ascii_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        let time = |field: usize| Duration::from_millis(10 * ticks.get(field).copied().unwrap_or(0));
        // user, nice, system, idle, iowait, irq, softirq, steal: proc(5).
        Machine {
            busy: [0, 1, 2, 5, 6].into_iter().map(time).sum(),
            idle: time(3),
            disk: time(4),
            stolen: time(7),
        }
    }

    pub(crate) fn since(self, before: Machine) -> Machine {
        Machine {
            busy: self.busy.saturating_sub(before.busy),
            idle: self.idle.saturating_sub(before.idle),
            disk: self.disk.saturating_sub(before.disk),
            stolen: self.stolen.saturating_sub(before.stolen),
        }
    }
}

/// Makes room for this many open files, here and in the servers started from here.
pub(crate) fn raise_open_files(wanted: u64) -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = limit.maximum.map_or(wanted, |maximum| maximum.max(wanted));
    // Only root may lift the hard limit; anybody may go up to it.
    let lifted = Rlimit { current: Some(maximum), maximum: Some(maximum) };
    if setrlimit(Resource::Nofile, lifted).is_ok() {
        return Ok(());
    }
    match limit.maximum {
        Some(maximum) if maximum < wanted => Err(Fault::Usage(format!(
            "this needs {wanted} open files and the hard limit is {maximum}: raise it with `ulimit -Hn`"
        ))),
        _ => setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
            .map_err(|error| Fault::Io { what: "raising RLIMIT_NOFILE".to_owned(), source: error.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_seen_with_its_children() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let tree = Tree::new(std::process::id());
        assert!(tree.members().contains(&child.id()));
        assert!(tree.pss() > 0 && tree.peak() > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!tree.members().contains(&child.id()));
    }
}

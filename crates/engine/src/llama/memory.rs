//! How much memory is left on this machine, with the limits of its container.

use sysinfo::System;

/// Bytes that may still be allocated. Files kept in memory count as free: the system gives them up when it needs to.
pub(super) fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let machine = system.available_memory();
    let container = system.cgroup_limits().map(|limits| limits.total_memory.saturating_sub(limits.rss));
    container.map_or(machine, |container| machine.min(container))
}

/// Bytes of memory that this process has to itself, 0 where that cannot be told; files that are mapped do not count. Called by `template_watch.cpp`.
pub(super) extern "C" fn own_memory_or_zero() -> u64 {
    own_memory().unwrap_or(0)
}

#[cfg(target_os = "linux")]
fn own_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(not(target_os = "linux"))]
fn own_memory() -> Option<u64> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate};

    let process = sysinfo::get_current_pid().ok()?;
    let mut system = System::new();
    system.refresh_processes_specifics(
        ProcessesToUpdate::Some(&[process]),
        false,
        ProcessRefreshKind::nothing().with_memory(),
    );
    system.process(process).map(sysinfo::Process::memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_allocated_is_noticed() {
        // The optimizer would leave out what nobody looks at.
        let block = std::hint::black_box(vec![1_u8; 256 << 20]);
        let held = own_memory().expect("the system tells");
        assert!(held > 256 << 20, "{held} bytes");
        drop(std::hint::black_box(block));
    }
}

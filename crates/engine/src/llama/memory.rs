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

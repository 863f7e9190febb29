//! How much memory is left on this machine, with the limits of its container.

use sysinfo::System;

/// Bytes that may still be allocated.
pub(super) fn available() -> u64 {
    let mut system = System::new();
    system.refresh_memory();
    let machine = system.available_memory();
    system.cgroup_limits().map_or(machine, |limits| machine.min(limits.free_memory))
}

//! How many threads evaluate at first when nobody says, and at most.

/// Below this many bytes of weights a token takes about as long as waking a second thread.
const ONE_THREAD_BELOW: u64 = 16 << 20;

/// `wanted` threads, or the best number for the model when it is `None`. Never more than there are processors: threads that wait for each
/// other by spinning would come to a standstill.
pub(super) fn threads(wanted: Option<u32>, model_size: u64) -> u32 {
    let processors = u32::try_from(num_cpus::get()).unwrap_or(u32::MAX);
    wanted.unwrap_or_else(|| default_threads(model_size)).clamp(1, processors.max(1))
}

/// One for a tiny model, to which a second is worth something only while nobody else wants the cores; as many as make sense for any other.
fn default_threads(model_size: u64) -> u32 {
    if model_size < ONE_THREAD_BELOW { 1 } else { most_threads() }
}

/// Up to how many threads may be tried: a number that was asked for stays.
pub(super) fn tried_threads(wanted: Option<u32>) -> Option<u32> {
    wanted.is_none().then(most_threads)
}

/// The physical cores within the container's limits.
fn most_threads() -> u32 {
    // `get` obeys affinity and cgroup quotas but counts logical processors; two of one core would only wait for each other.
    let cores = num_cpus::get_physical().min(num_cpus::get());
    u32::try_from(cores).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_model_runs_on_one_thread_and_any_other_on_at_least_one() {
        assert_eq!(threads(None, 2 << 20), 1);
        assert!(threads(None, 1 << 30) >= 1);
        assert_eq!(tried_threads(None), Some(threads(None, 1 << 30)));
        assert_eq!(tried_threads(Some(1)), None, "a number that was asked for stays");
    }

    #[test]
    fn there_are_never_more_threads_than_processors() {
        assert_eq!(threads(Some(1), 1 << 30), 1);
        assert_eq!(threads(Some(512), 1 << 30) as usize, num_cpus::get().min(512));
    }
}

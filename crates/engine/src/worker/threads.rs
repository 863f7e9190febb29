//! How many threads evaluate when nobody says.

/// Below this many bytes of weights a token takes less time than waking a second thread.
const ONE_THREAD_BELOW: u64 = 64 << 20;

/// The physical cores within the container's limits; one for a tiny model.
pub(super) fn default_threads(model_size: u64) -> u32 {
    if model_size < ONE_THREAD_BELOW {
        return 1;
    }
    // `get` obeys affinity and cgroup quotas but counts logical processors; two of one core would only wait for each other.
    let cores = num_cpus::get_physical().min(num_cpus::get());
    u32::try_from(cores).unwrap_or(1).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tiny_model_runs_on_one_thread_and_any_other_on_at_least_one() {
        assert_eq!(default_threads(2 << 20), 1);
        assert!(default_threads(1 << 30) >= 1);
    }
}

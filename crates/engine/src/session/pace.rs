//! How fast this machine evaluates and copies: whether saving or restoring a state is quicker than evaluating its tokens, and how many tokens
//! are evaluated in some time. Pure: whoever calls has the clock.

use std::time::Duration;

/// How fast things go here. What is measured is never faster than the machine, but often slower, when others use it: copying is compared with both
/// at their best.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pace {
    /// Seconds for each token of a prompt.
    evaluating: Option<f64>,
    /// The same lately, as others use the machine and the conversation grows.
    lately: Option<f64>,
    /// Seconds for each byte copied out of a context.
    saving: Option<f64>,
    /// Seconds for each byte copied into it.
    restoring: Option<f64>,
}

/// A copy of fewer bytes costs too little to be thought about.
const SMALL: usize = 1 << 20;
/// What is measured over fewer tokens is about something else than tokens.
const FEWEST_TOKENS: usize = 32;
/// A slow machine's memory, until something was copied: seconds a byte.
const ASSUMED: f64 = 1e-9;
/// Evaluating takes so many times as long as copying, at least, where copying is worth it.
const GAIN: f64 = 2.0;
/// How much the last evaluation says about the next.
const NEWEST: f64 = 0.5;

impl Pace {
    /// Takes notice of an evaluation.
    pub fn evaluated(&mut self, n_tokens: usize, took: Duration) {
        if n_tokens >= FEWEST_TOKENS {
            note(&mut self.evaluating, n_tokens, took);
            let newest = took.as_secs_f64() / to_float(n_tokens);
            self.lately = Some(self.lately.map_or(newest, |before| (newest - before).mul_add(NEWEST, before)));
        }
    }

    /// How many tokens of a prompt were evaluated in so much time lately.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float that is too large becomes the largest number"
    )]
    pub fn tokens_in(&self, time: Duration) -> Option<usize> {
        self.lately.map(|seconds| (time.as_secs_f64() / seconds) as usize)
    }

    /// Takes notice of a state that was copied out.
    pub fn saved(&mut self, n_bytes: usize, took: Duration) {
        if n_bytes >= SMALL {
            note(&mut self.saving, n_bytes, took);
        }
    }

    /// Takes notice of a state that was copied in.
    pub fn restored(&mut self, n_bytes: usize, took: Duration) {
        if n_bytes >= SMALL {
            note(&mut self.restoring, n_bytes, took);
        }
    }

    /// Whether a state of `n_bytes` should be copied out, so that `n_tokens` need not be evaluated again later; and that in at most `patience`.
    #[must_use]
    pub fn should_save(&self, n_tokens: usize, n_bytes: usize, patience: Duration) -> bool {
        let saving = of(self.saving, n_bytes);
        let restoring = of(self.restoring, n_bytes);
        n_bytes < SMALL || (saving <= patience.as_secs_f64() && self.is_less(saving + restoring, n_tokens))
    }

    /// Whether copying in `n_bytes` is quicker than evaluating `n_tokens`.
    #[must_use]
    pub fn should_restore(&self, n_tokens: usize, n_bytes: usize) -> bool {
        n_bytes < SMALL || self.is_less(of(self.restoring, n_bytes), n_tokens)
    }

    fn is_less(&self, seconds: f64, n_tokens: usize) -> bool {
        self.evaluating
            .is_none_or(|evaluating| seconds * GAIN <= evaluating * to_float(n_tokens))
    }
}

fn of(pace: Option<f64>, n_bytes: usize) -> f64 {
    pace.unwrap_or(ASSUMED) * to_float(n_bytes)
}

fn note(pace: &mut Option<f64>, amount: usize, took: Duration) {
    let measured = took.as_secs_f64() / to_float(amount);
    *pace = Some(pace.map_or(measured, |best| best.min(measured)));
}

#[expect(clippy::cast_precision_loss, reason = "a measurement is less precise")]
fn to_float(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    /// 1 ms a token, 1 ms a MiB out and in.
    fn pace() -> Pace {
        let mut pace = Pace::default();
        pace.evaluated(100, milliseconds(100));
        pace.saved(10 * MIB, milliseconds(10));
        pace.restored(10 * MIB, milliseconds(10));
        pace
    }

    #[test]
    fn what_is_quicker_is_done() {
        for (n_tokens, n_mib, patience, save, restore) in [
            (100, 10, 1000, true, true),
            (100, 24, 1000, true, true),
            (100, 26, 1000, false, true),
            (100, 60, 1000, false, false),
            (10_000, 200, 100, false, true),
            (10_000, 99, 100, true, true),
        ] {
            let case = format!("{n_tokens} tokens in {n_mib} MiB, {patience} ms");
            let (pace, n_bytes) = (pace(), n_mib * MIB);
            assert_eq!(pace.should_save(n_tokens, n_bytes, milliseconds(patience)), save, "{case}");
            assert_eq!(pace.should_restore(n_tokens, n_bytes), restore, "{case}");
        }
    }

    #[test]
    fn what_is_small_is_always_done() {
        assert!(pace().should_save(1, MIB - 1, Duration::ZERO) && pace().should_restore(1, MIB - 1));
    }

    #[test]
    fn the_best_counts_and_too_little_does_not() {
        let mut other = pace();
        other.evaluated(100, milliseconds(900));
        other.evaluated(31, Duration::ZERO);
        other.saved(10 * MIB, milliseconds(900));
        other.saved(9, Duration::ZERO);
        other.restored(9, Duration::ZERO);
        other.lately = pace().lately;
        assert_eq!(other, pace());
        other.evaluated(100, milliseconds(50));
        assert_ne!(other, pace());
    }

    #[test]
    fn tokens_in_some_time_are_those_of_late() {
        let mut pace = Pace::default();
        assert_eq!(pace.tokens_in(milliseconds(200)), None);
        pace.evaluated(31, milliseconds(1));
        assert_eq!(pace.tokens_in(milliseconds(200)), None, "too few to be about tokens");
        pace.evaluated(100, milliseconds(100));
        assert_eq!(pace.tokens_in(milliseconds(200)), Some(200));
        for _ in 0..20 {
            pace.evaluated(100, milliseconds(400));
        }
        assert_eq!(pace.tokens_in(milliseconds(200)), Some(50), "the machine is busy now");
        pace.evaluated(100, Duration::ZERO);
        assert_eq!(pace.tokens_in(milliseconds(200)), Some(100));
        assert_eq!(Pace { lately: Some(0.0), ..pace }.tokens_in(milliseconds(200)), Some(usize::MAX));
    }

    #[test]
    fn before_anything_was_measured_only_patience_limits() {
        let unknown = Pace::default();
        assert!(unknown.should_save(1, 90 << 20, milliseconds(100)) && unknown.should_restore(1, 1 << 40));
        assert!(!unknown.should_save(1, 110 << 20, milliseconds(100)));
    }
}

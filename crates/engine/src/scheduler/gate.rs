//! How many guessed tokens are evaluated along with a certain one. Pure.
//!
//! A guess that proves right is a token for the price of a wider evaluation, a wrong one is that price for nothing. What both are is learned; where
//! guessing does not pay, it is tried again only as often as [`SHARE`] of the time allows. All is counted in evaluations without guesses.

/// Of all evaluations, what guesses in vain may cost.
const SHARE: f64 = 0.01;
/// Guesses end when they have cost so much more than they gave, until that is earned back.
const DEEPEST_DEBT: f64 = 1.0;
const MOST_SAVED: f64 = 1.0;
const MOST_OWED: f64 = 3.0;
/// After so many evaluations with guesses comes one without: what it takes is what guesses are measured by.
const MOST_IN_A_ROW: u32 = 32;
/// How much the last guess counts.
const NEWEST: f64 = 0.2;
/// How often guesses are right at first, by how many tokens before them were the same: two, three, four.
const FIRST_HOPES: [f64; 3] = [0.3, 0.5, 0.6];

/// What is known of the guesses of one answer.
#[derive(Debug)]
pub(super) struct Gate {
    /// How often one token of a guess is right when those before it were.
    rates: [f64; 3],
    savings: f64,
    n_in_a_row: u32,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            rates: FIRST_HOPES,
            savings: 0.0,
            n_in_a_row: 0,
        }
    }

    /// How many tokens to guess, at most `most`, after `n_same` tokens that were the same. `price`: what so many more tokens cost.
    pub(super) fn length(&self, n_same: usize, most: usize, price: impl Fn(usize) -> f64) -> usize {
        if self.savings < -DEEPEST_DEBT || self.n_in_a_row >= MOST_IN_A_ROW || most == 0 {
            return 0;
        }
        let rate = self.rates[class(n_same)];
        let worth = |length: usize| expected(rate, length) - price(length);
        let best = (1..=most).max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or(0);
        if worth(best) > 0.0 {
            return best;
        }
        usize::from(self.savings >= -worth(1))
    }

    /// Takes notice of an evaluation: of `n_guessed` tokens, for which `price` was paid, the first `n_right` were right.
    pub(super) fn observe(&mut self, n_same: usize, n_guessed: usize, n_right: usize, price: f64) {
        if n_guessed == 0 {
            self.n_in_a_row = 0;
            self.savings = (self.savings + SHARE).min(MOST_SAVED);
            return;
        }
        self.n_in_a_row += 1;
        let rate = &mut self.rates[class(n_same)];
        for is_right in (0..n_guessed.min(n_right + 1)).map(|index| index < n_right) {
            *rate += NEWEST * (f64::from(u8::from(is_right)) - *rate);
        }
        // Never sure of anything.
        *rate = rate.clamp(0.01, 0.97);
        self.savings = (self.savings + count(n_right) - price).clamp(-MOST_OWED, MOST_SAVED);
    }
}

fn class(n_same: usize) -> usize {
    n_same.saturating_sub(2).min(FIRST_HOPES.len() - 1)
}

/// How many of `length` tokens will be right.
fn expected(rate: f64, length: usize) -> f64 {
    let mut all_right = 1.0;
    (0..length)
        .map(|_| {
            all_right *= rate;
            all_right
        })
        .sum()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

/// An evaluation that was held up counts as this much longer than the others.
const LONGEST: f64 = 3.0;

/// How much of what a width seemed to cost stays with each evaluation of another.
const FORGETTING: f64 = 0.995;

/// How long evaluations of few tokens take, by how many they are.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// Seconds; 0 where nothing is known.
    seconds: Vec<f64>,
}

impl Costs {
    /// Takes notice of an evaluation of `width` tokens of answers.
    pub(super) fn observe(&mut self, width: usize, seconds: f64) {
        /// As many sequences as a context may have, and guesses.
        const WIDEST: usize = 512;
        if width == 0 || width > WIDEST {
            return;
        }
        if self.seconds.len() <= width {
            self.seconds.resize(width + 1, 0.0);
        }
        let known = self.seconds[width];
        // What else happens on a machine only makes evaluations longer, so a short one says more.
        let newest = if seconds < known { 0.5 } else { 0.1 };
        self.seconds[width] = match known {
            0.0 => seconds.min(self.estimate(1).map_or(f64::INFINITY, |one| one * count(width))),
            known => newest * (seconds.min(LONGEST * known) - known) + known,
        };
        // A width that seemed too dear is not looked at: in the end it must seem cheap again.
        let least = self.seconds[width];
        for wider in self.seconds[width + 1..].iter_mut().filter(|wider| **wider > least) {
            *wider = (*wider * FORGETTING).max(least);
        }
    }

    /// What `more` tokens cost in an evaluation of `width`, in tokens: every answer in it waits for them. No more than evaluations of their own;
    /// where nothing is known, that.
    pub(super) fn price(&self, width: usize, more: usize) -> f64 {
        let price = match (self.estimate(width), self.estimate(width + more)) {
            (Some(before), Some(after)) => (after / before - 1.0).max(0.0) * count(width),
            _ => f64::INFINITY,
        };
        price.min(count(more) * count(width))
    }

    /// What each of `n_guessed` tokens did cost, in tokens, in an evaluation of `width` with them that took so long.
    pub(super) fn bill(&self, width: usize, n_guessed: usize, seconds: f64) -> f64 {
        let without = width.saturating_sub(n_guessed);
        let Some(before) = self.estimate(without).filter(|_| n_guessed > 0) else {
            return 0.0;
        };
        let each = (seconds / before - 1.0) * count(without) / count(n_guessed);
        // One that was held up proves nothing: no more than an evaluation of its own.
        each.clamp(0.0, 1.0)
    }

    /// By the known widths on both sides, or the lower one and what a further token of it cost.
    fn estimate(&self, width: usize) -> Option<f64> {
        /// What a further token costs of an evaluation where nothing wider is known.
        const GROWTH: f64 = 0.25;
        let known = |width: &usize| self.seconds.get(*width).is_some_and(|seconds| *seconds > 0.0);
        let lower = (1..=width).rev().find(known)?;
        let Some(higher) = (width..self.seconds.len()).find(known) else {
            return Some(self.seconds[lower] * GROWTH.mul_add(count(width - lower) / count(lower), 1.0));
        };
        let share = if higher == lower {
            0.0
        } else {
            count(width - lower) / count(higher - lower)
        };
        Some((self.seconds[higher] - self.seconds[lower]).mul_add(share, self.seconds[lower]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets guesses of which each token is right this often go through a gate; returns how many tokens come in the time of one without.
    fn speed(price_per_token: f64, rate: f64, n_evaluations: usize) -> f64 {
        let mut gate = Gate::new();
        let mut random = 1_u32;
        let mut noise = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(random >> 8) / f64::from(1_u32 << 24)
        };
        let price = |length: usize| price_per_token * count(length);
        let (mut tokens, mut time) = (0.0, 0.0);
        for _ in 0..n_evaluations {
            let length = gate.length(3, 8, price);
            let right = (0..length).take_while(|_| noise() < rate).count();
            gate.observe(3, length, right, price(length));
            tokens += 1.0 + count(right);
            time += 1.0 + price(length);
        }
        tokens / time
    }

    #[test]
    fn guessing_never_costs_more_than_it_may() {
        for price in [0.01, 0.1, 0.25, 0.5, 0.9, 2.0] {
            for rate in [0.0, 0.02, 0.05, 0.1, 0.2, 0.5] {
                for n_evaluations in [150, 1000, 10_000] {
                    let speed = speed(price, rate, n_evaluations);
                    assert!(
                        speed > 0.98,
                        "{speed} at a price of {price}, {rate} right, {n_evaluations} evaluations"
                    );
                }
            }
        }
    }

    #[test]
    fn good_guesses_pay() {
        let cases = [
            (0.02, 0.95, 4.0),
            (0.1, 0.95, 3.0),
            (0.25, 0.95, 2.0),
            (0.1, 0.7, 1.5),
            (0.5, 0.95, 1.1),
        ];
        for (price, rate, least) in cases {
            let speed = speed(price, rate, 1000);
            assert!(speed > least, "{speed} at a price of {price}, {rate} right");
        }
    }

    #[test]
    fn what_was_bad_is_tried_again() {
        let mut gate = Gate::new();
        let price = |length: usize| 0.1 * count(length);
        let evaluate = |gate: &mut Gate, is_right: bool| {
            let length = gate.length(4, 8, price);
            gate.observe(4, length, if is_right { length } else { 0 }, price(length));
            length
        };
        for _ in 0..200 {
            evaluate(&mut gate, false);
        }
        let later: usize = (0..60).map(|_| evaluate(&mut gate, true)).sum();
        assert!(later > 200, "only {later} tokens were guessed when guesses were right again");
    }

    #[test]
    fn longer_rows_are_trusted_more() {
        let gate = Gate::new();
        let length = |n_same| gate.length(n_same, 8, |length| 0.2 * count(length));
        assert!(
            length(2) < length(3) && length(3) < length(4),
            "{} {} {}",
            length(2),
            length(3),
            length(4)
        );
        assert_eq!(gate.length(4, 0, |_| 0.0), 0);
    }

    #[test]
    fn bills_are_what_it_took() {
        let mut costs = Costs::default();
        assert_eq!(costs.bill(5, 4, 1.0).to_string(), "0");
        costs.observe(1, 1.0);
        costs.observe(2, 1.0);
        let cases = [
            (5, 4, 1.2, 0.05),
            (1, 0, 9.0, 0.0),
            (5, 4, 0.5, 0.0),
            (2, 1, 100.0, 1.0),
            (6, 4, 1.2, 0.1),
        ];
        for (width, n_guessed, seconds, expected) in cases {
            let bill = costs.bill(width, n_guessed, seconds);
            assert!((bill - expected).abs() < 1e-9, "{bill} for {n_guessed} of {width} in {seconds}");
        }
    }

    #[test]
    fn prices_are_those_of_the_widths_that_were_seen() {
        let mut costs = Costs::default();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        close(costs.price(1, 4), 4.0);
        costs.observe(1, 1.0);
        close(costs.price(1, 4), 1.0);
        costs.observe(5, 1.2);
        close(costs.price(1, 4), 0.2);
        close(costs.price(1, 2), 0.1);
        close(costs.price(1, 0), 0.0);
        // Three answers in one evaluation all wait.
        close(costs.price(3, 2), (1.2 / 1.1 - 1.0) * 3.0);
        costs.observe(1, 1000.0);
        assert!(costs.price(1, 4) < 1.0, "one that was held up says little");
        costs.observe(9, 1000.0);
        close(costs.price(1, 8), 8.0);
        for _ in 0..1000 {
            costs.observe(1, 1.2);
        }
        assert!(costs.price(1, 8) < 1.0, "in the end it is tried again");
        costs.observe(0, 9.0);
        costs.observe(10_000, 9.0);
        assert!(costs.seconds.len() < 1000);
    }
}

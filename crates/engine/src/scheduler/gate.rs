//! How many guessed tokens are evaluated along with a certain one. Pure.
//!
//! A guess that proves right is a token for the price of a wider evaluation, a wrong one is that price for nothing. How often guesses are right is
//! learned without evaluating any: each token that is chosen is compared with what would have been guessed. What they cost is learned from evaluations
//! with them, and what all of them may lose together is bounded. All is counted in evaluations without guesses.

/// Guesses of other lengths are not made: llama.cpp builds its graph anew whenever an evaluation is wider or narrower than the one before, and its
/// matrix products take rows by fours.
const LENGTHS: [usize; 4] = [1, 3, 7, 15];
/// How much the last token counts.
const NEWEST: f64 = 0.2;
/// How often guesses are right at first: by how many tokens before them were the same (two, three, four), and by how many guesses before them were
/// right when four were (two, four, eight).
const FIRST_HOPES: [f64; 6] = [0.1, 0.2, 0.3, 0.5, 0.7, 0.9];

/// How often guesses are right in one answer, made or not.
#[derive(Debug)]
pub(super) struct Hopes {
    rates: [f64; FIRST_HOPES.len()],
    n_right_in_a_row: u32,
}

impl Hopes {
    pub(super) fn new() -> Self {
        Self {
            rates: FIRST_HOPES,
            n_right_in_a_row: 0,
        }
    }

    /// Takes notice of a token that was chosen: whether it is what came after the `n_same` tokens before it. `None`: they have not been there before.
    pub(super) fn note(&mut self, guess: Option<(usize, bool)>) {
        if let Some((n_same, is_right)) = guess {
            let rate = &mut self.rates[class(n_same, self.n_right_in_a_row)];
            *rate += NEWEST * (f64::from(u8::from(is_right)) - *rate);
            // Never sure of anything.
            *rate = rate.clamp(0.01, 0.97);
        }
        let is_right = guess.is_some_and(|(_, is_right)| is_right);
        self.n_right_in_a_row = if is_right { self.n_right_in_a_row.saturating_add(1) } else { 0 };
    }

    /// How many tokens to guess, at most `most`, after `n_same` tokens that were the same. `price`: what so many more tokens cost.
    pub(super) fn length(&self, n_same: usize, most: usize, price: impl Fn(usize) -> f64) -> usize {
        let rate = self.rates[class(n_same, self.n_right_in_a_row)];
        let worth = |length: usize| expected(rate, length) - price(length);
        let lengths = LENGTHS.into_iter().filter(|length| *length <= most && worth(*length) > 0.0);
        lengths.max_by(|a, b| worth(*a).total_cmp(&worth(*b))).unwrap_or(0)
    }
}

fn class(n_same: usize, n_right_in_a_row: u32) -> usize {
    match (n_same, n_right_in_a_row) {
        (..=2, _) => 0,
        (3, _) => 1,
        (_, ..=1) => 2,
        (_, ..=3) => 3,
        (_, ..=7) => 4,
        _ => 5,
    }
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

/// Of all evaluations, what guesses in vain may cost.
const SHARE: f64 = 0.01;
/// Guesses end when all of them have cost so much more than they gave, until that is earned back.
const DEEPEST_DEBT: f64 = 0.25;
/// And what they owe ends here: one that was held up does not end guesses for a thousand tokens.
const MOST_OWED: f64 = 4.0;
/// What evaluations without guesses earn ends here.
const MOST_EARNED: f64 = 0.0;
/// What right guesses gained ends here.
const MOST_SAVED: f64 = 5.5;
/// After so many evaluations with guesses come some without: what they take is what guesses are measured by.
const MOST_IN_A_ROW: u32 = 64;
/// The first of them is in another shape than the one before, which costs by itself.
const PAUSE: u32 = 2;

/// What guesses gave and cost in all answers of a context: short ones do not each begin with a debt.
#[derive(Debug, Default)]
pub(super) struct Budget {
    savings: f64,
    n_in_a_row: u32,
    n_pauses: u32,
}

impl Budget {
    /// Whether guesses may be made.
    pub(super) fn allows(&self) -> bool {
        self.n_pauses == 0 && self.savings >= -DEEPEST_DEBT
    }

    /// Takes notice of an evaluation of `n_guessed` tokens, of which `n_right` were right, for all of which `price` was paid.
    pub(super) fn observe(&mut self, n_guessed: usize, n_right: usize, price: f64) {
        if n_guessed == 0 {
            self.n_in_a_row = 0;
            self.n_pauses = self.n_pauses.saturating_sub(1);
            let earned = (self.savings + SHARE).min(MOST_EARNED);
            self.savings = self.savings.max(earned);
            return;
        }
        self.n_in_a_row += 1;
        if self.n_in_a_row >= MOST_IN_A_ROW {
            self.n_pauses = PAUSE;
        }
        self.savings = (self.savings + count(n_right) - price).clamp(-MOST_OWED, MOST_SAVED);
    }
}

/// An evaluation that was held up counts as this much longer than the others.
const LONGEST: f64 = 3.0;

/// No evaluation makes others seem longer than by this: while one that was held up is what guesses are measured by, they seem cheap.
const SLOWER: f64 = 1.5;

/// How wide an evaluation may be before any with guesses was seen.
const WIDEST_FIRST: usize = 8;

/// How much of what a width seemed to cost stays with each evaluation of another.
const FORGETTING: f64 = 0.998;

/// How long evaluations of few tokens take, by how many they are.
#[derive(Debug, Default)]
pub(super) struct Costs {
    /// Seconds; 0 where nothing is known. For evaluations after others of the same width.
    seconds: Vec<f64>,
    /// How much longer the first one of a width takes.
    change: Option<f64>,
    last_width: usize,
    /// The last one had guesses.
    had_guesses: bool,
}

impl Costs {
    /// Takes notice of an evaluation of `width` tokens of answers, `n_guessed` of them guesses.
    pub(super) fn observe(&mut self, width: usize, n_guessed: usize, seconds: f64) {
        /// As many sequences as a context may have, and guesses.
        const WIDEST: usize = 512;
        let is_changed = self.last_width != width;
        let was_wider = self.last_width > width && self.had_guesses;
        (self.last_width, self.had_guesses) = (width, n_guessed > 0);
        if width == 0 || width > WIDEST {
            return;
        }
        if self.seconds.len() <= width {
            self.seconds.resize(width + 1, 0.0);
        }
        let known = self.seconds[width];
        if is_changed && was_wider && n_guessed == 0 && known > 0.0 {
            let excess = (seconds - known).clamp(0.0, known);
            self.change = Some(self.change.map_or(excess, |change| change + 0.25 * (excess - change)));
            return;
        }
        let seconds = if is_changed && n_guessed > 0 {
            (seconds - self.change()).max(0.5 * seconds)
        } else {
            seconds
        };
        // What else happens on a machine only makes evaluations longer, so a short one says more.
        let newest = if seconds < known { 0.5 } else { 0.05 };
        self.seconds[width] = match known {
            0.0 => seconds.min(self.estimate(1).map_or(f64::INFINITY, |one| LONGEST * one * count(width))),
            known => newest * (seconds.min(SLOWER * known) - known) + known,
        };
        // A width that seemed too dear is not looked at: in the end it must seem cheap again.
        let least = self.seconds[width];
        for wider in self.seconds[width + 1..].iter_mut().filter(|wider| **wider > least) {
            *wider = (*wider * FORGETTING).max(least);
        }
    }

    /// Takes notice of an evaluation that says nothing, because there was a prompt in it.
    pub(super) fn pass_over(&mut self, width: usize) {
        (self.last_width, self.had_guesses) = (width, false);
    }

    /// What `more` tokens cost in an evaluation of `width`, in tokens: each of `n_certain` answers in it waits for them.
    pub(super) fn price(&self, n_certain: usize, width: usize, more: usize) -> f64 {
        if more == 0 {
            return 0.0;
        }
        // What was never seen may cost anything: no more than twice as wide as what was. Few tokens more pay nothing where a second one is dear, so the first
        // time may be wider.
        if width + more > (2 * self.seconds.len()).max(WIDEST_FIRST) {
            return f64::INFINITY;
        }
        let estimates = (self.estimate(n_certain), self.estimate(width), self.estimate(width + more));
        let (Some(certain), Some(before), Some(after)) = estimates else {
            return f64::INFINITY;
        };
        let there = if self.last_width == width + more { 0.0 } else { self.change() };
        ((after + there - before).max(0.0) + self.way_back()) / certain * count(n_certain)
    }

    /// What `n_guessed` tokens did cost, in tokens, in an evaluation of `width` with them that took so long, and in the first one without them.
    pub(super) fn bill(&self, width: usize, n_guessed: usize, seconds: f64) -> f64 {
        let without = width.saturating_sub(n_guessed);
        let estimates = self.estimate(without).zip(self.estimate(width)).filter(|_| n_guessed > 0);
        let Some((before, after)) = estimates else { return 0.0 };
        // One that was held up proves nothing. What a width seemed to cost may be half forgotten, so it is not the only measure.
        let likely = before * 0.5f64.mul_add(count(n_guessed), 4.0);
        let seconds = seconds.min(likely.max(LONGEST * after));
        ((seconds - before).max(0.0) + self.way_back()) / before * count(without)
    }

    fn change(&self) -> f64 {
        /// What a change of width costs of an evaluation, while nothing is known.
        const FIRST: f64 = 0.25;
        let narrowest = self.seconds.iter().find(|seconds| **seconds > 0.0);
        self.change.or_else(|| Some(FIRST * narrowest?)).unwrap_or(0.0)
    }

    /// What it costs to go on without guesses, where that has not been counted already.
    fn way_back(&self) -> f64 {
        if self.had_guesses { 0.0 } else { self.change() }
    }

    /// By the known widths on both sides, or the lower one and what a further token of it cost.
    fn estimate(&self, width: usize) -> Option<f64> {
        /// What a further token costs of an evaluation where nothing wider is known.
        const GROWTH: f64 = 0.25;
        /// What the second token costs of the first one besides: on processors products with one column have a way of their own.
        const SECOND: f64 = 2.5;
        let known = |width: &usize| self.seconds.get(*width).is_some_and(|seconds| *seconds > 0.0);
        let lower = (1..=width).rev().find(known)?;
        let Some(higher) = (width..self.seconds.len()).find(known) else {
            let second = if lower == 1 && width > 1 { SECOND } else { 0.0 };
            return Some(self.seconds[lower] * GROWTH.mul_add(count(width - lower) / count(lower), 1.0 + second));
        };
        if higher == lower {
            return Some(self.seconds[lower]);
        }
        // Between one token and several it is not a straight line: no cheaper than the wider one.
        if lower == 1 {
            return Some(self.seconds[higher].max(self.seconds[lower]));
        }
        let share = count(width - lower) / count(higher - lower);
        Some((self.seconds[higher] - self.seconds[lower]).mul_add(share, self.seconds[lower]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine on which answers are written, and what it takes.
    #[derive(Clone, Copy, Debug)]
    struct Machine {
        /// What the second token of an evaluation costs, and each further one.
        second: f64,
        further: f64,
        /// What a change of width costs.
        change: f64,
        /// How much evaluations differ in time.
        noise: f64,
    }

    /// On a processor of one core a second token of an evaluation costs three.
    const PROCESSOR: Machine = Machine {
        second: 3.0,
        further: 0.1,
        change: 0.15,
        noise: 0.1,
    };

    struct Random(u32);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(self.0 >> 8) / f64::from(1_u32 << 24)
        }
    }

    /// Writes answers of so many tokens in one context; a token is what was guessed this `often`. Returns the tokens in the time of one without.
    fn speed(machine: Machine, often: f64, n_answers: usize, n_tokens: usize) -> f64 {
        let (mut budget, mut costs, mut random) = (Budget::default(), Costs::default(), Random(7));
        let (mut time, mut plain_time) = (0.0, 0.0);
        let mut last_width = 1;
        for _ in 0..n_answers {
            let mut hopes = Hopes::new();
            let mut written = 0;
            while written < n_tokens {
                let n_same = if hopes.n_right_in_a_row > 1 || random.next() < 0.2 { 4 } else { 2 };
                let most = if budget.allows() { 15.min(n_tokens - written - 1) } else { 0 };
                let n_guessed = hopes.length(n_same, most, |length| costs.price(1, 1, length));
                let n_right = (0..n_guessed).take_while(|_| random.next() < often).count();
                for index in 0..=n_right {
                    // Behind the last right guess comes a wrong one, or a token that nobody guessed.
                    let is_right = index < n_right || (n_right == n_guessed && random.next() < often);
                    hopes.note(Some((n_same, is_right)));
                }
                let width = 1 + n_guessed;
                let wider = if n_guessed == 0 {
                    0.0
                } else {
                    machine.further.mul_add(count(n_guessed - 1), machine.second)
                };
                let change = if width == last_width { 0.0 } else { machine.change };
                let held_up = if random.next() < 0.01 { 5.0 } else { 0.0 };
                let took = (1.0 + wider + change) * (1.0 + machine.noise * random.next()) + held_up;
                budget.observe(n_guessed, n_right, costs.bill(width, n_guessed, took));
                costs.observe(width, n_guessed, took);
                last_width = width;
                written += 1 + n_right;
                // What others do on the machine would have come without guesses too.
                time += 1.0 + wider + change;
                plain_time += count(1 + n_right);
            }
        }
        plain_time / time
    }

    #[test]
    fn guessing_never_costs_more_than_it_may() {
        for (second, further) in [(0.05, 0.02), (0.3, 0.1), (1.0, 0.25), (3.0, 0.1), (3.0, 0.3), (2.0, 0.5)] {
            for (change, noise) in [(0.0, 0.0), (0.15, 0.1), (0.3, 0.5)] {
                for often in [0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7] {
                    for (n_answers, n_tokens) in [(1, 300), (5, 300), (20, 60), (4, 2000)] {
                        let machine = Machine {
                            second,
                            further,
                            change,
                            noise,
                        };
                        let speed = speed(machine, often, n_answers, n_tokens);
                        assert!(
                            speed > 0.98,
                            "{speed} with {often} right, {n_answers} × {n_tokens} tokens, {machine:?}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn good_guesses_pay() {
        let cheap = Machine {
            second: 0.1,
            further: 0.05,
            ..PROCESSOR
        };
        for (machine, often, least) in [(PROCESSOR, 1.0, 2.0), (cheap, 1.0, 4.0), (cheap, 0.9, 2.0)] {
            let speed = speed(machine, often, 1, 300);
            assert!(speed > least, "{speed} with {often} right, {machine:?}");
        }
    }

    #[test]
    fn what_was_bad_is_tried_again_without_having_paid() {
        let mut hopes = Hopes::new();
        let price = |length: usize| 0.1f64.mul_add(count(length), 3.0);
        for _ in 0..200 {
            hopes.note(Some((4, false)));
        }
        assert_eq!(hopes.length(4, 15, price), 0);
        for _ in 0..20 {
            hopes.note(Some((4, true)));
        }
        assert_eq!(hopes.length(4, 15, price), 15);
        hopes.note(None);
        assert_eq!(hopes.length(4, 15, price), 0, "what is new is not foreseen");
    }

    #[test]
    fn lengths_are_few_and_longer_rows_are_trusted_more() {
        let hopes = Hopes::new();
        let length = |n_same, most| hopes.length(n_same, most, |length| 0.15 * count(length));
        assert!(length(2, 15) < length(4, 15), "{} {}", length(2, 15), length(4, 15));
        for most in 0..20 {
            let length = hopes.length(4, most, |_| 0.0);
            assert!(length <= most && (length == 0 || LENGTHS.contains(&length)), "{length} of {most}");
        }
    }

    #[test]
    fn a_debt_is_earned_back_and_nothing_is_lent_beforehand() {
        let mut budget = Budget::default();
        for _ in 0..10_000 {
            budget.observe(0, 0, 0.0);
        }
        budget.observe(7, 0, 4.0);
        assert!(!budget.allows());
        for n_evaluations in 1.. {
            budget.observe(0, 0, 0.0);
            if budget.allows() {
                assert!((374..=377).contains(&n_evaluations), "{n_evaluations}");
                break;
            }
        }
    }

    #[test]
    fn bills_are_what_it_took_there_and_back() {
        let mut costs = Costs::default();
        assert_eq!(costs.bill(5, 4, 1.0).to_string(), "0");
        costs.observe(1, 0, 1.0);
        costs.observe(8, 7, 4.25);
        costs.observe(1, 0, 1.2);
        costs.observe(1, 0, 1.0);
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        close(costs.bill(8, 7, 4.2), 3.4);
        close(costs.bill(1, 0, 9.0), 0.0);
        close(costs.bill(8, 7, 0.5), 0.2);
        assert!(costs.bill(8, 7, 1000.0) < 13.0, "one that was held up says little");
        costs.observe(8, 7, 4.2);
        close(costs.bill(8, 7, 4.0), 3.0);
    }

    #[test]
    fn prices_are_those_of_the_widths_that_were_seen() {
        let mut costs = Costs::default();
        let close = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
        assert!(costs.price(1, 1, 4).is_infinite(), "nothing is known");
        costs.observe(1, 0, 1.0);
        close(costs.price(1, 1, 3), 3.75);
        close(costs.price(1, 1, 7), 4.75);
        assert!(costs.price(1, 1, 15).is_infinite(), "too wide to begin with");
        close(costs.price(1, 1, 0), 0.0);
        costs.observe(5, 4, 3.25);
        close(costs.price(1, 1, 4), 2.0);
        // A single guess may cost as much as four.
        close(costs.price(1, 1, 1), 2.25);
        costs.observe(1, 0, 1000.0);
        assert!(costs.price(1, 1, 4) < 5.0, "one that was held up says little");
        for _ in 0..3000 {
            costs.observe(1, 0, 1.0);
        }
        assert!(costs.price(1, 1, 4) < 2.1, "in the end it is tried again");
        costs.observe(0, 0, 9.0);
        costs.observe(10_000, 0, 9.0);
        costs.pass_over(512);
        assert!(costs.seconds.len() < 1000);
    }
}

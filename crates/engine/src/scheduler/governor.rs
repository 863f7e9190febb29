//! How many threads evaluate: begins with what the machine has, and moves to what proves faster.
//!
//! Threads wait for each other after every operation, so one that has lost its core to another process holds up all: more threads are often
//! slower, and which number is best changes while a model answers. Pure: numbers of tokens and times in, numbers of threads out. Another number
//! is looked at by evaluations that are needed anyway, in turns with the present one. What that costs is counted, and held below
//! [`SHARE`] of all time.

use std::time::Duration;

/// Of the time of all evaluations, what looking may cost.
const SHARE: f64 = 0.01;
/// Evaluations before a look, and between two.
const SETTLING: u32 = 8;
/// A look takes at least so many turns of both numbers, and more of short ones.
const FEWEST_TURNS: usize = 4;
const MOST_TURNS: usize = 32;
const SHORTEST_LOOK: f64 = 0.02;
/// So much slower at the first turn, and the look is over.
const HOPELESS: f64 = 1.5;
/// More threads must take less than this of the time, fewer only no more than all of it: what they do not use is the application's.
const WORTH_MORE: f64 = 0.95;
const WORTH_FEWER: f64 = 1.0;
/// When evaluations take so much longer than usual, somebody else wants the cores.
const ALARM: f64 = 1.3;
/// Looks for that reason may run up this many evaluations' time of debt.
const DEEPEST_DEBT: f64 = 10.0;
/// What is saved up for looks ends at so many evaluations' time: long quiet is no reason for a costly one.
const MOST_SAVED: f64 = 16.0;

/// Numbers of threads for evaluations of different widths, each of which has a best number of its own.
#[derive(Debug)]
pub(super) struct Governor {
    /// Those that can be had, rising.
    counts: Vec<u32>,
    single: Pace,
    few: Pace,
    prompt: Pace,
}

impl Governor {
    /// Begins with `start` threads and uses no more than `most`; `None`: always `start`.
    pub(super) fn new(start: u32, most: Option<u32>) -> Self {
        let counts = most.map_or_else(|| vec![start], |most| counts(start, most));
        let current = counts.iter().position(|count| *count == start).unwrap_or(0);
        Self {
            // What a prompt's first evaluations cost is the wait for the first token: they are not for looking.
            prompt: Pace::new(current, 0),
            single: Pace::new(current, 2),
            few: Pace::new(current, 2),
            counts,
        }
    }

    /// The number of threads for the next evaluation, of `width` tokens.
    pub(super) fn threads(&mut self, width: usize) -> u32 {
        let Self {
            counts,
            single,
            few,
            prompt,
        } = self;
        let index = pace(single, few, prompt, width).next(width_of(width), counts);
        counts[index]
    }

    /// Takes notice of how long that evaluation took.
    pub(super) fn observe(&mut self, width: usize, took: Duration) {
        let pace = pace(&mut self.single, &mut self.few, &mut self.prompt, width);
        pace.observe(width_of(width), took.as_secs_f64(), &self.counts);
    }

    /// The number that single tokens are evaluated by.
    pub(super) fn settled(&self) -> u32 {
        self.counts[self.single.current]
    }
}

/// One token is bound by memory, a prompt by arithmetic, and a few tokens of several answers by either.
fn pace<'all>(single: &'all mut Pace, few: &'all mut Pace, prompt: &'all mut Pace, width: usize) -> &'all mut Pace {
    match width {
        0 | 1 => single,
        2..16 => few,
        _ => prompt,
    }
}

fn width_of(width: usize) -> f64 {
    f64::from(u32::try_from(width.max(1)).unwrap_or(u32::MAX))
}

/// One, two, three, four, six, eight, twelve …, besides `start` and `most`.
fn counts(start: u32, most: u32) -> Vec<u32> {
    let most = most.max(start).max(1);
    let powers = (0..32).map(|power| 1_u32 << power);
    let steps = powers.flat_map(|power| [power, power.saturating_add(power / 2)]);
    let mut counts: Vec<u32> = steps.filter(|count| *count < most).chain([start.max(1), most]).collect();
    counts.sort_unstable();
    counts.dedup();
    counts
}

/// The number of threads for evaluations of one kind, by its index.
#[derive(Debug)]
struct Pace {
    current: usize,
    /// Seconds a token takes, lately and usually.
    recent: f64,
    usual: f64,
    n_settled: u32,
    /// Seconds that looking may still cost; below 0 it has cost too much.
    savings: f64,
    /// Looks that need no savings.
    n_free: u32,
    /// Which of the numbers around this one to look at next.
    turn: usize,
    /// How much longer each number took when it was last looked at from this one.
    ratios: Vec<Option<f64>>,
    look: Option<Look>,
    /// The number that was left for this one, and what it took.
    before: Option<(usize, f64)>,
}

/// Two numbers of threads in turns.
#[derive(Debug, Default)]
struct Look {
    candidate: usize,
    tried: Vec<f64>,
    kept: Vec<f64>,
}

impl Pace {
    fn new(current: usize, n_free: u32) -> Self {
        Self {
            current,
            recent: 0.0,
            usual: 0.0,
            n_settled: 0,
            savings: 0.0,
            n_free,
            turn: 0,
            ratios: Vec::new(),
            look: None,
            before: None,
        }
    }

    fn next(&mut self, width: f64, counts: &[u32]) -> usize {
        if self.look.is_none() && self.n_settled >= SETTLING {
            self.look = self.choose(width, counts).map(|candidate| Look {
                candidate,
                ..Look::default()
            });
        }
        match &self.look {
            Some(look) if look.is_candidates_turn() => look.candidate,
            _ => self.current,
        }
    }

    /// The number to look at now, if any.
    fn choose(&mut self, width: f64, counts: &[u32]) -> Option<usize> {
        let evaluation = self.recent * width;
        if let Some((before, cost)) = self.before.take()
            && self.recent > cost
        {
            return Some(before);
        }
        let around = around(self.current, counts);
        if self.recent > ALARM * self.usual && self.savings > -DEEPEST_DEBT * evaluation {
            self.usual = self.recent;
            let lower = around.iter().filter(|index| **index < self.current).count();
            // The lower ones come first.
            (self.turn, self.n_free) = (0, self.n_free.max(u32::try_from(lower).unwrap_or(0)));
        }
        let candidate = *around.get(self.turn % around.len().max(1))?;
        let may_cost = self.expected_cost(candidate, width, counts) * evaluation;
        if self.n_free == 0 && self.savings < may_cost {
            return None;
        }
        self.n_free = self.n_free.saturating_sub(1);
        self.turn += 1;
        Some(candidate)
    }

    /// What a look will cost, in evaluations.
    fn expected_cost(&self, candidate: usize, width: f64, counts: &[u32]) -> f64 {
        /// A number that was far too slow once may have been so for a moment.
        const WORST: f64 = 4.0;
        /// More threads are rarely slower.
        const MORE: f64 = 1.1;
        let guess = (f64::from(counts[self.current]) / f64::from(counts[candidate])).max(MORE);
        let ratio = self.ratios.get(candidate).copied().flatten().unwrap_or(guess).min(WORST);
        let n_turns = if ratio > HOPELESS { 1 } else { self.turns(width) };
        (ratio - 1.0).max(0.05) * f64::from(u32::try_from(n_turns).unwrap_or(u32::MAX))
    }

    /// How many turns a look takes.
    fn turns(&self, width: f64) -> usize {
        let fitting = (SHORTEST_LOOK / (2.0 * self.recent * width).max(1e-9)).min(100.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let fitting = fitting as usize;
        fitting.clamp(FEWEST_TURNS, MOST_TURNS)
    }

    fn observe(&mut self, width: f64, took: f64, counts: &[u32]) {
        let cost = took / width;
        let Some(look) = &mut self.look else {
            return self.settle(cost, width, took);
        };
        if look.is_candidates_turn() {
            look.tried.push(cost);
            self.savings -= (took - self.recent * width).max(0.0);
            return;
        }
        look.kept.push(cost);
        self.savings += SHARE * took;
        let n_turns = self.turns(width);
        if let Some(look) = self.look.take_if(|look| look.is_over(n_turns)) {
            self.judge(&look, counts);
        }
    }

    fn settle(&mut self, cost: f64, width: f64, took: f64) {
        /// How much of what was before stays.
        const RECENT: f64 = 0.75;
        const USUAL: f64 = 63.0 / 64.0;
        let mixed = |before: f64, share: f64| {
            if before > 0.0 {
                before.mul_add(share, cost * (1.0 - share))
            } else {
                cost
            }
        };
        self.recent = mixed(self.recent, RECENT);
        self.usual = if self.n_settled < SETTLING {
            self.recent
        } else {
            mixed(self.usual, USUAL)
        };
        self.n_settled = self.n_settled.saturating_add(1);
        self.savings = SHARE.mul_add(took, self.savings).min(MOST_SAVED * self.recent * width);
    }

    fn judge(&mut self, look: &Look, counts: &[u32]) {
        let is_up = look.candidate > self.current;
        let ratio = look.ratio();
        let is_better = ratio < if is_up { WORTH_MORE } else { WORTH_FEWER };
        self.n_settled = 0;
        self.ratios.resize(counts.len(), None);
        if !is_better {
            self.ratios[look.candidate] = Some(ratio);
            return;
        }
        self.ratios.fill(None);
        // The way back is never too dear to be looked at again soon.
        self.ratios[self.current] = Some((1.0 / ratio.max(1e-3)).min(HOPELESS));
        self.before = Some((self.current, trimmed_mean(&look.kept)));
        self.current = look.candidate;
        self.recent = trimmed_mean(&look.tried);
        self.usual = self.recent;
        // What helped once may help again, in the same direction.
        self.n_free = self.n_free.max(1);
        let around = around(self.current, counts);
        self.turn = around.iter().position(|index| (*index > self.current) == is_up).unwrap_or(0);
    }
}

/// The numbers to look at from one: the next lower, half of it, the next higher, twice of it. Another process on each core makes every number
/// slow but a much smaller one.
fn around(current: usize, counts: &[u32]) -> Vec<usize> {
    let count = counts[current];
    let nearest = |wanted: u32| counts.iter().rposition(|count| *count <= wanted).unwrap_or(0);
    let lower = [current.saturating_sub(1), nearest(count / 2)];
    let higher = [(current + 1).min(counts.len() - 1), nearest(count.saturating_mul(2))];
    let mut around = Vec::with_capacity(4);
    for index in lower.into_iter().chain(higher) {
        if index != current && !around.contains(&index) {
            around.push(index);
        }
    }
    around
}

impl Look {
    fn is_candidates_turn(&self) -> bool {
        self.tried.len() == self.kept.len()
    }

    fn is_over(&self, n_turns: usize) -> bool {
        self.kept.len() >= n_turns || (self.kept.len() == 1 && self.ratio() > HOPELESS)
    }

    /// How much longer the candidate takes.
    fn ratio(&self) -> f64 {
        trimmed_mean(&self.tried) / trimmed_mean(&self.kept).max(1e-12)
    }
}

/// The mean without the highest: one evaluation that was held up says nothing.
fn trimmed_mean(costs: &[f64]) -> f64 {
    let count = f64::from(u32::try_from(costs.len()).unwrap_or(u32::MAX));
    let sum: f64 = costs.iter().sum();
    if costs.len() < FEWEST_TURNS {
        return sum / count.max(1.0);
    }
    let highest = costs.iter().copied().fold(0.0, f64::max);
    (sum - highest) / (count - 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What takes how long: seconds of arithmetic that can be shared, seconds that cannot, for each thread more some waiting.
    #[derive(Clone, Copy)]
    struct Machine {
        shared: f64,
        alone: f64,
        waiting: f64,
        /// Cores that nobody else wants.
        free_cores: u32,
    }

    /// Built-in model, 2M: waking a thread takes longer than it helps.
    const SMALL: Machine = Machine {
        shared: 0.0003,
        alone: 0.0001,
        waiting: 0.0002,
        free_cores: 4,
    };
    /// 1.1B.
    const BIG: Machine = Machine {
        shared: 0.1,
        alone: 0.002,
        waiting: 0.0005,
        free_cores: 4,
    };

    impl Machine {
        /// How long `width` tokens take. A thread without a core of its own makes all wait for its turn; not always equally long.
        fn time(&self, width: usize, threads: u32, random: &mut u32) -> f64 {
            let share = self.shared * width_of(width) / f64::from(threads);
            let quiet = share + self.alone + self.waiting * f64::from(threads - 1);
            let crowd = if threads > self.free_cores {
                3.0 + 3.0 * noise(random)
            } else {
                1.0
            };
            // Now and then something else happens.
            let hiccup = if noise(random) > 0.99 { 5.0 } else { 1.0 };
            quiet * crowd * hiccup * (1.0 + 0.06 * noise(random))
        }
    }

    /// 0…1, the same each time.
    fn noise(random: &mut u32) -> f64 {
        *random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(*random >> 8) / f64::from(1_u32 << 24)
    }

    /// Lets `governor` run `count` evaluations; returns their time, and that of a fixed number of threads.
    fn run(governor: &mut Governor, machine: Machine, width: usize, count: u32, fixed: u32) -> (f64, f64) {
        let (mut governed, mut best) = (0.0, 0.0);
        let (mut random, mut random_of_best) = (7, 7);
        for _ in 0..count {
            let took = machine.time(width, governor.threads(width), &mut random);
            governor.observe(width, Duration::from_secs_f64(took));
            governed += took;
            best += machine.time(width, fixed, &mut random_of_best);
        }
        (governed, best)
    }

    fn threads_after(governor: &mut Governor, machine: Machine, width: usize, count: u32) -> u32 {
        run(governor, machine, width, count, 1);
        let pace = pace(&mut governor.single, &mut governor.few, &mut governor.prompt, width);
        governor.counts[pace.current]
    }

    #[test]
    fn the_numbers_that_are_tried() {
        let cases: [(u32, u32, &[u32]); 6] = [
            (1, 1, &[1]),
            (2, 2, &[1, 2]),
            (1, 4, &[1, 2, 3, 4]),
            (8, 8, &[1, 2, 3, 4, 6, 8]),
            (10, 10, &[1, 2, 3, 4, 6, 8, 10]),
            (5, 3, &[1, 2, 3, 4, 5]),
        ];
        for (start, most, expected) in cases {
            assert_eq!(counts(start, most), expected, "from {start}, at most {most}");
        }
    }

    #[test]
    fn a_fixed_number_stays() {
        let mut governor = Governor::new(3, None);
        for width in [1, 4, 512] {
            assert_eq!(threads_after(&mut governor, SMALL, width, 500), 3);
        }
        assert_eq!(governor.settled(), 3);
    }

    #[test]
    fn each_machine_gets_its_number() {
        let crowded = |machine, free_cores| Machine { free_cores, ..machine };
        let cases = [
            ("a small model, quiet", SMALL, 4, 1),
            ("a small model that begins with one thread", SMALL, 1, 1),
            ("a big model, quiet", BIG, 4, 4),
            ("a big model that begins with one thread", BIG, 1, 4),
            ("a big model beside one busy process", crowded(BIG, 3), 4, 3),
            ("a big model beside two", crowded(BIG, 2), 4, 2),
            ("a small model beside three", crowded(SMALL, 1), 4, 1),
        ];
        for (name, machine, start, expected) in cases {
            let mut governor = Governor::new(start, Some(4));
            let found = threads_after(&mut governor, machine, 1, 1000);
            assert_eq!(found, expected, "{name}");
            assert_eq!(governor.settled(), expected, "{name}");
        }
    }

    #[test]
    fn looking_costs_little() {
        for (name, machine, start, best) in [("small", SMALL, 1, 1), ("big", BIG, 4, 4)] {
            for width in [1, 3] {
                let mut governor = Governor::new(start, Some(4));
                let (governed, fixed) = run(&mut governor, machine, width, 5000, best);
                assert!(
                    governed < 1.02 * fixed,
                    "{name}, {width} at once: {governed:.2} s instead of {fixed:.2} s"
                );
            }
        }
    }

    #[test]
    fn a_number_that_is_far_too_slow_costs_little_too() {
        // A second thread makes everything fifty times slower.
        let terrible = Machine { waiting: 0.02, ..SMALL };
        let mut governor = Governor::new(1, Some(2));
        run(&mut governor, terrible, 1, 200, 1);
        let (governed, fixed) = run(&mut governor, terrible, 1, 50_000, 1);
        assert!(governed < 1.02 * fixed, "{governed:.2} s instead of {fixed:.2} s");
    }

    #[test]
    fn contention_begins_and_ends() {
        let two_cores = |free_cores| Machine { free_cores, ..BIG };
        let mut governor = Governor::new(2, Some(2));
        assert_eq!(threads_after(&mut governor, two_cores(2), 1, 300), 2);
        let (governed, fixed) = run(&mut governor, two_cores(1), 1, 300, 1);
        assert_eq!(governor.settled(), 1, "another process has taken a core");
        assert!(governed < 1.1 * fixed, "{governed:.2} s instead of {fixed:.2} s");
        assert_eq!(threads_after(&mut governor, two_cores(2), 1, 600), 2, "it has ended");
    }

    #[test]
    fn widths_are_looked_at_apart() {
        // One token is not worth a second thread, a prompt is.
        let machine = Machine { shared: 0.0002, ..SMALL };
        let mut governor = Governor::new(1, Some(4));
        assert_eq!(threads_after(&mut governor, machine, 1, 500), 1);
        assert_eq!(threads_after(&mut governor, machine, 512, 1000), 4);
        assert_eq!(threads_after(&mut governor, machine, 1, 500), 1);
    }

    /// The first look is at a time when nobody waits for the first word.
    #[test]
    fn a_prompts_first_evaluations_are_not_for_looking() {
        let mut governor = Governor::new(4, Some(4));
        for _ in 0..20 {
            assert_eq!(governor.threads(512), 4);
            governor.observe(512, Duration::from_secs(1));
        }
    }
}

//! How many threads evaluate: begins with what the machine has, and moves to what proves faster.
//!
//! Threads wait for each other after every operation, so one that has lost its core to another process holds up all: more threads are often
//! slower, and which number is best changes while a model answers. Pure: numbers of tokens and times in, numbers of threads out. Another number
//! is looked at by evaluations that are needed anyway, in turns with the present one. What that costs is counted, and held below
//! [`SHARE`] of all time, but for the first looks at more threads by a tiny model. Fewer threads are looked at soon, since too many can be ten
//! times slower, and prompts a few tokens at a time. Of a tiny model's tokens some milliseconds' worth count as one evaluation.

use std::time::Duration;

/// Of the time of all evaluations, what looking may cost.
const SHARE: f64 = 0.01;
/// Evaluations before a look, and between two.
const SETTLING: u32 = 8;
/// Before one that need not be saved up for.
const FIRST_SETTLING: u32 = 2;
/// Tokens of a prompt by which numbers of threads are looked at.
const NARROW: usize = 16;
/// A look takes at least so many turns of both numbers, and more of short ones.
const FEWEST_TURNS: usize = 4;
const MOST_TURNS: usize = 32;
const SHORTEST_LOOK: f64 = 0.02;
/// Evaluations that take less are taken together until they take so long, and then count as one: a thread that has lost its core for a moment
/// holds up one of a dozen short ones, for as long as all of them take.
const SHORTEST_TURN: f64 = 0.005;
/// So much slower at the first turn, the first two of short evaluations, and the look is over; so much faster, and it is soon over too.
const HOPELESS: f64 = 1.5;
/// More threads must take less than this of the time, fewer only no more than all of it: what they do not use is the application's.
const WORTH_MORE: f64 = 0.95;
const WORTH_FEWER: f64 = 1.0;
/// An evaluation that takes so many times as long as it should is given up, and done by fewer threads: two that share a core take their turns at
/// every operation, seconds for a token.
const LATE: f64 = 5.0;
/// The same where only fewer threads are known, which should take longer.
const LATER_THAN_FEWER: f64 = 2.0;
const SHORTEST_PATIENCE: f64 = 0.02;
/// When a token takes so much longer than usual, somebody else wants the cores. A few at once are not always as many.
const ALARM: f64 = 1.3;
const ALARM_OF_FEW: f64 = 2.0;
/// And when it does so more than once.
const ALARMING: u32 = 3;
/// Looks for that reason may run up this many evaluations' time of debt.
const DEEPEST_DEBT: f64 = 10.0;
/// What is saved up for looks ends at so many evaluations' time: long quiet is no reason for a costly one.
const MOST_SAVED: f64 = 16.0;
/// Looks at more threads that cost little, because evaluations are short: one may have met what happens now and then. Each so many times as long
/// after the one before.
const FREE_LOOKS_UP: u32 = 3;
const FURTHER_APART: u32 = 4;
/// Another number has proved faster when it still is after so many evaluations.
const PROVED: u32 = 32;

/// Numbers of threads for evaluations of different widths, each of which has a best number of its own.
#[derive(Debug)]
pub(super) struct Governor {
    /// Those that can be had, rising.
    counts: Vec<u32>,
    single: Pace,
    few: Pace,
    prompt: Pace,
    has_prompts: bool,
}

impl Governor {
    /// Begins with `start` threads and uses no more than `most`; `None`: always `start`.
    pub(super) fn new(start: u32, most: Option<u32>) -> Self {
        let counts = most.map_or_else(|| vec![start], |most| counts(start, most));
        let current = counts.iter().position(|count| *count == start).unwrap_or(0);
        let n_lower = around(current, &counts).iter().filter(|index| **index < current).count();
        let n_free = u32::try_from(n_lower).unwrap_or(0);
        Self {
            // Whatever comes first, nobody is to wait for threads that have no core.
            single: Pace::new(current, n_free, ALARM)
                .hinted(half(current, &counts))
                .in_turns_of(SHORTEST_TURN),
            few: Pace::new(current, n_free, ALARM_OF_FEW)
                .hinted(half(current, &counts))
                .in_turns_of(SHORTEST_TURN),
            // Of a prompt, as few narrow evaluations as can be.
            prompt: Pace::new(current, 0, f64::INFINITY).hinted(half(current, &counts)),
            has_prompts: true,
            counts,
        }
    }

    /// How many tokens the next evaluation may have, of at most `most`, when there are some of a prompt among them.
    pub(super) fn widest(&mut self, most: usize) -> usize {
        self.prompt.begin(width_of(NARROW), &self.counts);
        if self.prompt.look.is_some() { most.min(NARROW) } else { most }
    }

    /// Whether the evaluations that come next have tokens of a prompt.
    pub(super) fn set_prompts(&mut self, has_prompts: bool) {
        self.has_prompts = has_prompts;
    }

    /// The number of threads for the next evaluation, of `width` tokens.
    pub(super) fn threads(&mut self, width: usize) -> u32 {
        let counts = std::mem::take(&mut self.counts);
        let is_for_looking = !self.is_wide(width);
        let pace = self.pace(width);
        if is_for_looking && pace.turn_so_far.is_empty() {
            pace.begin(width_of(width), &counts);
        }
        let threads = counts[pace.next()];
        self.counts = counts;
        threads
    }

    /// Whether numbers of threads are being compared by evaluations of `width` tokens.
    pub(super) fn is_looking(&mut self, width: usize) -> bool {
        self.pace(width).look.is_some()
    }

    /// How long that evaluation may take before it is given up.
    pub(super) fn patience(&mut self, width: usize) -> Option<Duration> {
        let pace = self.pace(width);
        let (index, seconds) = (pace.next(), pace.patience(width_of(width)));
        // Where there are no fewer threads, nobody would do it sooner.
        let seconds = seconds.filter(|_| index > 0)?;
        Duration::try_from_secs_f64(seconds).ok()
    }

    /// The number for a few evaluations of `width` tokens that are none of this one's: what others have moved to since is nearer than what was right when
    /// there were such evaluations last.
    pub(super) fn settled_for_look(&mut self, width: usize) -> u32 {
        let pace = self.pace(width);
        let index = pace.elsewhere.unwrap_or(pace.current);
        self.counts[index]
    }

    /// Whether the next single token is compared with the one before it, by another number of threads: both should be of one answer.
    pub(super) fn compares_with_last(&self) -> bool {
        let look = self.single.look.as_ref();
        look.is_some_and(|look| !look.is_candidates_turn()) && !self.single.are_short(1.0)
    }

    /// How long an evaluation of `width` tokens may take that is none of this one's, with guesses for instance, by the number that single tokens are
    /// evaluated by.
    pub(super) fn patience_apart(&self, width: usize) -> Option<Duration> {
        let usual = Some(self.single.recent).filter(|recent| *recent > 0.0 && self.single.current > 0)?;
        Duration::try_from_secs_f64((LATE * usual * width_of(width)).max(SHORTEST_PATIENCE)).ok()
    }

    /// Takes notice of how long that evaluation took.
    pub(super) fn observe(&mut self, width: usize, took: Duration) {
        self.learn(width, |pace, counts| pace.observe(width_of(width), took.as_secs_f64(), counts));
    }

    /// Takes notice that it was given up.
    pub(super) fn give_up(&mut self, width: usize, took: Duration) {
        self.learn(width, |pace, counts| pace.give_up(width_of(width), took.as_secs_f64(), counts));
    }

    /// Takes notice that an evaluation of which `patience_apart` was asked was given up.
    pub(super) fn be_patient_apart(&mut self, width: usize, took: Duration) {
        let width = width_of(width);
        self.single.be_more_patient(took.as_secs_f64() / width, width);
    }

    fn learn(&mut self, width: usize, lesson: impl FnOnce(&mut Pace, &[u32])) {
        let counts = std::mem::take(&mut self.counts);
        let pace = self.pace(width);
        let before = pace.current;
        lesson(pace, &counts);
        let now = pace.current;
        self.counts = counts;
        if now != before {
            // What is faster for some is worth a look by the others.
            for pace in [&mut self.single, &mut self.few, &mut self.prompt] {
                pace.hint = Some(now).filter(|now| *now != pace.current);
                pace.elsewhere = pace.hint;
            }
        }
    }

    /// Of a prompt only narrow evaluations are for looking.
    fn is_wide(&self, width: usize) -> bool {
        self.has_prompts && width >= NARROW
    }

    /// One token is bound by memory, a prompt by arithmetic, and tokens of several answers by either.
    fn pace(&mut self, width: usize) -> &mut Pace {
        match width {
            0 | 1 => &mut self.single,
            _ if self.is_wide(width) => &mut self.prompt,
            _ => &mut self.few,
        }
    }

    /// The number that evaluations of `width` tokens have settled on.
    pub(super) fn settled_for(&mut self, width: usize) -> u32 {
        let index = self.pace(width).current;
        self.counts[index]
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
    /// Of how many tokens those evaluations were.
    recent_width: f64,
    n_settled: u32,
    /// How many evaluations more than not took longer than usual.
    n_slow: u32,
    /// Seconds that looking may still cost; below 0 it has cost too much.
    savings: f64,
    /// Looks at fewer threads that need no savings.
    n_free: u32,
    /// How much longer than usual is alarming.
    alarm: f64,
    /// Proved faster for evaluations of another kind.
    hint: Option<usize>,
    /// The same, until this kind has looked for itself.
    elsewhere: Option<usize>,
    /// Which of the numbers around this one to look at next.
    turn: usize,
    /// How much longer each number took when it was last looked at from this one.
    ratios: Vec<Option<f64>>,
    look: Option<Look>,
    /// The number that was left for this one, and what it took.
    before: Option<(usize, f64)>,
    /// Evaluations by this number since then.
    since: Turn,
    /// Looks at more threads that need no savings, where evaluations are short, and what must be evaluated before the next.
    n_free_up: u32,
    up_after: u32,
    /// Evaluations are taken together until they take so long.
    shortest_turn: f64,
    turn_so_far: Turn,
}

/// Some evaluations by one number of threads.
#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    count: f64,
    width: f64,
    seconds: f64,
}

impl Turn {
    fn add(&mut self, width: f64, seconds: f64) {
        self.count += 1.0;
        self.width += width;
        self.seconds += seconds;
    }

    fn is_empty(&self) -> bool {
        self.count == 0.0
    }

    /// Seconds a token took.
    fn cost(&self) -> f64 {
        self.seconds / self.width.max(1.0)
    }
}

/// Two numbers of threads in turns.
#[derive(Debug, Default)]
struct Look {
    candidate: usize,
    tried: Vec<f64>,
    kept: Vec<f64>,
    /// Of the candidate's last turn.
    width: f64,
    /// Turns of different widths, which cannot be compared.
    n_unlike: u32,
    /// After so many hopeless turns it is over.
    n_hopeless: usize,
}

impl Pace {
    fn new(current: usize, n_free: u32, alarm: f64) -> Self {
        Self {
            current,
            recent: 0.0,
            usual: 0.0,
            recent_width: 0.0,
            n_settled: 0,
            n_slow: 0,
            savings: 0.0,
            n_free,
            alarm,
            hint: None,
            elsewhere: None,
            turn: 0,
            ratios: Vec::new(),
            look: None,
            before: None,
            since: Turn::default(),
            n_free_up: FREE_LOOKS_UP,
            up_after: SETTLING,
            shortest_turn: 0.0,
            turn_so_far: Turn::default(),
        }
    }

    fn in_turns_of(self, shortest_turn: f64) -> Self {
        Self { shortest_turn, ..self }
    }

    /// What a turn takes, by the present number.
    fn turn_seconds(&self, width: f64) -> f64 {
        (self.recent * width).max(self.shortest_turn)
    }

    /// Several evaluations make a turn.
    fn are_short(&self, width: f64) -> bool {
        self.recent * width * 2.0 < self.shortest_turn
    }

    fn hinted(self, hint: usize) -> Self {
        Self {
            hint: Some(hint).filter(|hint| *hint != self.current),
            ..self
        }
    }

    fn patience(&self, width: f64) -> Option<f64> {
        let fewer = self
            .look
            .as_ref()
            .filter(|look| !look.is_candidates_turn() && look.candidate < self.current);
        // Fewer tokens may take as long as more of them did.
        let at_least = |measured: f64| width.max(measured.min(width_of(NARROW)));
        let seconds = match fewer.and_then(|look| Some((look.tried.last()?, look.width))) {
            Some((tried, measured)) => LATER_THAN_FEWER * tried * at_least(measured),
            None if self.recent > 0.0 => LATE * self.recent * at_least(self.recent_width),
            None => return None,
        };
        Some(seconds.max(SHORTEST_PATIENCE))
    }

    fn give_up(&mut self, width: f64, took: f64, counts: &[u32]) {
        self.ratios.resize(counts.len(), None);
        self.n_settled = 0;
        self.turn_so_far = Turn::default();
        match self.look.take() {
            Some(look) if look.is_candidates_turn() => {
                self.savings -= took;
                self.ratios[look.candidate] = Some(took / (self.recent * width).max(1e-9));
                if look.candidate < self.current {
                    self.be_more_patient(took / width, width);
                }
            }
            Some(look) if look.candidate < self.current && are_alike(look.width, width) => {
                let tried = trimmed_mean(&look.tried);
                self.leave_for(look.candidate, tried, width);
            }
            // Once may be chance: fewer are looked at, and this number once more.
            _ => {
                self.be_more_patient(took / width, width);
                self.hint = Some(half(self.current, counts));
            }
        }
    }

    /// Nothing says that fewer threads would have been faster: perhaps everything takes longer now, as in a longer text or on a throttled machine.
    /// An evaluation that is given up again and again would never be done.
    fn be_more_patient(&mut self, cost: f64, width: f64) {
        if cost > self.recent {
            (self.recent, self.recent_width) = (cost, width);
        }
    }

    /// Goes on with another number, because this one cannot be waited for.
    fn leave_for(&mut self, other: usize, cost: f64, width: f64) {
        self.ratios.fill(None);
        // If it was chance, that shows soon.
        self.before = Some((self.current, self.recent)).filter(|(_, cost)| *cost > 0.0);
        self.since = Turn::default();
        (self.current, self.recent, self.usual, self.recent_width) = (other, cost, cost, width);
        (self.n_slow, self.turn) = (0, 0);
    }

    fn next(&self) -> usize {
        match &self.look {
            Some(look) if look.is_candidates_turn() => look.candidate,
            _ => self.current,
        }
    }

    /// Begins to look at another number, if it is time to.
    fn begin(&mut self, width: f64, counts: &[u32]) {
        if self.look.is_some() {
            return;
        }
        let candidate = self.hint.take().or_else(|| self.choose(width, counts));
        self.look = candidate.filter(|candidate| *candidate != self.current).map(|candidate| Look {
            candidate,
            // What happens now and then takes as long as a turn of short ones.
            n_hopeless: if self.are_short(width) { 2 } else { 1 },
            ..Look::default()
        });
    }

    /// The number to look at now, if any.
    fn choose(&mut self, width: f64, counts: &[u32]) -> Option<usize> {
        if self.n_settled < FIRST_SETTLING {
            return None;
        }
        if let Some((before, cost)) = self.before {
            if self.n_settled < SETTLING / 2 {
                return None;
            }
            let is_slower = self.recent.max(self.since.cost()) > cost;
            if is_slower || self.n_settled >= PROVED {
                self.before = None;
            }
            if is_slower {
                return Some(before);
            }
        }
        let evaluation = self.turn_seconds(width);
        let around = around(self.current, counts);
        let lower = around.iter().filter(|index| **index < self.current).count();
        if self.n_slow >= ALARMING && self.savings > -DEEPEST_DEBT * evaluation {
            (self.usual, self.n_slow) = (self.recent, 0);
            // The lower ones come first.
            (self.turn, self.n_free) = (0, u32::try_from(lower).unwrap_or(0));
        }
        let candidate = *around.get(self.turn % around.len().max(1))?;
        let is_free = self.n_free > 0 && candidate < self.current;
        if !is_free && self.n_settled < SETTLING {
            return None;
        }
        let is_free_up = self.are_short(width) && candidate > self.current && self.n_free_up > 0 && self.n_settled >= self.up_after;
        if !is_free && !is_free_up && self.savings < self.expected_cost(candidate, width, counts) * evaluation {
            return None;
        }
        if is_free_up {
            (self.n_free_up, self.up_after) = (self.n_free_up - 1, self.up_after * FURTHER_APART);
        }
        self.n_free -= u32::from(is_free);
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
        // Where nothing is known yet the first turns say enough.
        let evaluation = if self.recent > 0.0 {
            self.turn_seconds(width)
        } else {
            SHORTEST_LOOK
        };
        let fitting = (SHORTEST_LOOK / (2.0 * evaluation).max(1e-9)).min(100.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 100")]
        let fitting = fitting as usize;
        fitting.clamp(FEWEST_TURNS, MOST_TURNS)
    }

    fn observe(&mut self, width: f64, took: f64, counts: &[u32]) {
        self.turn_so_far.add(width, took);
        let turn = self.turn_so_far;
        if turn.seconds < self.shortest_turn {
            return;
        }
        self.turn_so_far = Turn::default();
        let width = turn.width / turn.count;
        let Some(look) = &mut self.look else {
            return self.settle(&turn);
        };
        if look.is_candidates_turn() {
            look.tried.push(turn.cost());
            look.width = width;
            let usual = if self.recent > 0.0 {
                self.recent * turn.width
            } else {
                turn.seconds
            };
            self.savings -= (turn.seconds - usual).max(0.0);
            return;
        }
        look.take_kept(turn.cost(), width);
        self.savings += SHARE * turn.seconds;
        let n_turns = self.turns(width);
        if let Some(look) = self.look.take_if(|look| look.is_over(n_turns)) {
            self.judge(&look, counts);
        }
    }

    fn settle(&mut self, turn: &Turn) {
        /// How much of what was before stays.
        const RECENT: f64 = 0.75;
        const USUAL: f64 = 63.0 / 64.0;
        let cost = turn.cost();
        self.recent_width = turn.width / turn.count;
        self.since.add(turn.width, turn.seconds);
        let mixed = |before: f64, share: f64| {
            if before > 0.0 {
                before.mul_add(share, cost * (1.0 - share))
            } else {
                cost
            }
        };
        self.n_slow = if cost > self.alarm * self.usual && self.usual > 0.0 {
            self.n_slow + 1
        } else {
            self.n_slow.saturating_sub(1)
        };
        self.recent = mixed(self.recent, RECENT);
        self.usual = if self.n_settled < SETTLING && self.since.count <= f64::from(SETTLING) {
            self.recent
        } else {
            mixed(self.usual, USUAL)
        };
        self.n_settled = self.n_settled.saturating_add(1);
        self.savings = SHARE.mul_add(turn.seconds, self.savings).min(MOST_SAVED * self.recent * turn.width);
    }

    fn judge(&mut self, look: &Look, counts: &[u32]) {
        let is_up = look.candidate > self.current;
        let (tried, kept) = (trimmed_mean(&look.tried), trimmed_mean(&look.kept));
        let ratio = look.ratio();
        // What held up the present number just now is no reason to take more.
        let usual = if self.usual > 0.0 { kept.min(self.usual) } else { kept };
        let is_better = if is_up { tried < WORTH_MORE * usual } else { ratio < WORTH_FEWER };
        self.n_settled = 0;
        self.elsewhere = None;
        self.ratios.resize(counts.len(), None);
        // Of turns that could hardly be compared, one is no proof.
        if look.kept.is_empty() || (is_better && look.kept.len() < 2) {
            return;
        }
        if !is_better {
            self.ratios[look.candidate] = Some(ratio);
            return;
        }
        self.ratios.fill(None);
        // The way back is never too dear to be looked at again soon.
        self.ratios[self.current] = Some((1.0 / ratio.max(1e-3)).min(HOPELESS));
        self.before = Some((self.current, usual));
        self.since = Turn::default();
        if !is_up {
            (self.n_free_up, self.up_after) = (FREE_LOOKS_UP, SETTLING);
        }
        self.current = look.candidate;
        (self.recent, self.usual, self.recent_width) = (tried, tried, look.width);
        // What helped once may help again, in the same direction.
        self.n_free = u32::from(!is_up);
        let around = around(self.current, counts);
        self.turn = around.iter().position(|index| (*index > self.current) == is_up).unwrap_or(0);
    }
}

/// The number nearest to half of another.
fn half(current: usize, counts: &[u32]) -> usize {
    counts.iter().rposition(|count| *count <= counts[current] / 2).unwrap_or(0)
}

/// The numbers to look at from one: the next lower, half of it, the next higher, twice of it. Another process on each core makes every number
/// slow but a much smaller one.
fn around(current: usize, counts: &[u32]) -> Vec<usize> {
    let count = counts[current];
    let twice = counts
        .iter()
        .rposition(|other| *other <= count.saturating_mul(2))
        .unwrap_or(current);
    let lower = [current.saturating_sub(1), half(current, counts)];
    let higher = [(current + 1).min(counts.len() - 1), twice];
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

    /// Takes a turn of the present number, if it can be compared with the candidate's.
    fn take_kept(&mut self, cost: f64, width: f64) {
        if !are_alike(width, self.width) {
            self.n_unlike += 1;
            self.tried.pop();
            return;
        }
        self.kept.push(cost);
    }

    fn is_over(&self, n_turns: usize) -> bool {
        const MOST_UNLIKE: u32 = 8;
        let n_kept = self.kept.len();
        // One turn that was held up is no proof.
        let turns = || self.tried.iter().zip(&self.kept);
        let is_clearly_better = || turns().all(|(tried, kept)| tried * HOPELESS < *kept);
        let is_clearly_worse = || turns().all(|(tried, kept)| *tried > kept * HOPELESS);
        let is_clear = (n_kept == self.n_hopeless && is_clearly_worse()) || (n_kept == 2 && is_clearly_better());
        n_kept >= n_turns || is_clear || self.n_unlike >= MOST_UNLIKE
    }

    /// How much longer the candidate takes.
    fn ratio(&self) -> f64 {
        trimmed_mean(&self.tried) / trimmed_mean(&self.kept).max(1e-12)
    }
}

/// Whether evaluations of so many tokens can be compared.
fn are_alike(width: f64, other: f64) -> bool {
    const ALIKE: f64 = 1.25;
    width <= other * ALIKE && other <= width * ALIKE
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
mod tests;

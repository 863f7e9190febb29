//! Whether answers under way are evaluated in one batch or take turns, one token an evaluation. Pure.
//!
//! Where evaluating is bound by memory, several tokens at once take hardly longer than one. On processors a product with one column has a way of
//! its own, and the second token of an evaluation may cost as much as two more evaluations: then all answers come faster in turns. What both
//! take is measured on evaluations that are needed anyway: one of all answers, and a round in which each has its turn, since some are longer than others.

use std::collections::BTreeMap;

/// Evaluations before a look at the other way, as long as looks change anything.
const FIRST_LOOK: u32 = 16;
/// When one did not, the next comes so many times as long after it.
const FURTHER_APART: u32 = 8;
const MOST_BETWEEN: u32 = 1024;
/// The evaluations of a look. The first one of another width says nothing: llama.cpp builds its graph anew.
const LOOK: usize = 2;
/// Turns take less than this of the time of a batch where they are worth it.
const WORTH: f64 = 0.95;
/// What was measured so many evaluations ago still counts.
const LATELY: u64 = 64;

/// What is known about both ways.
#[derive(Debug)]
pub(super) struct Batching {
    may_take_turns: bool,
    /// What one token alone takes, of the shortest answers: a round is never cheaper than as many of these.
    one: Option<Cost>,
    /// By how many answers wait for their next token.
    choices: BTreeMap<usize, Choice>,
    /// For the evaluation under way; 0: it has nothing to do with this.
    n_waiting: usize,
    last_width: usize,
    n_evaluations: u64,
}

#[derive(Debug)]
struct Cost {
    seconds: f64,
    /// The evaluation that it was measured by last.
    at: u64,
}

#[derive(Debug)]
struct Choice {
    takes_turns: bool,
    /// What an evaluation of all takes, and a round of turns.
    batch: Option<Cost>,
    round: Option<Cost>,
    /// Turns that follow each other, and what they took: of a round that is not complete.
    turns: (usize, f64),
    /// Evaluations until the next look, and from that to the one after it.
    n_left: u32,
    next: u32,
    /// Evaluations of the look under way that are still to come.
    n_looks: usize,
}

impl Batching {
    /// `may_take_turns`: on a GPU they never pay.
    pub(super) fn new(may_take_turns: bool) -> Self {
        Self {
            may_take_turns,
            one: None,
            choices: BTreeMap::new(),
            n_waiting: 0,
            last_width: 0,
            n_evaluations: 0,
        }
    }

    /// Whether the next evaluation has a token of each of `n_waiting` answers; otherwise it has one of one of them.
    pub(super) fn is_together(&mut self, n_waiting: usize) -> bool {
        self.n_waiting = 0;
        if n_waiting < 2 || !self.may_take_turns {
            return true;
        }
        self.n_waiting = n_waiting;
        let choice = self.choices.entry(n_waiting).or_insert_with(Choice::new);
        if choice.n_looks == 0 && choice.n_left == 0 {
            let one = self.one.as_ref().filter(|one| self.n_evaluations - one.at <= LATELY);
            choice.begin_look(one, n_waiting, self.n_evaluations);
        }
        choice.takes_turns == (choice.n_looks > 0)
    }

    /// The next evaluation has a prompt in it.
    pub(super) fn pass_over(&mut self) {
        self.n_waiting = 0;
    }

    /// Whether the evaluation under way is for looking at the other way.
    pub(super) fn is_looking(&self) -> bool {
        self.choices.get(&self.n_waiting).is_some_and(|choice| choice.n_looks > 0)
    }

    /// Takes notice of an evaluation of `width` tokens. `None` for its time: it says nothing about others.
    pub(super) fn observe(&mut self, width: usize, seconds: Option<f64>) {
        let is_first = std::mem::replace(&mut self.last_width, width) != width;
        let n_waiting = std::mem::take(&mut self.n_waiting);
        self.n_evaluations += 1;
        let (at, says_something) = (self.n_evaluations, seconds.is_some());
        let seconds = seconds.filter(|_| !is_first && self.may_take_turns);
        if let Some(seconds) = seconds.filter(|_| width == 1) {
            note(&mut self.one, seconds, at);
        }
        let Some(choice) = self.choices.get_mut(&n_waiting) else { return };
        choice.note(width, n_waiting, seconds, at);
        if choice.n_looks == 0 {
            choice.n_left = choice.n_left.saturating_sub(u32::from(says_something));
            return;
        }
        choice.n_looks -= 1;
        if choice.n_looks == 0 {
            choice.go_on(self.one.as_ref(), n_waiting);
        }
    }

    /// Takes notice that the evaluation under way was not wanted any more: a look is made once more, soon.
    pub(super) fn put_off(&mut self) {
        if let Some(choice) = self.choices.get_mut(&std::mem::take(&mut self.n_waiting)) {
            choice.turns = (0, 0.0);
            if std::mem::take(&mut choice.n_looks) > 0 {
                choice.n_left = FIRST_LOOK;
            }
        }
    }

    /// Takes notice that the evaluation under way could not be done.
    pub(super) fn give_up(&mut self) {
        if let Some(choice) = self.choices.get_mut(&std::mem::take(&mut self.n_waiting)) {
            choice.turns = (0, 0.0);
            if std::mem::take(&mut choice.n_looks) > 0 {
                choice.settle(choice.takes_turns);
            }
        }
    }
}

fn note(cost: &mut Option<Cost>, seconds: f64, at: u64) {
    let Some(known) = cost.as_mut().filter(|known| at - known.at <= LATELY) else {
        *cost = Some(Cost { seconds, at });
        return;
    };
    // What else happens on a machine only makes evaluations longer, so a short one says more.
    let newest = if seconds < known.seconds { 0.5 } else { 0.05 };
    known.seconds += newest * (seconds - known.seconds);
    known.at = at;
}

fn times(number: usize, cost: &Cost) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX)) * cost.seconds
}

impl Choice {
    fn new() -> Self {
        Self {
            takes_turns: false,
            batch: None,
            round: None,
            turns: (0, 0.0),
            n_left: FIRST_LOOK,
            next: FIRST_LOOK,
            n_looks: 0,
        }
    }

    fn note(&mut self, width: usize, n_waiting: usize, seconds: Option<f64>, at: u64) {
        let Some(seconds) = seconds else {
            self.turns = (0, 0.0);
            return;
        };
        if width == n_waiting {
            note(&mut self.batch, seconds, at);
        }
        if width != 1 {
            self.turns = (0, 0.0);
            return;
        }
        self.turns = (self.turns.0 + 1, self.turns.1 + seconds);
        if self.turns.0 == n_waiting {
            note(&mut self.round, self.turns.1, at);
            self.turns = (0, 0.0);
        }
    }

    /// `one`: what one token alone took lately.
    fn begin_look(&mut self, one: Option<&Cost>, n_waiting: usize, now: u64) {
        // What was known may have been held up by others, or be about other answers.
        if self.takes_turns {
            self.batch = None;
        } else {
            self.round = None;
            self.batch.take_if(|batch| now - batch.at > LATELY);
            if one.is_some_and(|one| self.cannot_pay(one, n_waiting)) {
                return self.settle(false);
            }
        }
        self.n_looks = LOOK;
    }

    /// Turns cannot be worth it, whatever a round takes.
    fn cannot_pay(&self, one: &Cost, n_waiting: usize) -> bool {
        self.batch
            .as_ref()
            .is_some_and(|batch| times(n_waiting, one) >= WORTH * batch.seconds)
    }

    /// At the end of a look's evaluations: chooses, or looks at a whole round of turns.
    fn go_on(&mut self, one: Option<&Cost>, n_waiting: usize) {
        let (Some(batch), Some(round)) = (&self.batch, &self.round) else {
            let pays_perhaps = one.is_some_and(|one| self.batch.is_some() && !self.cannot_pay(one, n_waiting));
            if !self.takes_turns && self.turns.0 > 0 && pays_perhaps {
                self.n_looks = n_waiting - self.turns.0;
            } else if !self.takes_turns && self.turns.0 > 0 && self.batch.is_some() {
                self.settle(false);
            } else {
                // Nothing could be measured.
                self.n_left = FIRST_LOOK;
            }
            return;
        };
        let worth = if self.takes_turns { 1.0 } else { WORTH };
        let is_worth_it = round.seconds < worth * batch.seconds;
        self.settle(is_worth_it);
    }

    fn settle(&mut self, takes_turns: bool) {
        self.next = if takes_turns == self.takes_turns {
            (self.next * FURTHER_APART).min(MOST_BETWEEN)
        } else {
            FIRST_LOOK
        };
        self.takes_turns = takes_turns;
        self.n_left = self.next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What evaluations take, by the number of their tokens.
    type Machine = fn(usize) -> f64;

    fn count(number: usize) -> f64 {
        f64::from(u32::try_from(number).unwrap())
    }

    /// As measured on a processor of two cores.
    fn processor(width: usize) -> f64 {
        if width == 1 { 1.0 } else { count(width - 2).mul_add(0.32, 2.75) }
    }

    fn memory_bound(width: usize) -> f64 {
        count(width - 1).mul_add(0.05, 1.0)
    }

    fn arithmetic_bound(width: usize) -> f64 {
        count(width)
    }

    struct Random(u32);

    impl Random {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(self.0 >> 8) / f64::from(1_u32 << 24)
        }
    }

    /// Evaluates `n_tokens` of each answer; returns what that took, and what it takes all at once and in turns.
    fn answers(batching: &mut Batching, machine: Machine, n_answers: usize, n_tokens: usize) -> (f64, f64, f64) {
        let mut random = Random(7);
        let mut seconds = 0.0;
        let mut written = 0;
        let mut last_width = 0;
        while written < n_answers * n_tokens {
            let width = if batching.is_together(n_answers) { n_answers } else { 1 };
            let change = if width == last_width { 0.0 } else { 0.2 };
            let held_up = if random.next() < 0.01 { 5.0 } else { 0.0 };
            seconds += machine(width) + change;
            batching.observe(
                width,
                Some((machine(width) + change) * 0.1f64.mul_add(random.next(), 1.0) + held_up),
            );
            last_width = width;
            written += width;
        }
        let all = count(n_tokens) * machine(n_answers);
        (seconds, all, count(n_tokens * n_answers) * machine(1))
    }

    #[test]
    fn both_ways_cost_next_to_nothing_more_than_the_better_one() {
        for (name, machine) in [
            ("processor", processor as Machine),
            ("memory", memory_bound),
            ("arithmetic", arithmetic_bound),
        ] {
            for n_answers in [2, 3, 4, 8, 16] {
                let (took, together, in_turns) = answers(&mut Batching::new(true), machine, n_answers, 300);
                let best = together.min(in_turns);
                assert!(took < 1.04 * best, "{name}, {n_answers} answers: {took} for {best}");
            }
        }
    }

    #[test]
    fn what_changes_is_noticed() {
        let mut batching = Batching::new(true);
        answers(&mut batching, processor, 2, 300);
        assert!(!batching.is_together(2));
        let (took, together, _) = answers(&mut batching, memory_bound, 2, 4000);
        assert!(batching.is_together(2) && took < 1.15 * together, "{took} for {together}");
        answers(&mut batching, processor, 2, 2000);
        assert!(!batching.is_together(2));
    }

    #[test]
    fn turns_that_others_led_to_are_over_soon() {
        let mut batching = Batching::new(true);
        answers(&mut batching, memory_bound, 1, 20);
        let mut n_held_up = 0;
        while batching.is_together(8) {
            batching.observe(8, Some(20.0));
            n_held_up += 1;
        }
        assert!(n_held_up < 2 * FIRST_LOOK, "{n_held_up}");
        let (took, together, _) = answers(&mut batching, memory_bound, 8, 20);
        assert!(batching.is_together(8) && took < 2.0 * together, "{took} for {together}");
    }

    #[test]
    fn what_was_seen_of_one_answer_alone_need_not_be_looked_at() {
        let mut batching = Batching::new(true);
        for _ in 0..40 {
            assert!(batching.is_together(1));
            batching.observe(1, Some(1.0));
        }
        for _ in 0..2 * FIRST_LOOK {
            assert!(batching.is_together(3));
            batching.observe(3, Some(1.5));
        }
    }

    /// The cheapest of them alone was taken for all.
    #[test]
    fn long_answers_among_short_ones_count_in_full() {
        for (costs, batch, takes_turns) in [([1.1, 4.0], 4.15, false), ([1.1, 4.0], 6.0, true), ([1.0, 1.0], 1.9, false)] {
            let (mut batching, mut turn, mut n_turns) = (Batching::new(true), 0, 0);
            for _ in 0..1000 {
                let seconds = if batching.is_together(2) {
                    (2, batch)
                } else {
                    turn += 1;
                    n_turns += 1;
                    (1, costs[turn % 2])
                };
                batching.observe(seconds.0, Some(seconds.1));
            }
            assert_eq!(!batching.is_together(2), takes_turns, "{costs:?} or {batch}");
            assert!(takes_turns || n_turns < 20, "{costs:?} or {batch}: {n_turns} turns");
        }
    }

    #[test]
    fn a_look_that_measures_nothing_is_made_again_soon() {
        let mut batching = Batching::new(true);
        for _ in 0..FIRST_LOOK {
            assert!(batching.is_together(2));
            batching.observe(2, Some(3.0));
        }
        for _ in 0..LOOK {
            assert!(!batching.is_together(2) && batching.is_looking());
            batching.observe(1, None);
        }
        let mut n_before = 0;
        while batching.is_together(2) {
            batching.observe(2, Some(3.0));
            n_before += 1;
        }
        assert_eq!(n_before, FIRST_LOOK);
        batching.give_up();
        for _ in 0..3 * FIRST_LOOK {
            assert!(batching.is_together(2), "what cannot be done is not tried again at once");
            batching.observe(2, Some(3.0));
        }
    }

    #[test]
    fn a_look_that_was_aborted_is_made_again_soon() {
        let mut batching = Batching::new(true);
        for _ in 0..3 {
            for _ in 0..FIRST_LOOK {
                assert!(batching.is_together(2));
                batching.observe(2, Some(3.0));
            }
            assert!(!batching.is_together(2));
            batching.put_off();
        }
    }

    #[test]
    fn on_a_gpu_nobody_takes_turns() {
        let mut batching = Batching::new(false);
        for _ in 0..2000 {
            assert!(batching.is_together(2));
            batching.observe(2, Some(3.0));
        }
    }

    #[test]
    fn evaluations_that_say_nothing_change_nothing() {
        let mut batching = Batching::new(true);
        for _ in 0..2000 {
            assert!(batching.is_together(2));
            batching.observe(2, None);
        }
        let choice = &batching.choices[&2];
        assert!(batching.one.is_none() && choice.batch.is_none() && choice.n_left == FIRST_LOOK);
    }
}

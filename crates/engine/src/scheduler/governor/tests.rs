//! Machines on which the governor finds its numbers, as they were measured.

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

/// Lets `governor` run `count` evaluations of `width` tokens, or as many of fewer; returns their time, and that of a fixed number of threads.
fn run(governor: &mut Governor, machine: Machine, width: usize, count: u32, fixed: u32) -> (f64, f64) {
    let (mut governed, mut best) = (0.0, 0.0);
    let (mut random, mut random_of_best) = (7, 7);
    for _ in 0..count {
        let mut left = width;
        while left > 0 {
            let part = if left >= NARROW { governor.widest(left) } else { left };
            let took = machine.time(part, governor.threads(part), &mut random);
            if let Some(patience) = governor.patience(part).filter(|patience| patience.as_secs_f64() < took) {
                governor.give_up(part, patience);
                governed += patience.as_secs_f64();
                continue;
            }
            governor.observe(part, Duration::from_secs_f64(took));
            governed += took;
            left -= part;
        }
        best += machine.time(width, fixed, &mut random_of_best);
    }
    (governed, best)
}

fn threads_after(governor: &mut Governor, machine: Machine, width: usize, count: u32) -> u32 {
    run(governor, machine, width, count, 1);
    let index = governor.pace(width).current;
    governor.counts[index]
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
    assert_eq!(governor.settled_for(1), 3);
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
        assert_eq!(governor.settled_for(1), expected, "{name}");
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
    assert_eq!(governor.settled_for(1), 1, "another process has taken a core");
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

/// Two threads on one free core once took a prompt ten times as long.
#[test]
fn the_first_prompt_finds_out_by_a_few_tokens() {
    let crowded = Machine { free_cores: 1, ..BIG };
    let mut governor = Governor::new(2, Some(2));
    let (governed, fixed) = run(&mut governor, crowded, 512, 1, 1);
    assert!(governed < 1.25 * fixed, "{governed:.2} s instead of {fixed:.2} s");
    assert_eq!(threads_after(&mut governor, crowded, 1, 20), 1, "which is a hint for the answer");
    let mut governor = Governor::new(2, Some(2));
    let quiet = Machine { free_cores: 2, ..BIG };
    let (governed, fixed) = run(&mut governor, quiet, 512, 1, 2);
    assert!(governed < 1.06 * fixed, "{governed:.2} s instead of {fixed:.2} s");
}

/// Two threads on one core take seconds for a token, whatever it takes otherwise.
#[test]
fn nobody_waits_for_threads_that_share_a_core() {
    let terrible = Machine { waiting: 3.0, ..BIG };
    let mut governor = Governor::new(2, Some(2));
    let (governed, fixed) = run(&mut governor, terrible, 36, 1, 1);
    assert!(governed < 2.0 * fixed, "a prompt: {governed:.2} s instead of {fixed:.2} s");
    let (governed, fixed) = run(&mut governor, terrible, 1, 100, 1);
    assert!(governed < 1.1 * fixed, "from the start: {governed:.2} s instead of {fixed:.2} s");
    let mut governor = Governor::new(2, Some(2));
    assert_eq!(threads_after(&mut governor, BIG, 1, 100), 2);
    let (governed, fixed) = run(&mut governor, terrible, 1, 100, 1);
    assert!(governed < 1.1 * fixed, "in the middle: {governed:.2} s instead of {fixed:.2} s");
}

/// Bound by memory, two tokens take as long as eight: when answers had ended, a healthy evaluation of the others was given up.
#[test]
fn fewer_tokens_may_take_as_long_as_more_did() {
    for n_before in 1..60 {
        let mut governor = Governor::new(4, Some(4));
        for step in 0..n_before + 20 {
            let width = if step < n_before { 8 } else { 2 };
            let took = Duration::from_secs_f64(0.4 / f64::from(governor.threads(width)));
            let patience = governor.patience(width);
            assert!(
                patience.is_none_or(|patience| patience > took),
                "{n_before}: {patience:?} for {took:?}"
            );
            governor.observe(width, took);
        }
    }
}

#[test]
fn what_cannot_be_waited_for_is_done_by_fewer_threads() {
    let mut governor = Governor::new(2, Some(4));
    let (mut random, mut n_given_up) = (5, 0);
    for _ in 0..3000 {
        let took = SMALL.time(1, governor.threads(1), &mut random);
        let pace = &governor.single;
        let looks_higher = pace
            .look
            .as_ref()
            .is_some_and(|look| look.candidate > pace.current && !look.is_candidates_turn());
        if looks_higher {
            let before = governor.settled_for(1);
            governor.give_up(1, Duration::from_secs_f64(10.0 * took));
            assert!(governor.settled_for(1) <= before);
            n_given_up += 1;
        } else {
            governor.observe(1, Duration::from_secs_f64(took));
        }
    }
    assert!(n_given_up > 0);
}

/// Sixteen answers and more were taken for a prompt, by whose wide evaluations nothing is looked at.
#[test]
fn numbers_are_looked_at_by_any_number_of_answers() {
    let crowded = Machine { free_cores: 1, ..BIG };
    let (mut governor, mut random) = (Governor::new(2, Some(2)), 3);
    governor.set_prompts(false);
    for _ in 0..40 {
        let took = crowded.time(20, governor.threads(20), &mut random);
        match governor.patience(20).filter(|patience| patience.as_secs_f64() < took) {
            Some(patience) => governor.give_up(20, patience),
            None => governor.observe(20, Duration::from_secs_f64(took)),
        }
    }
    assert_eq!(governor.settled_for(20), 1);
}

#[test]
fn a_look_at_several_tokens_takes_the_number_that_single_ones_moved_to() {
    let two_cores = |free_cores| Machine { free_cores, ..BIG };
    let mut governor = Governor::new(2, Some(2));
    assert_eq!(threads_after(&mut governor, two_cores(1), 1, 100), 1);
    assert_eq!((governor.settled_for(4), governor.settled_for_look(4)), (2, 1));
    assert_eq!(threads_after(&mut governor, two_cores(2), 4, 300), 2);
    assert_eq!(governor.settled_for_look(4), 2, "it has looked for itself");
}

#[test]
fn what_was_given_up_apart_gets_more_time() {
    let mut governor = Governor::new(2, Some(2));
    run(&mut governor, BIG, 1, 50, 2);
    let before = governor.patience_apart(1).unwrap();
    governor.be_patient_apart(1, before);
    assert!(governor.patience_apart(1).unwrap() > 2 * before);
}

/// An evaluation that took ever so much longer than those before it was given up for ever.
#[test]
fn what_has_become_slow_is_done_all_the_same() {
    let slow = Machine {
        shared: 40.0 * BIG.shared,
        alone: 40.0 * BIG.alone,
        ..BIG
    };
    for (start, most) in [(8, None), (8, Some(8)), (4, Some(4)), (2, Some(2))] {
        for width in [1, 4, 512] {
            let mut governor = Governor::new(start, most);
            run(&mut governor, BIG, width, 50, 1);
            let (mut n_done, mut n_given_up) = (0, 0);
            while n_done < 5 {
                let took = slow.time(width, governor.threads(width), &mut 7);
                if let Some(patience) = governor.patience(width).filter(|patience| patience.as_secs_f64() < took) {
                    n_given_up += 1;
                    governor.give_up(width, patience);
                } else {
                    n_done += 1;
                    governor.observe(width, Duration::from_secs_f64(took));
                }
                assert!(n_given_up <= 6, "{start} threads of {most:?}, {width} at once: {n_done} done");
            }
            assert!(most.is_some() || n_given_up == 0, "no other number could do it");
        }
    }
}

/// The built-in model on two cores, as it was measured; seconds. Beside a busy process the second thread loses its core for 4 ms of every 8,
/// and for those 4 ms the first one waits for it.
struct Tiny {
    random: u32,
    neighbour: Neighbour,
    /// Evaluated by two threads since one was held up.
    since_held_up: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Neighbour {
    /// Now and then something else happens, for a moment.
    Quiet,
    /// Takes one core.
    Busy,
    /// Both threads are on the core that is left, and take turns at every operation of the graph.
    OneCore,
}

impl Tiny {
    fn new(neighbour: Neighbour, seed: u32) -> Self {
        Self {
            random: seed,
            neighbour,
            since_held_up: 0.0,
        }
    }

    fn time(&mut self, threads: u32) -> f64 {
        const HELD_UP: f64 = 0.0042;
        let usual = if threads == 1 { 0.00044 } else { 0.00029 };
        let usual = usual * (0.85 + 0.3 * noise(&mut self.random));
        if noise(&mut self.random) > 0.998 {
            return usual + HELD_UP * (1.0 + 2.0 * noise(&mut self.random));
        }
        if threads == 1 || self.neighbour == Neighbour::Quiet {
            return usual;
        }
        if self.neighbour == Neighbour::OneCore {
            return 0.6;
        }
        self.since_held_up += usual;
        if self.since_held_up < 0.0038 {
            return usual;
        }
        self.since_held_up = 0.0;
        usual + HELD_UP
    }

    /// Seconds for `count` tokens by a fixed number of threads.
    fn fixed(&mut self, threads: u32, count: u32) -> f64 {
        (0..count).map(|_| self.time(threads)).sum()
    }

    /// The same as `governor` says. What is given up takes until the next operation in which nobody is waited for.
    fn governed(&mut self, governor: &mut Governor, count: u32) -> f64 {
        const OPERATION: f64 = 0.008;
        let (mut seconds, mut n_done) = (0.0, 0);
        while n_done < count {
            let took = self.time(governor.threads(1));
            let patience = governor.patience(1).map_or(f64::INFINITY, |patience| patience.as_secs_f64());
            if took > patience + OPERATION {
                governor.give_up(1, Duration::from_secs_f64(patience + OPERATION));
                seconds += patience + OPERATION;
                continue;
            }
            governor.observe(1, Duration::from_secs_f64(took));
            seconds += took;
            n_done += 1;
        }
        seconds
    }
}

const SEEDS: std::ops::Range<u32> = 1..200;

#[test]
fn a_tiny_model_finds_its_second_thread_on_a_quiet_machine() {
    for seed in SEEDS {
        let mut governor = Governor::new(1, Some(2));
        Tiny::new(Neighbour::Quiet, seed).governed(&mut governor, 1500);
        let governed = Tiny::new(Neighbour::Quiet, seed + 1).governed(&mut governor, 7500);
        let fixed = Tiny::new(Neighbour::Quiet, seed + 1).fixed(2, 7500);
        assert!(0.95 * governed < fixed, "seed {seed}: {governed:.3} s instead of {fixed:.3} s");
    }
}

#[test]
fn a_tiny_model_beside_a_busy_process_keeps_its_one_thread() {
    for neighbour in [Neighbour::Busy, Neighbour::OneCore] {
        let mut all = (0.0, 0.0);
        for seed in SEEDS {
            let mut governor = Governor::new(1, Some(2));
            let first = Tiny::new(neighbour, seed).governed(&mut governor, 1500);
            let fixed = Tiny::new(neighbour, seed).fixed(1, 1500);
            assert!(
                0.85 * first < fixed,
                "{neighbour:?}, seed {seed}, at first: {first:.3} s instead of {fixed:.3} s"
            );
            let governed = Tiny::new(neighbour, seed + 1).governed(&mut governor, 7500);
            let fixed = Tiny::new(neighbour, seed + 1).fixed(1, 7500);
            assert!(
                0.9 * governed < fixed,
                "{neighbour:?}, seed {seed}: {governed:.3} s instead of {fixed:.3} s"
            );
            all = (all.0 + governed, all.1 + fixed);
        }
        assert!(0.97 * all.0 < all.1, "{neighbour:?}: {:.3} s instead of {:.3} s", all.0, all.1);
    }
}

#[test]
fn a_tiny_model_goes_back_at_once_and_looks_again() {
    for neighbour in [Neighbour::Busy, Neighbour::OneCore] {
        let mut all = (0.0, 0.0);
        for seed in SEEDS {
            let mut governor = Governor::new(1, Some(2));
            let mut machine = Tiny::new(Neighbour::Quiet, seed);
            machine.governed(&mut governor, 3000);
            machine.neighbour = neighbour;
            let governed = machine.governed(&mut governor, 1500);
            let fixed = machine.fixed(1, 1500);
            assert!(
                0.7 * governed < fixed,
                "{neighbour:?}, seed {seed}: {governed:.3} s instead of {fixed:.3} s"
            );
            all = (all.0 + governed, all.1 + fixed);
            machine.governed(&mut governor, 4500);
            machine.neighbour = Neighbour::Quiet;
            machine.governed(&mut governor, 30_000);
            let governed = machine.governed(&mut governor, 3000);
            let fixed = machine.fixed(2, 3000);
            assert!(
                0.9 * governed < fixed,
                "{neighbour:?}, seed {seed}, when it has ended: {governed:.3} s instead of {fixed:.3} s"
            );
        }
        assert!(0.85 * all.0 < all.1, "{neighbour:?}: {:.3} s instead of {:.3} s", all.0, all.1);
    }
}

#[test]
fn evaluations_of_different_widths_are_not_compared() {
    let mut governor = Governor::new(2, Some(2));
    // Fewer threads seem faster, but only where they have less to do.
    let mut is_wide = false;
    for _ in 0..200 {
        is_wide = !is_wide;
        let width = if is_wide { 12 } else { 3 };
        let threads = governor.threads(width);
        let seconds = 0.01 * width_of(width).powi(2) / f64::from(threads);
        governor.observe(width, Duration::from_secs_f64(seconds));
    }
    assert_eq!(governor.counts[governor.few.current], 2);
}

//! How far each of several prompts is evaluated before others look at what it has in common with them. Pure.
//!
//! Of prompts that begin alike one is evaluated, the others wait for their common beginning and then share it.

use super::prefix;

/// A prompt that is being evaluated.
#[derive(Clone, Copy, Debug)]
pub struct Evaluating<'tokens, Token> {
    /// All of it.
    pub tokens: &'tokens [Token],
    /// How many of them have been evaluated.
    pub held: usize,
}

/// Waiting for fewer tokens saves less than what an evaluation more costs.
const FEWEST: usize = 32;

/// The length up to which each of `prompts` may be evaluated now; one that waits gets what it has. The more important come first, and wait for
/// nobody behind them. `stops_there`: what is evaluated beyond a common beginning can no longer be shared.
#[must_use]
pub fn targets<Token: PartialEq>(prompts: &[Evaluating<'_, Token>], stops_there: bool) -> Vec<usize> {
    let mut targets: Vec<usize> = prompts.iter().map(|prompt| prompt.tokens.len()).collect();
    for (index, prompt) in prompts.iter().enumerate() {
        let mut before = prompts[..index].iter().enumerate();
        let Some((leader, common)) = before.find_map(|(leader, other)| Some((leader, awaited(other, prompt)?))) else {
            continue;
        };
        targets[index] = prompt.held;
        if stops_there {
            targets[leader] = targets[leader].min(common);
        }
    }
    targets
}

/// The beginning that `prompt` should get from `leader`, which has yet to evaluate it.
fn awaited<Token: PartialEq>(leader: &Evaluating<'_, Token>, prompt: &Evaluating<'_, Token>) -> Option<usize> {
    let worth = prompt.held + FEWEST;
    if leader.tokens.len() < worth || prompt.tokens.len() <= worth {
        return None;
    }
    let common = prefix::common(leader.tokens, prompt.tokens).min(prompt.tokens.len() - 1);
    (common >= worth && leader.held < common).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `common` times the same token, then `own` tokens of its own.
    fn tokens(common: usize, own: usize, number: u32) -> Vec<u32> {
        [vec![0; common], vec![number; own]].concat()
    }

    #[test]
    fn of_prompts_that_begin_alike_one_is_evaluated_first() {
        // Each: tokens in common with all others, of its own, evaluated already; how far it goes, and how far where it must stop there.
        type Case = (&'static [(usize, usize, usize)], &'static [usize], &'static [usize]);
        let cases: [Case; 8] = [
            (&[(40, 5, 0)], &[45], &[45]),
            (&[(40, 5, 0), (40, 9, 0)], &[45, 0], &[40, 0]),
            (&[(40, 5, 0), (40, 9, 0), (40, 9, 0)], &[45, 0, 0], &[40, 0, 0]),
            (&[(31, 5, 0), (31, 9, 0)], &[36, 40], &[36, 40]),
            (&[(40, 5, 0), (40, 9, 9)], &[45, 49], &[45, 49]),
            (&[(40, 5, 40), (40, 9, 0)], &[45, 49], &[45, 49]),
            (&[(40, 5, 39), (40, 9, 0)], &[45, 0], &[40, 0]),
            // All of the second one: its last token is evaluated in any case.
            (&[(40, 5, 0), (40, 0, 0)], &[45, 0], &[39, 0]),
        ];
        for (prompts, expected, stopping) in cases {
            let all: Vec<_> = (1..)
                .zip(prompts)
                .map(|(number, (common, own, _))| tokens(*common, *own, number))
                .collect();
            let evaluating: Vec<_> = all
                .iter()
                .zip(prompts)
                .map(|(tokens, (_, _, held))| Evaluating { tokens, held: *held })
                .collect();
            assert_eq!(targets(&evaluating, false), expected, "{prompts:?}");
            assert_eq!(targets(&evaluating, true), stopping, "{prompts:?}");
        }
    }

    #[test]
    fn the_first_always_goes_on() {
        for n_prompts in 1..6 {
            for common in [0, 1, 32, 33, 70] {
                for held in 0..common.min(40) {
                    let all: Vec<_> = (1..).take(n_prompts).map(|number| tokens(common, 3, number)).collect();
                    let evaluating: Vec<_> = all.iter().map(|tokens| Evaluating { tokens, held }).collect();
                    for stops_there in [false, true] {
                        assert!(
                            targets(&evaluating, stops_there)[0] > held,
                            "{n_prompts} with {common}, {held} held"
                        );
                    }
                }
            }
        }
    }
}

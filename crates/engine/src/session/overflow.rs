//! What of a conversation that has become too long the model is still shown.
//!
//! Whole turns go, the oldest first. Messages before the first turn (the system prompt) and the newest turn always stay. Pure: whoever calls
//! counts the tokens.

use std::ops::Range;

use crate::chat::{Message, Role};

/// The turns that may go, oldest first: a user's message with all that follows it up to the user's next one.
#[must_use]
pub fn turns(messages: &[Message]) -> Vec<Range<usize>> {
    let first = messages.iter().take_while(|message| message.role == Role::System).count();
    let starts = (first..messages.len()).filter(|&index| index == first || messages[index].role == Role::User);
    let starts: Vec<usize> = starts.collect();
    starts.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// `messages` without their `n_turns` oldest turns.
#[must_use]
pub fn without_oldest(messages: &[Message], n_turns: usize) -> Vec<Message> {
    let dropped = dropped_range(messages, n_turns);
    messages[..dropped.start].iter().chain(&messages[dropped.end..]).cloned().collect()
}

/// How many messages go with the `n_turns` oldest turns.
#[must_use]
pub fn dropped_messages(messages: &[Message], n_turns: usize) -> usize {
    dropped_range(messages, n_turns).len()
}

fn dropped_range(messages: &[Message], n_turns: usize) -> Range<usize> {
    let turns = turns(messages);
    match (turns.first(), turns.get(..n_turns.min(turns.len())).and_then(<[_]>::last)) {
        (Some(first), Some(last)) => first.start..last.end,
        _ => 0..0,
    }
}

/// The fewest turns to drop, more than `from` of `n_turns`, so that what is left is short enough; `None` when even dropping all is not enough.
/// The fewer turns are left, the shorter it must be.
///
/// # Errors
/// Whatever `is_short_enough` fails with.
pub fn fewest<Error>(
    from: usize,
    n_turns: usize,
    mut is_short_enough: impl FnMut(usize) -> Result<bool, Error>,
) -> Result<Option<usize>, Error> {
    let (mut low, mut high) = (from + 1, n_turns);
    if low > high || !is_short_enough(high)? {
        return Ok(None);
    }
    while low < high {
        let middle = low.midpoint(high);
        if is_short_enough(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(Some(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(roles: &str) -> Vec<Message> {
        let role = |letter| match letter {
            's' => Role::System,
            'u' => Role::User,
            'a' => Role::Assistant,
            _ => Role::Tool,
        };
        roles
            .chars()
            .enumerate()
            .map(|(index, letter)| Message::new(role(letter), index.to_string()))
            .collect()
    }

    #[test]
    fn turns_go_whole_and_system_and_newest_stay() {
        let cases: [(&str, usize, &str, usize); 9] = [
            ("suaua", 1, "sua", 2),
            ("suaua", 9, "sua", 2),
            ("uauau", 1, "uau", 2),
            ("uauau", 2, "u", 4),
            ("suatauau", 1, "suau", 4),
            ("su", 1, "su", 0),
            ("s", 1, "s", 0),
            ("auau", 1, "uau", 1),
            ("", 3, "", 0),
        ];
        for (roles, n_turns, expected, dropped) in cases {
            let all = messages(roles);
            let left = without_oldest(&all, n_turns);
            let letters: String = left.iter().map(|message| message.role.name().chars().next().unwrap()).collect();
            assert_eq!(letters, expected, "{roles} without {n_turns}");
            assert_eq!(dropped_messages(&all, n_turns), dropped, "{roles} without {n_turns}");
            assert_eq!(left.last(), all.last(), "{roles} without {n_turns}");
        }
    }

    #[test]
    fn as_few_as_possible_go() {
        for n_turns in 0..9 {
            for from in 0..=n_turns {
                for needed in 0..12 {
                    let found = fewest(from, n_turns, |n| Ok::<_, ()>(n >= needed)).unwrap();
                    let expected = (from + 1..=n_turns).find(|n| *n >= needed);
                    assert_eq!(found, expected, "of {n_turns} from {from}, {needed} are needed");
                }
            }
        }
    }
}

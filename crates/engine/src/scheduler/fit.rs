//! Renders a conversation so that it fits into the context, leaving out the oldest turns where it would not.

use super::generation::{GenerationOptions, Overflow};
use crate::chat::{ChatFormat, Prompt};
use crate::error::{Error, Result};
use crate::llama::AbortFlag;
use crate::session::{Turn, overflow};

/// A prompt that fits.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) prompt: Prompt,
    /// Turns left out.
    pub(super) turns: usize,
    /// Messages left out.
    pub(super) messages: usize,
}

/// When turns go, so many go that this much of the context is left for what follows: the next turn is not to find it full again.
const ROOM: Share = Share { of: 1, in_all: 4 };

struct Share {
    of: usize,
    in_all: usize,
}

/// The prompt of `turn`.
///
/// # Errors
/// [`Error::PromptTooLong`] when it does not fit, even with nothing but the system prompt and the newest turn; [`Error::Aborted`].
pub(super) fn fit(
    format: &ChatFormat<'_>,
    turn: &Turn,
    options: &GenerationOptions,
    context_size: usize,
    abort: &AbortFlag,
) -> Result<Fitted> {
    let may_drop = options.overflow == Overflow::DropOldest;
    let before = if may_drop { turn.dropped_turns() } else { 0 };
    match render(format, turn, options, before, context_size) {
        Err(Error::PromptTooLong { .. }) if may_drop => {}
        other => return other,
    }
    let fewer = drop_more(format, turn, options, before, (context_size, 0), abort)?;
    fewer.map_or_else(|| render(format, turn, options, usize::MAX, context_size), Ok)
}

/// A shorter prompt for an answer under way of `answer_tokens`; `None` when no turn is left to drop, or it would not help.
pub(super) fn fit_answer(
    format: &ChatFormat<'_>,
    turn: &Turn,
    options: &GenerationOptions,
    context_size: usize,
    answer_tokens: usize,
    abort: &AbortFlag,
) -> Result<Option<Fitted>> {
    if options.overflow != Overflow::DropOldest {
        return Ok(None);
    }
    drop_more(format, turn, options, turn.dropped_turns(), (context_size, answer_tokens), abort)
}

/// Drops more turns than `before`: as few as leave room, or all when even that leaves too little. `sizes`: the context's, and of the answer
/// so far.
fn drop_more(
    format: &ChatFormat<'_>,
    turn: &Turn,
    options: &GenerationOptions,
    before: usize,
    sizes: (usize, usize),
    abort: &AbortFlag,
) -> Result<Option<Fitted>> {
    let (context_size, answer_tokens) = sizes;
    let n_turns = overflow::turns(turn.messages()).len();
    if before >= n_turns {
        return Ok(None);
    }
    let limit = |size: usize| size.saturating_sub(answer_tokens);
    let roomy = limit(context_size - context_size / ROOM.in_all * ROOM.of);
    // Each look renders and tokenizes a conversation that may be huge.
    let is_short_enough = |turns| match render(format, turn, options, turns, roomy) {
        _ if abort.is_set() => Err(Error::Aborted),
        Ok(_) => Ok(true),
        Err(Error::PromptTooLong { .. }) => Ok(false),
        Err(error) => Err(error),
    };
    let turns = overflow::fewest(before, n_turns, is_short_enough)?.unwrap_or(n_turns);
    match render(format, turn, options, turns, limit(context_size)) {
        Ok(fitted) => Ok(Some(fitted)),
        Err(Error::PromptTooLong { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn render(format: &ChatFormat<'_>, turn: &Turn, options: &GenerationOptions, turns: usize, size: usize) -> Result<Fitted> {
    let messages = turn.messages();
    let left = overflow::without_oldest(messages, turns);
    Ok(Fitted {
        prompt: format.prompt(&left, &options.chat, size)?,
        turns: turns.min(overflow::turns(messages).len()),
        messages: overflow::dropped_messages(messages, turns),
    })
}

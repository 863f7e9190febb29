//! Finds stop strings in a stream of text, holding back what may be the beginning of one.
//!
//! The occurrence that is complete first wins, of several the longest, however the text is cut into pieces. The cost per piece depends on the
//! longest stop string, not on the text so far.

/// The stop strings of one generation and the text held back for them.
#[derive(Debug)]
pub struct StopMatcher {
    stop_strings: Vec<String>,
    held: String,
    matched: Option<usize>,
}

impl StopMatcher {
    /// Empty stop strings never match: they would stop everything.
    #[must_use]
    pub fn new(stop_strings: Vec<String>) -> Self {
        Self {
            stop_strings,
            held: String::new(),
            matched: None,
        }
    }

    /// Which stop string has been found, as an index into those given.
    #[must_use]
    pub fn matched(&self) -> Option<usize> {
        self.matched
    }

    /// Takes text and returns what surely belongs to the answer.
    pub fn push(&mut self, text: &str) -> String {
        if self.matched.is_some() {
            return String::new();
        }
        if self.stop_strings.is_empty() {
            return text.to_owned();
        }
        self.held.push_str(text);
        if let Some((start, index)) = self.first_match() {
            self.matched = Some(index);
            self.held.truncate(start);
            return std::mem::take(&mut self.held);
        }
        let keep_from = self.held.len() - self.partial_match_length();
        let rest = self.held.split_off(keep_from);
        std::mem::replace(&mut self.held, rest)
    }

    /// Returns what was held back and never became a stop string.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Where the stop string that ends first begins, and which one it is.
    fn first_match(&self) -> Option<(usize, usize)> {
        let stops = self.stop_strings.iter().enumerate().filter(|(_, stop)| !stop.is_empty());
        let found = stops.filter_map(|(index, stop)| self.held.find(stop.as_str()).map(|start| (start + stop.len(), start, index)));
        found.min().map(|(_, start, index)| (start, index))
    }

    /// The length of the longest end of `held` that is the beginning of a stop string.
    fn partial_match_length(&self) -> usize {
        self.stop_strings
            .iter()
            .map(|stop| partial_suffix_length(&self.held, stop))
            .max()
            .unwrap_or(0)
    }
}

fn partial_suffix_length(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len().saturating_sub(1));
    (1..=longest)
        .rev()
        .find(|&length| stop.is_char_boundary(length) && text.ends_with(&stop[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stops: &[&str], pieces: &[&str], expected: &str, matched: Option<usize>) {
        let mut stream = StopMatcher::new(stops.iter().map(ToString::to_string).collect());
        let mut text: String = pieces.iter().map(|piece| stream.push(piece)).collect();
        assert_eq!(stream.matched(), matched, "stops {stops:?}, pieces {pieces:?}");
        text.push_str(&stream.finish());
        assert_eq!(text, expected, "stops {stops:?}, pieces {pieces:?}");
    }

    #[test]
    fn finds_stop_strings_wherever_they_are_split() {
        check(&["\nUser:"], &["Hi", "\n", "Us", "er", ": x"], "Hi", Some(0));
        check(&["ab"], &["aab"], "a", Some(0));
        check(&["aab"], &["a", "a", "a", "b"], "a", Some(0));
    }

    #[test]
    fn the_earliest_of_several_wins() {
        check(&["world", "lo"], &["hello world"], "hel", Some(1));
        check(&["abcd", "bc"], &["abcd"], "a", Some(1));
        check(&["abcd", "bc"], &["abc", "d"], "a", Some(1));
        check(&["bc", "abc"], &["ab", "cd"], "", Some(1));
    }

    #[test]
    fn repeats_of_a_beginning_are_not_lost() {
        check(&["aaab"], &["aaaa", "c"], "aaaac", None);
    }

    #[test]
    fn empty_stop_strings_never_match() {
        check(&["", ""], &["text"], "text", None);
    }

    #[test]
    fn every_split_gives_the_same_text() {
        let text = "one <end> two";
        for at in 0..text.len() {
            check(&["<end>"], &[&text[..at], &text[at..]], "one ", Some(0));
        }
    }
}

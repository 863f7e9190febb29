//! Whether the model is thinking: watches its text for the tags around a thought.

use crate::llama::ThinkingTags;

/// Follows one answer.
#[derive(Debug)]
pub struct ThoughtWatch {
    tags: Option<ThinkingTags>,
    is_open: bool,
    /// The end of the text so far, long enough for the beginning of any tag.
    tail: String,
}

impl ThoughtWatch {
    /// `opening`: what the prompt has of the answer already.
    #[must_use]
    pub fn new(tags: Option<ThinkingTags>, opening: &str) -> Self {
        let mut watch = Self {
            tags,
            is_open: false,
            tail: String::new(),
        };
        watch.push(opening);
        watch
    }

    /// Takes the next text of the answer.
    pub fn push(&mut self, text: &str) {
        let Some(tags) = &self.tags else { return };
        self.tail.push_str(text);
        while let Some(end) = next_tag(tags, self.is_open, &self.tail) {
            self.is_open = !self.is_open;
            self.tail.drain(..end);
        }
        let longest = tags.ends.iter().chain([&tags.start]).map(String::len).max().unwrap_or(0);
        let keep_from = self.tail.len().saturating_sub(longest);
        let keep_from = (keep_from..=self.tail.len()).find(|&at| self.tail.is_char_boundary(at));
        self.tail.drain(..keep_from.unwrap_or(0));
    }

    /// Whether a thought has begun and not ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// The text that begins a thought.
    #[must_use]
    pub fn start_tag(&self) -> Option<&str> {
        self.tags.as_ref().map(|tags| &*tags.start)
    }

    /// What ends a thought, written as models write it: tags in angle brackets stand on a line of their own.
    #[must_use]
    pub fn ending(&self) -> Option<String> {
        let tag = self.tags.as_ref()?.ends.first()?;
        Some(if tag.starts_with("</") {
            format!("\n{tag}\n\n")
        } else {
            tag.clone()
        })
    }
}

/// Where the next tag ends that opens a thought or, while one is open, closes it.
fn next_tag(tags: &ThinkingTags, is_open: bool, text: &str) -> Option<usize> {
    let wanted = if is_open {
        tags.ends.as_slice()
    } else {
        std::slice::from_ref(&tags.start)
    };
    wanted.iter().filter_map(|tag| text.find(tag).map(|start| start + tag.len())).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags() -> ThinkingTags {
        ThinkingTags {
            start: "<think>".into(),
            ends: vec!["</think>".into(), "<tool_call>".into()],
        }
    }

    #[test]
    fn follows_tags_however_the_text_is_cut() {
        let cases = [
            ("", "Hello", false),
            ("", "<think>Hm", true),
            ("", "<think>Hm</think>Yes", false),
            ("<|im_start|>assistant\n<think>\n", "Hm é", true),
            ("<|im_start|>assistant\n<think>\n", "Hm</think>", false),
            ("<think>\n\n</think>\n\n", "Yes", false),
            ("<think>", "a<tool_call>", false),
            ("", "<think>a</think>b<think>c", true),
        ];
        for (opening, text, expected) in cases {
            let mut whole = ThoughtWatch::new(Some(tags()), opening);
            whole.push(text);
            assert_eq!(whole.is_open(), expected, "{opening:?} {text:?}");
            let mut cut = ThoughtWatch::new(Some(tags()), opening);
            for character in text.chars() {
                cut.push(&character.to_string());
            }
            assert_eq!(cut.is_open(), expected, "{opening:?} {text:?}, letter by letter");
        }
    }

    #[test]
    fn without_tags_nothing_is_a_thought() {
        let mut watch = ThoughtWatch::new(None, "<think>");
        watch.push("<think>");
        assert!(!watch.is_open() && watch.ending().is_none());
    }
}

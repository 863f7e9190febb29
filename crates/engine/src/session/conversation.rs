//! What was said in one session. A turn changes it only when it succeeds.

use crate::chat::{Message, Role};

/// What a generation starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The next thing the user says.
    Prompt(String),
    /// A whole conversation, which replaces what was said before.
    Messages(Vec<Message>),
}

/// The messages of one session.
#[derive(Debug, Default)]
pub struct Conversation {
    messages: Vec<Message>,
}

/// A generation under way: the conversation as it will be, but for the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    messages: Vec<Message>,
}

impl Turn {
    /// The messages to answer, or to continue when the last is the assistant's.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }
}

impl Conversation {
    /// Plans a turn. `system_prompt` counts only where no system message exists yet: in a new conversation, or in messages without one.
    #[must_use]
    pub fn begin(&self, input: Input, system_prompt: Option<&str>) -> Turn {
        let is_new = self.messages.is_empty() || matches!(input, Input::Messages(_));
        let mut messages = match input {
            Input::Messages(messages) => messages,
            Input::Prompt(prompt) => self.messages.iter().cloned().chain([Message::new(Role::User, prompt)]).collect(),
        };
        let has_system = messages.iter().any(|message| message.role == Role::System);
        join_user_messages(&mut messages);
        if let Some(prompt) = system_prompt.filter(|prompt| is_new && !has_system && !prompt.is_empty()) {
            messages.insert(0, Message::new(Role::System, prompt));
        }
        Turn { messages }
    }

    /// Keeps a turn and its `answer`.
    pub fn commit(&mut self, turn: Turn, answer: &str) {
        self.messages = turn.messages;
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => last.content.push_str(answer),
            _ => self.messages.push(Message::new(Role::Assistant, answer)),
        }
    }
}

/// Many templates demand that user and assistant take turns. What a user says twice in a row becomes one message, as in node-llama-cpp.
fn join_user_messages(messages: &mut Vec<Message>) {
    messages.dedup_by(|next, previous| {
        let are_both = next.role == Role::User && previous.role == Role::User;
        if are_both {
            previous.content.push_str("\n\n");
            previous.content.push_str(&next.content);
        }
        are_both
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(role: Role, content: &str) -> Message {
        Message::new(role, content)
    }

    fn prompt(text: &str) -> Input {
        Input::Prompt(text.into())
    }

    #[test]
    fn prompts_continue_the_conversation() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Hi"), Some("Be brief."));
        assert_eq!(turn.messages(), [message(Role::System, "Be brief."), message(Role::User, "Hi")]);
        conversation.commit(turn, "Hello!");
        let turn = conversation.begin(prompt("Bye"), Some("Be long."));
        assert_eq!(
            turn.messages()[0],
            message(Role::System, "Be brief."),
            "a later system prompt does not count"
        );
        assert_eq!(
            turn.messages()[2..],
            [message(Role::Assistant, "Hello!"), message(Role::User, "Bye")]
        );
    }

    #[test]
    fn a_turn_that_is_not_committed_leaves_no_trace() {
        let conversation = Conversation::default();
        let _aborted = conversation.begin(prompt("Hi"), Some("Be brief."));
        assert_eq!(conversation.begin(prompt("Bye"), None).messages(), [message(Role::User, "Bye")]);
    }

    #[test]
    fn messages_replace_what_was_said() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Hi"), Some("Be brief."));
        conversation.commit(turn, "Hello!");
        let replacement = vec![message(Role::User, "Anew")];
        assert_eq!(
            conversation.begin(Input::Messages(replacement.clone()), None).messages(),
            replacement
        );
        let with_system = conversation.begin(Input::Messages(replacement.clone()), Some("Be long."));
        assert_eq!(with_system.messages(), [message(Role::System, "Be long."), replacement[0].clone()]);
    }

    #[test]
    fn a_system_message_beats_the_system_prompt() {
        let messages = vec![message(Role::System, "A"), message(Role::User, "B")];
        let turn = Conversation::default().begin(Input::Messages(messages.clone()), Some("C"));
        assert_eq!(turn.messages(), messages);
    }

    #[test]
    fn user_messages_in_a_row_become_one() {
        let messages = vec![
            message(Role::User, "A"),
            message(Role::User, "B"),
            message(Role::Assistant, "C"),
            message(Role::User, "D"),
        ];
        let turn = Conversation::default().begin(Input::Messages(messages), None);
        assert_eq!(
            turn.messages(),
            [
                message(Role::User, "A\n\nB"),
                message(Role::Assistant, "C"),
                message(Role::User, "D")
            ]
        );
    }

    #[test]
    fn a_trailing_assistant_message_is_continued() {
        let mut conversation = Conversation::default();
        let messages = vec![message(Role::User, "Count"), message(Role::Assistant, "1, 2")];
        let turn = conversation.begin(Input::Messages(messages), None);
        conversation.commit(turn, ", 3");
        assert_eq!(
            conversation.begin(prompt("x"), None).messages()[1],
            message(Role::Assistant, "1, 2, 3")
        );
    }
}

//! What was said in one session. A turn changes it only when it succeeds.

use std::collections::VecDeque;

use crate::chat::{Message, Role, ToolCall};

/// What a generation starts from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The next thing the user says.
    Prompt(String),
    /// A whole conversation, which replaces what was said before; or nothing but results of tools, which continue it.
    Messages(Vec<Message>),
}

/// The messages of one session.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    /// What it began with.
    initial: Vec<Message>,
    messages: Vec<Message>,
    /// How it was before the turn that waits for results of tools.
    before_tool_calls: Option<Before>,
    /// The oldest turns that did not fit any more, and are not shown to the model.
    dropped_turns: usize,
}

/// A generation under way: the conversation as it will be, but for the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    messages: Vec<Message>,
    /// How the conversation was before a turn that goes on here with results of tools.
    before_tool_calls: Option<Before>,
    /// Turns that need not be tried: they did not fit before.
    dropped_turns: usize,
}

/// A conversation as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Before {
    messages: Vec<Message>,
    dropped_turns: usize,
}

/// What a turn starts from, besides the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Opening<'text> {
    /// Instructions for a conversation that has none.
    pub system_prompt: Option<&'text str>,
    /// The beginning of the answer.
    pub response_prefix: Option<&'text str>,
}

impl Turn {
    /// The messages to answer, or to continue when the last is the assistant's.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Turns at the beginning of the messages that did not fit before.
    #[must_use]
    pub fn dropped_turns(&self) -> usize {
        self.dropped_turns
    }

    /// Takes notice of how many do not fit now.
    pub fn set_dropped_turns(&mut self, dropped_turns: usize) {
        self.dropped_turns = dropped_turns;
    }
}

impl Conversation {
    /// A conversation in which `initial` has been said.
    #[must_use]
    pub fn new(initial: Vec<Message>) -> Self {
        Self {
            messages: initial.clone(),
            initial,
            before_tool_calls: None,
            dropped_turns: 0,
        }
    }

    /// What was said.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// Puts `messages` in place of what was said.
    pub fn replace(&mut self, messages: Vec<Message>) {
        self.messages = messages;
        self.before_tool_calls = None;
        self.dropped_turns = 0;
    }

    /// Goes back to what it began with.
    pub fn reset(&mut self) {
        self.replace(self.initial.clone());
    }

    /// Takes back the turn that waits for results of tools, if there is one.
    pub fn abandon_tool_calls(&mut self) {
        if let Some(before) = self.before_tool_calls.take() {
            self.messages = before.messages;
            self.dropped_turns = before.dropped_turns;
        }
    }

    /// Plans a turn. A system prompt counts only where no system message exists yet: in a new conversation, or in messages without one.
    #[must_use]
    pub fn begin(&self, input: Input, opening: Opening<'_>) -> Turn {
        let continues = self.is_continued_by(&input);
        let is_new = self.messages.is_empty() || (matches!(input, Input::Messages(_)) && !continues);
        let mut messages = match input {
            Input::Messages(messages) if !continues => messages,
            Input::Messages(results) => self.messages.iter().cloned().chain(results).collect(),
            Input::Prompt(prompt) => self.messages.iter().cloned().chain([Message::new(Role::User, prompt)]).collect(),
        };
        let has_system = messages.iter().any(|message| message.role == Role::System);
        join_user_messages(&mut messages);
        assign_tool_results(&mut messages);
        if let Some(prompt) = opening.system_prompt.filter(|prompt| is_new && !has_system && !prompt.is_empty()) {
            messages.insert(0, Message::new(Role::System, prompt));
        }
        if let Some(prefix) = opening.response_prefix.filter(|prefix| !prefix.is_empty()) {
            match messages.last_mut().filter(|last| last.role == Role::Assistant) {
                Some(last) => last.content.push_str(prefix),
                None => messages.push(Message::new(Role::Assistant, prefix)),
            }
        }
        Turn {
            messages,
            before_tool_calls: self.before_tool_calls.clone().filter(|_| continues),
            dropped_turns: if is_new { 0 } else { self.dropped_turns },
        }
    }

    /// Whether `input` is nothing but results of tools, and no tool was called before them.
    #[must_use]
    pub fn is_unasked(&self, input: &Input) -> bool {
        let Input::Messages(messages) = input else { return false };
        messages.iter().all(|message| message.role == Role::Tool) && !self.is_continued_by(input)
    }

    fn is_continued_by(&self, input: &Input) -> bool {
        let Input::Messages(messages) = input else { return false };
        let waits = self
            .messages
            .iter()
            .rev()
            .find(|message| message.role != Role::Tool)
            .is_some_and(|message| !message.tool_calls.is_empty());
        waits && !messages.is_empty() && messages.iter().all(|message| message.role == Role::Tool)
    }

    /// Keeps a turn and its `answer`, an assistant's message.
    pub fn commit(&mut self, turn: Turn, answer: Message) {
        let before = Before {
            messages: std::mem::replace(&mut self.messages, turn.messages),
            dropped_turns: self.dropped_turns,
        };
        self.before_tool_calls = (!answer.tool_calls.is_empty()).then(|| turn.before_tool_calls.unwrap_or(before));
        self.dropped_turns = turn.dropped_turns;
        match self.messages.last_mut() {
            Some(last) if last.role == Role::Assistant => {
                last.content.push_str(&answer.content);
                last.reasoning.push_str(&answer.reasoning);
                last.tool_calls.extend(answer.tool_calls);
            }
            _ => self.messages.push(answer),
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

/// Results that do not say which call they answer belong to the calls in their order, those of the same tool first. Templates want both the
/// call's id and the tool's name.
fn assign_tool_results(messages: &mut [Message]) {
    let mut open: VecDeque<ToolCall> = VecDeque::new();
    for message in messages {
        match message.role {
            Role::Assistant => open = message.tool_calls.iter().cloned().collect(),
            Role::Tool => {
                let is_answered = |call: &ToolCall| {
                    let is_named = message.tool_name.is_empty() || call.name == message.tool_name;
                    if message.tool_call_id.is_empty() {
                        is_named
                    } else {
                        call.id == message.tool_call_id
                    }
                };
                if let Some(call) = open.iter().position(is_answered).and_then(|index| open.remove(index)) {
                    message.tool_call_id = call.id;
                    message.tool_name = call.name;
                }
            }
            Role::System | Role::User => {}
        }
    }
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

    fn told(system_prompt: &str) -> Opening<'_> {
        Opening {
            system_prompt: Some(system_prompt),
            response_prefix: None,
        }
    }

    fn calling(names: &[&str]) -> Message {
        let calls = names.iter().enumerate().map(|(index, name)| ToolCall {
            id: format!("id{index}"),
            name: (*name).to_owned(),
            arguments: "{}".into(),
        });
        Message {
            tool_calls: calls.collect(),
            ..message(Role::Assistant, "")
        }
    }

    #[test]
    fn prompts_continue_the_conversation() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Hi"), told("Be brief."));
        assert_eq!(turn.messages(), [message(Role::System, "Be brief."), message(Role::User, "Hi")]);
        conversation.commit(turn, message(Role::Assistant, "Hello!"));
        let turn = conversation.begin(prompt("Bye"), told("Be long."));
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
        let _aborted = conversation.begin(prompt("Hi"), told("Be brief."));
        assert_eq!(
            conversation.begin(prompt("Bye"), Opening::default()).messages(),
            [message(Role::User, "Bye")]
        );
    }

    #[test]
    fn messages_replace_what_was_said() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Hi"), told("Be brief."));
        conversation.commit(turn, message(Role::Assistant, "Hello!"));
        let replacement = vec![message(Role::User, "Anew")];
        assert_eq!(
            conversation
                .begin(Input::Messages(replacement.clone()), Opening::default())
                .messages(),
            replacement
        );
        let with_system = conversation.begin(Input::Messages(replacement.clone()), told("Be long."));
        assert_eq!(with_system.messages(), [message(Role::System, "Be long."), replacement[0].clone()]);
    }

    #[test]
    fn a_system_message_beats_the_system_prompt() {
        let messages = vec![message(Role::System, "A"), message(Role::User, "B")];
        let turn = Conversation::default().begin(Input::Messages(messages.clone()), told("C"));
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
        let turn = Conversation::default().begin(Input::Messages(messages), Opening::default());
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
        let turn = conversation.begin(Input::Messages(messages), Opening::default());
        conversation.commit(turn, message(Role::Assistant, ", 3"));
        assert_eq!(
            conversation.begin(prompt("x"), Opening::default()).messages()[1],
            message(Role::Assistant, "1, 2, 3")
        );
    }

    #[test]
    fn a_response_prefix_is_the_beginning_of_the_answer() {
        let mut conversation = Conversation::default();
        let opening = Opening {
            system_prompt: None,
            response_prefix: Some("Sure: "),
        };
        let turn = conversation.begin(prompt("Count"), opening);
        assert_eq!(turn.messages()[1], message(Role::Assistant, "Sure: "));
        conversation.commit(turn, message(Role::Assistant, "1"));
        assert_eq!(conversation.messages()[1], message(Role::Assistant, "Sure: 1"));
    }

    #[test]
    fn results_of_tools_continue_the_turn_that_called_them() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Weather?"), Opening::default());
        conversation.commit(turn, calling(&["weather", "time"]));
        let results = Input::Messages(vec![message(Role::Tool, "sunny"), message(Role::Tool, "noon")]);
        let turn = conversation.begin(results, Opening::default());
        assert_eq!(turn.messages().len(), 4);
        assert_eq!((&*turn.messages()[3].tool_name, &*turn.messages()[3].tool_call_id), ("time", "id1"));
        conversation.commit(turn, calling(&["again"]));
        assert_eq!(conversation.messages().len(), 5);
        conversation.abandon_tool_calls();
        assert!(
            conversation.messages().is_empty(),
            "the whole turn is taken back, from its first round on"
        );
    }

    #[test]
    fn a_turn_that_ended_in_words_is_not_taken_back() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Weather?"), Opening::default());
        conversation.commit(turn, calling(&["weather"]));
        let turn = conversation.begin(Input::Messages(vec![message(Role::Tool, "sunny")]), Opening::default());
        conversation.commit(turn, message(Role::Assistant, "It is sunny."));
        conversation.abandon_tool_calls();
        assert_eq!(conversation.messages().len(), 4);
    }

    #[test]
    fn results_of_tools_without_a_call_are_a_conversation_of_their_own() {
        let mut conversation = Conversation::default();
        let turn = conversation.begin(prompt("Hi"), Opening::default());
        conversation.commit(turn, message(Role::Assistant, "Hello!"));
        let turn = conversation.begin(Input::Messages(vec![message(Role::Tool, "x")]), Opening::default());
        assert_eq!(turn.messages().len(), 1);
    }

    #[test]
    fn results_find_their_calls_by_id_by_name_and_by_order() {
        let named = |name: &str| Message {
            tool_name: name.into(),
            ..message(Role::Tool, "")
        };
        let with_id = Message {
            tool_call_id: "id2".into(),
            ..message(Role::Tool, "")
        };
        let mut messages = vec![calling(&["a", "b", "a"]), with_id, named("b"), message(Role::Tool, "")];
        assign_tool_results(&mut messages);
        let ids: Vec<&str> = messages[1..].iter().map(|message| &*message.tool_call_id).collect();
        assert_eq!(ids, ["id2", "id1", "id0"]);
    }

    #[test]
    fn reset_goes_back_to_the_beginning() {
        let mut conversation = Conversation::new(vec![message(Role::System, "Be brief.")]);
        let turn = conversation.begin(prompt("Hi"), Opening::default());
        conversation.commit(turn, message(Role::Assistant, "Hello!"));
        conversation.reset();
        assert_eq!(conversation.messages(), [message(Role::System, "Be brief.")]);
    }

    /// Turns that only the abandoned input had no room for once stayed dropped.
    #[test]
    fn a_turn_that_is_taken_back_gives_its_room_back() {
        let mut conversation = Conversation::default();
        let mut turn = conversation.begin(prompt("Weather?"), Opening::default());
        turn.set_dropped_turns(2);
        conversation.commit(turn, calling(&["weather"]));
        conversation.abandon_tool_calls();
        assert_eq!(conversation.begin(prompt("Hi"), Opening::default()).dropped_turns(), 0);
    }
}

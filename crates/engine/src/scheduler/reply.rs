//! How a command is answered: any number of events, then exactly one end, through one closure and so in order.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::chat::ToolCallPart;
use crate::error::{Error, Result};

/// What happens to a command, in this order: `Started` once, then what comes of it, then `Ended` once. A command that is refused or dropped
/// before its turn only ends.
#[derive(Debug)]
pub enum Event<Value> {
    /// The engine thread has begun with it.
    Started,
    /// 0…1, growing.
    Progress(f32),
    /// The next piece of a generation's text.
    Text(String),
    /// The next piece of its thought.
    Reasoning(String),
    /// The next tokens of its answer, for those who asked for them. Their text may come later.
    Tokens(Vec<i32>),
    /// More of a tool call.
    ToolCall(ToolCallPart),
    /// The result. Nothing follows.
    Ended(Result<Value>),
}

/// The way back to whoever gave a command. Dropped without an end it answers [`Error::WorkerStopped`]: nobody waits forever.
pub struct Reply<Value>(Option<Box<dyn FnMut(Event<Value>) + Send>>);

impl<Value> Reply<Value> {
    /// Events go to `sink`, which is called on the engine thread and must not block.
    pub fn new(sink: impl FnMut(Event<Value>) + Send + 'static) -> Self {
        Self(Some(Box::new(sink)))
    }

    /// Says that the command's turn has come.
    pub fn started(&mut self) {
        self.send(Event::Started);
    }

    /// Says how far it is.
    pub fn progress(&mut self, progress: f32) {
        self.send(Event::Progress(progress));
    }

    /// Hands out text.
    pub fn text(&mut self, text: String) {
        self.send(Event::Text(text));
    }

    /// Hands out text of a thought.
    pub fn reasoning(&mut self, text: String) {
        self.send(Event::Reasoning(text));
    }

    /// Hands out tokens.
    pub fn tokens(&mut self, tokens: Vec<i32>) {
        self.send(Event::Tokens(tokens));
    }

    /// Hands out more of a tool call.
    pub fn tool_call(&mut self, part: ToolCallPart) {
        self.send(Event::ToolCall(part));
    }

    /// Ends the command.
    pub fn end(mut self, result: Result<Value>) {
        // Gone before it is called: one that panics behind its delivery has delivered.
        if let Some(mut sink) = self.0.take() {
            sink(Event::Ended(result));
        }
    }

    fn send(&mut self, event: Event<Value>) {
        if let Some(sink) = &mut self.0 {
            sink(event);
        }
    }
}

impl<Value> Drop for Reply<Value> {
    fn drop(&mut self) {
        // It may be dropped because of a panic, of the sink even, and a second one on the way would end the process.
        let _ = catch_unwind(AssertUnwindSafe(|| self.send(Event::Ended(Err(Error::WorkerStopped)))));
    }
}

impl<Value> std::fmt::Debug for Reply<Value> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Reply")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn reply() -> (Reply<u8>, mpsc::Receiver<String>) {
        let (sender, receiver) = mpsc::channel();
        (Reply::new(move |event| sender.send(format!("{event:?}")).unwrap()), receiver)
    }

    #[test]
    fn events_arrive_in_order_and_end_once() {
        let (mut reply, events) = reply();
        reply.started();
        reply.text("a".into());
        reply.end(Ok(7));
        assert_eq!(events.iter().collect::<Vec<_>>(), ["Started", "Text(\"a\")", "Ended(Ok(7))"]);
    }

    #[test]
    fn a_sink_that_always_panics_does_so_once() {
        let (sender, calls) = mpsc::channel();
        let sink = move |event: Event<u8>| {
            sender.send(format!("{event:?}")).unwrap();
            panic!("a defect");
        };
        let panicked = catch_unwind(AssertUnwindSafe(|| Reply::new(sink).end(Ok(7))));
        assert!(panicked.is_err());
        assert_eq!(calls.iter().collect::<Vec<_>>(), ["Ended(Ok(7))"]);
        drop(Reply::<u8>::new(|_| panic!("a defect")));
    }

    #[test]
    fn a_dropped_reply_says_so() {
        let (reply, events) = reply();
        drop(reply);
        assert_eq!(events.iter().collect::<Vec<_>>(), ["Ended(Err(WorkerStopped))"]);
    }
}

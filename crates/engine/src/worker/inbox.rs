//! Commands, in the order in which they came.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::command::Command;
use crate::error::Error;
use crate::llama::AbortFlag;
use crate::scheduler::{GenerationRequest, GenerationResult};

/// The engine thread's end of the channel.
#[derive(Debug)]
pub(super) struct Inbox {
    commands: mpsc::UnboundedReceiver<Command>,
    /// Received, but not their turn yet.
    waiting: VecDeque<Command>,
    stop: AbortFlag,
}

impl Inbox {
    /// `stop`: set when the worker is to end.
    pub(super) fn new(commands: mpsc::UnboundedReceiver<Command>, stop: AbortFlag) -> Self {
        Self {
            commands,
            waiting: VecDeque::new(),
            stop,
        }
    }

    /// Waits for the next command. `None` when nobody is left to send one.
    pub(super) fn next(&mut self) -> Option<Command> {
        loop {
            let command = match self.waiting.pop_front() {
                Some(command) => command,
                None => self.commands.blocking_recv()?,
            };
            match command {
                // Nobody wants these once the worker is to end; dropped, they say that it has stopped.
                Command::Init(_) | Command::LoadModel(_) | Command::CreateContext(_) if self.stop.is_set() => {}
                wanted => return Some(wanted),
            }
        }
    }

    /// Takes the generations that come next, without waiting; those behind another command must wait for it. What was aborted meanwhile need
    /// not wait for anything.
    pub(super) fn take_generations(&mut self, mut take: impl FnMut(GenerationRequest)) {
        while let Ok(command) = self.commands.try_recv() {
            self.waiting.push_back(command);
        }
        while let Some(Command::Generate(_)) = self.waiting.front() {
            if let Some(Command::Generate(request)) = self.waiting.pop_front() {
                take(*request);
            }
        }
        if self.waiting.iter().any(is_aborted) {
            self.answer_aborted();
        }
    }

    fn answer_aborted(&mut self) {
        for command in std::mem::take(&mut self.waiting) {
            match command {
                Command::Generate(request) if request.abort.is_set() => request.reply.end(Ok(GenerationResult::aborted())),
                Command::LoadModel(command) if command.abort.is_set() => command.reply.end(Err(Error::Aborted)),
                other => self.waiting.push_back(other),
            }
        }
    }
}

fn is_aborted(command: &Command) -> bool {
    match command {
        Command::Generate(request) => request.abort.is_set(),
        Command::LoadModel(command) => command.abort.is_set(),
        Command::Init(_) | Command::CreateContext(_) | Command::Barrier(_) | Command::Stop(_) => false,
    }
}

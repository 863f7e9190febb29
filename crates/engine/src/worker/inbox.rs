//! Commands, in the order in which they came.

use std::collections::VecDeque;

use tokio::sync::mpsc;

use super::command::Command;
use crate::error::Error;
use crate::llama::AbortFlag;

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
                Command::Init(_) | Command::LoadModel(_) | Command::CreateContext(_) | Command::Query(_) if self.stop.is_set() => {}
                wanted => return Some(wanted),
            }
        }
    }

    /// Takes what can be done beside running generations and comes next, without waiting; what is behind another command must wait for it.
    /// What was aborted meanwhile need not wait for anything.
    pub(super) fn take_concurrent(&mut self) -> Vec<Command> {
        while let Ok(command) = self.commands.try_recv() {
            self.waiting.push_back(command);
        }
        let n_concurrent = self.waiting.iter().take_while(|command| is_concurrent(command)).count();
        let taken = self.waiting.drain(..n_concurrent).collect();
        if self.waiting.iter().any(is_aborted) {
            self.answer_aborted();
        }
        taken
    }

    fn answer_aborted(&mut self) {
        for command in std::mem::take(&mut self.waiting) {
            match command {
                Command::Job(_, job) if job.is_aborted() => job.refuse(Error::Aborted),
                Command::LoadModel(command) if command.abort.is_set() => command.reply.end(Err(Error::Aborted)),
                other => self.waiting.push_back(other),
            }
        }
    }
}

fn is_aborted(command: &Command) -> bool {
    match command {
        Command::Job(_, job) => job.is_aborted(),
        Command::LoadModel(command) => command.abort.is_set(),
        _ => false,
    }
}

/// Whether a command leaves running generations as they are.
pub(super) fn is_concurrent(command: &Command) -> bool {
    matches!(command, Command::Job(..) | Command::CreateSession(_) | Command::Query(_))
}

//! The message contract on the engine: an inbound message becomes a step, the step's events become outbound messages.
//!
//! How messages travel (which kind of port) is `js/port.js`'s. Steps take effect in the order in which they were sent, since each is one
//! command to the engine thread; only `abort` acts at once.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use llama_worker_engine::worker::{
    ContextOptions, CreateContext, Event, GenerationOptions, GenerationRequest, Input, LoadModel, ModelParams, Reply,
};

use crate::contract::{Body, Locale, Outbound, Phrase, RequestId, Step};
use crate::error::Refusal;
use crate::options::{self, Any, Fields};
use crate::stream::Outgoing;
use crate::worker::LlamaWorker;

type Result<Value> = std::result::Result<Value, Refusal>;

/// What the port remembers between messages.
#[derive(Default)]
pub(crate) struct Conversation {
    locale: Cell<Locale>,
    /// Given at `load_model`, used by the next contexts.
    context_size: Cell<Option<u32>>,
    batch_size: Cell<Option<u32>>,
    ignores_memory: Cell<bool>,
    /// Given at `load_model`, used by generations.
    seed: Cell<Option<u32>>,
}

impl Conversation {
    pub(crate) fn locale(&self) -> Locale {
        self.locale.get()
    }

    fn context_options(&self, mut options: ContextOptions) -> ContextOptions {
        options.context_size = options.context_size.or(self.context_size.get());
        options.batch_size = options.batch_size.or(self.batch_size.get());
        options.ignores_memory |= self.ignores_memory.get();
        options
    }

    fn generation_options(&self, mut options: GenerationOptions) -> GenerationOptions {
        options.sampling.seed = options.sampling.seed.or(self.seed.get());
        options
    }
}

impl LlamaWorker {
    pub(crate) fn on_message(&self, message: Any<'_>) -> Result<u32> {
        let id = self.begin()?;
        // Anything that is no object has no type, and is answered so.
        let message = Fields::of("message", message).or_else(|_| Fields::of("message", Any::E(())))?;
        let step = Step {
            id,
            request_id: request_id(&message)?,
            locale: self.conversation.locale(),
        };
        match message.get("type")? {
            Some(Any::C(name)) if name == "init" => self.on_init(step, &message),
            Some(Any::C(name)) if name == "load_model" => self.on_load(step, &message),
            Some(Any::C(name)) if name == "create_context" => self.on_create_context(step, &message),
            Some(Any::C(name)) if name == "generate_completion" => self.on_generate(step, &message, prompt),
            Some(Any::C(name)) if name == "generate_chat_completion" => self.on_generate(step, &message, chat),
            Some(Any::C(name)) if name == "abort" => {
                self.outbox.abort(
                    None,
                    Some(Outgoing::Message {
                        message: step.info(&Phrase::Aborted),
                    }),
                );
                return Ok(0);
            }
            other => {
                let name = type_text(other);
                self.outbox.push(Outgoing::Message {
                    message: step.plain_error(&Phrase::UnknownType(name), "UNKNOWN_MESSAGE_TYPE"),
                });
                return Ok(0);
            }
        }
        Ok(id)
    }

    fn on_init(&self, mut step: Step, message: &Fields<'_>) {
        let options = nested(message).and_then(|fields| {
            self.conversation.locale.set(locale(&fields)?);
            options::init(&fields)
        });
        step.locale = self.conversation.locale();
        match options {
            Ok(options) => {
                let reply = self.step_reply(step, Step::on_init);
                self.handle.init(self.init_command(options, reply));
            }
            Err(refusal) => self.refuse(step, Some(Phrase::Initializing), Phrase::InitFailed, refusal),
        }
    }

    fn on_load(&self, step: Step, message: &Fields<'_>) {
        match self.load_params(message) {
            Ok((params, path)) => {
                let abort = self.handle.abort_flag();
                self.outbox.begin(step.id, &abort, false);
                let reply = self.step_reply(step, move |step, event| step.on_load(&path, event));
                self.handle.load_model(LoadModel { params, abort, reply });
            }
            Err(refusal) => self.refuse(step, None, Phrase::LoadFailed, refusal),
        }
    }

    /// Also remembers what the message says of later contexts and generations.
    fn load_params(&self, message: &Fields<'_>) -> Result<(ModelParams, String)> {
        let fields = nested(message)?;
        // The older form has the path beside the options.
        let path = fields.get("modelPath")?.or(message.get("modelPath")?);
        let params = options::model(path, &fields)?;
        let context = options::context(&fields)?;
        self.conversation.seed.set(options::seed(&fields)?);
        self.conversation.context_size.set(context.context_size);
        self.conversation.batch_size.set(context.batch_size);
        self.conversation.ignores_memory.set(context.ignores_memory);
        let path = params.path.display().to_string();
        Ok((params, path))
    }

    fn on_create_context(&self, step: Step, message: &Fields<'_>) {
        match nested(message).and_then(|fields| options::context(&fields)) {
            Ok(options) => {
                let options = self.conversation.context_options(options);
                let reply = self.step_reply(step, Step::on_context);
                self.handle.create_context(CreateContext { options, reply });
            }
            Err(refusal) => self.refuse(step, Some(Phrase::CreatingContext), Phrase::ContextFailed, refusal),
        }
    }

    fn on_generate(&self, step: Step, message: &Fields<'_>, read_input: fn(&Fields<'_>) -> Result<Input>) {
        let parsed = read_input(message).and_then(|input| Ok((input, options::generation(&nested(message)?)?)));
        let (input, options) = match parsed {
            Ok((input, options)) => (input, self.conversation.generation_options(options)),
            Err(refusal) => return self.refuse(step, Some(Phrase::Generating), Phrase::GenerationFailed, refusal),
        };
        let abort = self.handle.abort_flag();
        self.outbox.begin(step.id, &abort, true);
        let outbox = Arc::clone(&self.outbox);
        let flag = abort.clone();
        let reply = Reply::new(move |event| match event {
            Event::Started => outbox.push_unless_aborted(&flag, sent(step.info(&Phrase::Generating))),
            Event::Text(chunk) => outbox.push_unless_aborted(&flag, sent(step.message(Body::CompletionChunk { chunk }))),
            Event::Progress(_) => {}
            Event::Ended(result) => outbox.end(step.id, |was_aborted| {
                let [first, second] = step.generation_end(result, was_aborted);
                [first.map(sent), second.map(sent), Some(done(&step))]
            }),
        });
        self.handle.generate(GenerationRequest {
            input,
            options,
            abort,
            accepted_at: Instant::now(),
            reply,
        });
    }

    /// A reply whose events become the messages that `answers` makes of them.
    fn step_reply<Value: 'static>(
        &self,
        step: Step,
        answers: impl Fn(&Step, &Event<Value>) -> Vec<Outbound> + Send + 'static,
    ) -> Reply<Value> {
        let outbox = Arc::clone(&self.outbox);
        Reply::new(move |event| {
            for message in answers(&step, &event) {
                outbox.push(sent(message));
            }
            if matches!(event, Event::Ended(_)) {
                outbox.end(step.id, |_| [Some(done(&step))]);
            }
        })
    }

    /// Answers a step whose message cannot be understood, in its turn.
    fn refuse(&self, step: Step, opening: Option<Phrase>, failure: Phrase, refusal: Refusal) {
        let outbox = Arc::clone(&self.outbox);
        let (code, reason) = (refusal.status.name(), refusal.reason.clone());
        self.handle.barrier(Reply::new(move |event| {
            if !matches!(event, Event::Ended(_)) {
                return;
            }
            let opening = opening.as_ref().map(|phrase| sent(step.info(phrase)));
            let error = step.refused(&failure, reason.clone(), code);
            outbox.end(step.id, |_| [opening, Some(sent(error)), Some(done(&step))]);
        }));
    }
}

fn sent(message: Outbound) -> Outgoing {
    Outgoing::Message { message }
}

fn done(step: &Step) -> Outgoing {
    Outgoing::Done { id: step.id, value: None }
}

fn request_id(message: &Fields<'_>) -> Result<Option<RequestId>> {
    Ok(match message.get("requestId")? {
        Some(Any::C(text)) => Some(RequestId::Text(text)),
        Some(Any::B(number)) => Some(RequestId::Number(number)),
        _ => None,
    })
}

/// The options of a message; none when there are none.
fn nested<'env>(message: &Fields<'env>) -> Result<Fields<'env>> {
    Fields::of("options", message.get("options")?.unwrap_or(Any::E(())))
}

fn locale(fields: &Fields<'_>) -> Result<Locale> {
    match fields.get("locale")? {
        None => Ok(Locale::default()),
        Some(Any::C(name)) if name == "pt" || name.starts_with("pt-") => Ok(Locale::Portuguese),
        Some(Any::C(name)) if name == "en" || name.starts_with("en-") => Ok(Locale::English),
        Some(other) => Err(options::invalid("locale", &other, "\"pt\" or \"en\"")),
    }
}

fn prompt(message: &Fields<'_>) -> Result<Input> {
    match message.get("prompt")? {
        Some(Any::C(prompt)) => Ok(Input::Prompt(prompt)),
        other => Err(options::invalid("prompt", &other.unwrap_or(Any::E(())), "a string")),
    }
}

fn chat(message: &Fields<'_>) -> Result<Input> {
    options::messages(&message.get("messages")?.unwrap_or(Any::E(()))).map(Input::Messages)
}

/// A message's type as JavaScript would print it.
fn type_text(value: Option<Any<'_>>) -> String {
    match value {
        None => "undefined".into(),
        Some(Any::C(name)) => name,
        Some(Any::B(number)) => number.to_string(),
        Some(Any::A(boolean)) => boolean.to_string(),
        Some(_) => "[object Object]".into(),
    }
}

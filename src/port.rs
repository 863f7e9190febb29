//! The message contract on the engine: an inbound message becomes a step, the step's events become outbound messages.
//!
//! How messages travel (which kind of port) is `js/port.js`'s. Steps take effect in the order in which they were sent, since each is one
//! command to the engine thread; only `abort` acts at once.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use llama_worker_engine::worker::{CreateContext, Event, GenerationRequest, Input, LoadModel, ModelDefaults, ModelParams, Reply, Standing};

use crate::contract::{Body, Locale, Outbound, Phrase, RequestId, Step, StepKind};
use crate::error::{Code, Refusal};
use crate::options::{self, Any, Fields};
use crate::stream::Outgoing;
use crate::worker::LlamaWorker;

type Result<Value> = std::result::Result<Value, Refusal>;

/// What the port remembers between messages.
#[derive(Default)]
pub(crate) struct Conversation {
    locale: Cell<Locale>,
}

impl Conversation {
    pub(crate) fn locale(&self) -> Locale {
        self.locale.get()
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
            Some(Any::C(name)) if name == "init" => self.on_init(step, &message)?,
            Some(Any::C(name)) if name == "load_model" => self.on_load(step, &message)?,
            Some(Any::C(name)) if name == "create_context" => self.on_create_context(step, &message)?,
            Some(Any::C(name)) if name == "generate_completion" => self.on_generate(step, &message, prompt)?,
            Some(Any::C(name)) if name == "generate_chat_completion" => self.on_generate(step, &message, chat)?,
            Some(Any::C(name)) if name == "abort" => {
                self.outbox.abort(None, Some(sent(step.info(&Phrase::Aborted))));
                return Ok(0);
            }
            _ => {
                let phrase = Phrase::UnknownType(type_text(message.read("type")?));
                self.outbox.push(sent(step.plain_error(&phrase, "UNKNOWN_MESSAGE_TYPE")));
                return Ok(0);
            }
        }
        Ok(id)
    }

    fn on_init(&self, mut step: Step, message: &Fields<'_>) -> Result<()> {
        let options = nested(message).and_then(|fields| {
            // What is wrong with the rest is said in the language that was asked for.
            step.locale = locale(&fields)?;
            options::init(&fields)
        });
        match options {
            Ok(options) => {
                self.conversation.locale.set(step.locale);
                self.handle.init(self.init_command(options, self.step_reply(step, Step::on_init)));
            }
            Err(refusal) => self.refuse(step, StepKind::Init, refusal)?,
        }
        Ok(())
    }

    fn on_load(&self, step: Step, message: &Fields<'_>) -> Result<()> {
        let (params, defaults) = match load_options(message) {
            Ok(options) => options,
            Err(refusal) => return self.refuse(step, StepKind::Load, refusal),
        };
        let abort = self.handle.abort_flag();
        self.outbox.begin(step.id, &abort, false);
        let path = params.path.display().to_string();
        let reply = self.step_reply(step, move |step, event| step.on_load(&path, event));
        self.handle.load_model(LoadModel {
            params,
            defaults,
            abort,
            reply,
        });
        Ok(())
    }

    fn on_create_context(&self, step: Step, message: &Fields<'_>) -> Result<()> {
        match nested(message).and_then(|fields| options::context(&fields)) {
            Ok(options) => {
                let reply = self.step_reply(step, Step::on_context);
                self.handle.create_context(CreateContext { options, reply });
            }
            Err(refusal) => self.refuse(step, StepKind::Context, refusal)?,
        }
        Ok(())
    }

    fn on_generate(&self, step: Step, message: &Fields<'_>, read_input: fn(&Fields<'_>) -> Result<Input>) -> Result<()> {
        let parsed = read_input(message).and_then(|input| Ok((input, options::generation(&nested(message)?)?)));
        let (input, options) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse(step, StepKind::Generation, refusal),
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
        Ok(())
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

    /// Answers a step whose message cannot be understood, in its turn. An exception that JavaScript threw while its message was read is not
    /// answered but thrown.
    fn refuse(&self, step: Step, kind: StepKind, refusal: Refusal) -> Result<()> {
        if refusal.status == Code::PENDING_EXCEPTION {
            return Err(refusal);
        }
        let outbox = Arc::clone(&self.outbox);
        let (code, reason) = (refusal.status.name(), refusal.reason.clone());
        self.handle.barrier(Reply::new(move |event| {
            if let Event::Ended(standing) = event {
                // A worker that ends says nothing of how far it had come: then the message itself is what is wrong.
                let standing = standing.unwrap_or(Standing::ContextCreated);
                let [first, second] = step.refusal(kind, standing, &reason, code);
                outbox.end(step.id, |_| [first.map(sent), second.map(sent), Some(done(&step))]);
            }
        }));
        Ok(())
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
        Some(Any::A(boolean)) => Some(RequestId::Boolean(boolean)),
        _ => None,
    })
}

/// The options of a message; none when there are none.
fn nested<'env>(message: &Fields<'env>) -> Result<Fields<'env>> {
    Fields::of("options", message.get("options")?.unwrap_or(Any::E(())))
}

/// How to load, and what then holds for contexts and generations.
fn load_options(message: &Fields<'_>) -> Result<(ModelParams, ModelDefaults)> {
    let fields = nested(message)?;
    // The older form has the path beside the options.
    let path = fields.get("modelPath")?.or(message.get("modelPath")?);
    let params = options::model(path, &fields)?;
    let context = options::context(&fields)?;
    let defaults = ModelDefaults {
        context_size: context.context_size,
        batch_size: context.batch_size,
        seed: options::seed(&fields)?,
        ignores_memory: context.ignores_memory,
    };
    Ok((params, defaults))
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
fn type_text(value: Any<'_>) -> String {
    match value {
        Any::A(boolean) => boolean.to_string(),
        Any::B(number) => number.to_string(),
        Any::C(name) => name,
        Any::D(_) => "null".into(),
        Any::E(()) => "undefined".into(),
        Any::F(_) | Any::G(_) => "[object Object]".into(),
    }
}

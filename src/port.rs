//! The message contract on the engine: an inbound message becomes a step, the step's events become outbound messages.
//!
//! How messages travel (which kind of port) is `js/port.js`'s. Steps take effect in the order in which they were sent, which `turns` sees to;
//! only `abort`, `tool_result` and what is about downloads act at once.

use std::cell::Cell;
use std::sync::Arc;

use llama_worker_engine::download::{Event as DownloadEvent, Request};
use llama_worker_engine::error::Error;
use llama_worker_engine::worker::{CreateContext, Event, GenerationOptions, Input, LoadModel, ModelDefaults, ModelParams, Reply, Standing};

use crate::contract::{Locale, Outbound, Phrase, RequestId, Step, StepKind};
use crate::error::{Code, Refusal, Result, refusal};
use crate::options::{self, Any, Fields};
use crate::stream::{Abortable, Outgoing, Which};
use crate::turn::{Limits, Turn};
use crate::turns::Command;
use crate::worker::LlamaWorker;

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
    pub(crate) fn on_message(&self, message: Any<'_>, is_aborted: bool) -> Result<u32> {
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
            Some(Any::C(name)) if name == "generate_completion" => self.on_generate(step, &message, prompt, is_aborted)?,
            Some(Any::C(name)) if name == "generate_chat_completion" => self.on_generate(step, &message, chat, is_aborted)?,
            Some(Any::C(name)) if name == "abort" => {
                self.abort_with(None, Some(sent(step.info(&Phrase::Aborted))));
                return Ok(0);
            }
            Some(Any::C(name)) if name == "download_model" => self.on_download(&step, &message)?,
            Some(Any::C(name)) if name == "abort_download" => {
                self.outbox.abort(Which::Downloads, Some(sent(step.info(&Phrase::DownloadAborted))));
                return Ok(0);
            }
            Some(Any::C(name)) if name == "tool_result" => return self.on_tool_result(&step, &message).map(|()| 0),
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
                let command = self.init_command(options, self.step_reply(step, Step::on_init));
                self.turns.submit(Command::Init(command));
            }
            Err(refusal) => self.refuse(step, StepKind::Init, refusal)?,
        }
        Ok(())
    }

    fn on_load(&self, step: Step, message: &Fields<'_>) -> Result<()> {
        let options = match load_options(message) {
            Ok(options) => options,
            Err(refusal) => return self.refuse(step, StepKind::Load, refusal),
        };
        let abort = self.handle.abort_flag();
        self.outbox.begin(step.id, Abortable::Load(abort.clone()));
        let path = options.params.path.display().to_string();
        let has_own_template = options.chat_template.is_some();
        let reply = self.step_reply(step, move |step, event| step.on_load(&path, has_own_template, event));
        self.turns.submit(Command::LoadModel(LoadModel {
            params: options.params,
            defaults: options.defaults,
            chat_template: options.chat_template,
            abort,
            reply,
        }));
        Ok(())
    }

    /// Begins at once, whatever else is under way.
    fn on_download(&self, step: &Step, message: &Fields<'_>) -> Result<()> {
        match download_options(message) {
            Ok(request) => self.begin_download(step.id, request, {
                let step = step.clone();
                move |ids, event| {
                    let end = matches!(event, DownloadEvent::Ended(_)).then(|| done(&step));
                    step.on_download(ids, event).into_iter().map(sent).chain(end).collect()
                }
            }),
            Err(refusal) if refusal.status == Code::PENDING_EXCEPTION => return Err(refusal),
            Err(refusal) => {
                let failure = step.download_failure(refusal.reason.clone(), refusal.status.name());
                let [first, second] = failure.map(|message| Some(sent(message)));
                self.outbox.end(step.id, |_| [first, second, Some(done(step))]);
            }
        }
        Ok(())
    }

    fn on_create_context(&self, step: Step, message: &Fields<'_>) -> Result<()> {
        match nested(message).and_then(|fields| options::context(&fields)) {
            Ok(options) => {
                let reply = self.step_reply(step, Step::on_context);
                self.turns.submit(Command::CreateContext(CreateContext { options, reply }));
            }
            Err(refusal) => self.refuse(step, StepKind::Context, refusal)?,
        }
        Ok(())
    }

    fn on_generate(&self, step: Step, message: &Fields<'_>, read_input: fn(&Fields<'_>) -> Result<Input>, is_aborted: bool) -> Result<()> {
        let parsed = read_input(message).and_then(|input| Ok((input, generation_options(message)?)));
        let (input, (options, limits)) = match parsed {
            Ok(parsed) => parsed,
            Err(refusal) => return self.refuse(step, StepKind::Generation, refusal),
        };
        let abort = self.handle.abort_flag();
        if is_aborted {
            abort.set();
        }
        self.outbox.begin(step.id, Abortable::Generation(abort.clone()));
        let turn = Box::new(Turn::new(step, abort, options, limits));
        self.turns.submit(Command::Generate(turn, input));
        Ok(())
    }

    /// Results that a turn waits for let it go on; others are answered with an error, and nothing happens.
    fn on_tool_result(&self, step: &Step, message: &Fields<'_>) -> Result<()> {
        let taken = tool_results(message).and_then(|results| {
            let unexpected = |id| Error::InvalidMessages {
                reason: format!("no tool call `{id}` waits for a result"),
            };
            self.turns.take_results(results).map_err(|id| refusal(unexpected(id)))
        });
        match taken {
            Err(refusal) if refusal.status == Code::PENDING_EXCEPTION => return Err(refusal),
            Err(refusal) => {
                let code = Error::InvalidMessages { reason: String::new() }.code();
                let answer = step.failure_text(&Phrase::UnexpectedToolResult, refusal.reason.clone(), code);
                self.outbox.push(sent(answer));
            }
            Ok(()) => {}
        }
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
        self.turns.submit(Command::Barrier(Reply::new(move |event| {
            if let Event::Ended(standing) = event {
                // A worker that ends says nothing of how far it had come: then the message itself is what is wrong.
                let standing = standing.unwrap_or(Standing::ContextCreated);
                let [first, second] = step.refusal(kind, standing, &reason, code);
                outbox.end(step.id, |_| [first.map(sent), second.map(sent), Some(done(&step))]);
            }
        })));
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
struct LoadOptions {
    params: ModelParams,
    defaults: ModelDefaults,
    chat_template: Option<String>,
}

fn load_options(message: &Fields<'_>) -> Result<LoadOptions> {
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
    Ok(LoadOptions {
        params,
        defaults,
        chat_template: options::chat_template(&fields)?,
    })
}

fn download_options(message: &Fields<'_>) -> Result<Request> {
    let fields = nested(message)?;
    match message.first(["modelId", "modelIds"])? {
        Some((name, ids)) => options::download(name, &ids, &fields),
        None => options::download("modelId", &Any::E(()), &fields),
    }
}

fn generation_options(message: &Fields<'_>) -> Result<(GenerationOptions, Limits)> {
    let fields = nested(message)?;
    let limits = Limits {
        max_tool_rounds: options::max_tool_rounds(&fields)?,
        streams_reasoning: fields.boolean("streamReasoning")?.unwrap_or(false),
    };
    Ok((options::generation(&fields)?, limits))
}

/// The results in a message, each with the id of its call: those in `results`, or the one that the message itself is.
fn tool_results(message: &Fields<'_>) -> Result<Vec<(String, String)>> {
    let Some(results) = message.get("results")? else {
        return Ok(vec![tool_result("", message)?]);
    };
    let Some(list) = options::elements(&results)? else {
        return Err(options::invalid("results", &results, "an array of { toolCallId, result }"));
    };
    let read = |(index, element): (usize, Result<Any<'_>>)| {
        let name = format!("results[{index}]");
        tool_result(&name, &Fields::inside(&name, element?)?)
    };
    let list = list.enumerate().map(read).collect::<Result<Vec<_>>>()?;
    if list.is_empty() {
        return Err(options::invalid("results", &results, "at least one result"));
    }
    Ok(list)
}

fn tool_result(place: &str, fields: &Fields<'_>) -> Result<(String, String)> {
    let id = fields.string("toolCallId")?;
    let id = id.ok_or_else(|| fields.refused("toolCallId", &Any::E(()), "the id of a tool call"))?;
    let name = if place.is_empty() {
        "result".to_owned()
    } else {
        format!("{place}.result")
    };
    let text = match fields.read("result")? {
        Any::C(text) => text,
        Any::E(()) => "null".into(),
        other => options::json(&name, &other)?.to_string(),
    };
    Ok((id, text))
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
    options::answerable(&message.get("messages")?.unwrap_or(Any::E(()))).map(Input::Messages)
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

//! The class `LlamaWorker`, as native code gives it: each method validates, sends and returns a request id.
//!
//! What the id's promise, iterator or signal is made of is `js/`'s. Methods never block and never call back before they return.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use llama_worker_engine::chat::Message;
use llama_worker_engine::error::Error;
use llama_worker_engine::sampling::Constraint;
use llama_worker_engine::worker::{
    ApplyTemplate, ContextInfo, CreateContext, CreateSession, Event, GenerationOptions, GenerationRequest, GenerationResult, GpuBackend,
    Init, InitInfo, Input, Job, LoadModel, ModelDefaults, ModelInfo, Query, RenderedPrompt, Reply, SessionId, WorkerHandle,
};
use napi::bindgen_prelude::ObjectFinalize;
use napi::{CleanupEnvHook, Env};
use napi_derive::napi;

use crate::answer::{Answer, GenerationAnswer, MessageAnswer, ModelAnswer};
use crate::contract::{Phrase, Step};
use crate::download::Downloads;
use crate::error::{Result, boundary, refusal};
use crate::options::{self, Any, Fields};
use crate::port::Conversation;
use crate::stream::{Abortable, OnEvents, Outbox, Outgoing, Which};
use crate::turns::Turns;

/// How long an environment that is torn down waits for its engine thread, which needs one graph node to notice, and for its downloads, which
/// write out what they have.
const TEARDOWN_WAIT: Duration = Duration::from_secs(5);

/// The native part of the class in `js/llama-worker.js`, which holds one.
#[napi(custom_finalize)]
pub struct LlamaWorker {
    pub(crate) handle: Arc<WorkerHandle>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) conversation: Conversation,
    pub(crate) turns: Arc<Turns>,
    pub(crate) downloads: Arc<Downloads>,
    pub(crate) native_directory: PathBuf,
    gpu_backends: Vec<GpuBackend>,
    teardown: Option<CleanupEnvHook<Teardown>>,
    last_id: Cell<u32>,
    is_stopped: Cell<bool>,
}

#[napi]
impl LlamaWorker {
    /// `onEvents` gets arrays of events, in order; `nativeDirectory` is the folder with the libraries beside the addon; `gpuBackends` are
    /// those that this platform can have.
    #[napi(
        constructor,
        ts_args_type = "onEvents: (events: object[]) => void, nativeDirectory: string, gpuBackends?: { gpu: string, library?: string, remedy: string }[]"
    )]
    pub fn new(env: Env, on_events: OnEvents<'_>, native_directory: String, gpu_backends: Any<'_>) -> Result<Self> {
        let gpu_backends = options::gpu_backends(&gpu_backends)?;
        let outbox = Arc::new(Outbox::new(&on_events).map_err(boundary)?);
        let handle = Arc::new(WorkerHandle::start().map_err(refusal)?);
        let downloads = Arc::new(Downloads::default());
        let ours = (Arc::downgrade(&handle), Arc::downgrade(&downloads));
        let teardown = env.add_env_cleanup_hook(ours, stop_at_teardown).map_err(boundary)?;
        let turns = Arc::new(Turns::new(&handle, &outbox));
        Ok(Self {
            handle,
            outbox,
            conversation: Conversation::default(),
            turns,
            downloads,
            native_directory: native_directory.into(),
            gpu_backends,
            teardown: Some(teardown),
            last_id: Cell::new(0),
            is_stopped: Cell::new(false),
        })
    }

    /// Loads the compute backends.
    #[napi(ts_args_type = "options?: object")]
    pub fn init(&self, options: Any<'_>) -> Result<u32> {
        let options = options::init(&Fields::of("options", options)?)?;
        let id = self.begin()?;
        self.handle
            .init(self.init_command(options, self.reply(id, |info: &InitInfo| Some(Answer::Init(info.into())))));
        Ok(id)
    }

    /// Loads a model; `path` counts before the `modelPath` of the options.
    #[napi(ts_args_type = "options?: object, path?: string")]
    pub fn load_model(&self, options: Any<'_>, path: Any<'_>) -> Result<u32> {
        let fields = Fields::of("options", options)?;
        let path = if matches!(path, Any::E(())) {
            fields.get("modelPath")?
        } else {
            Some(path)
        };
        let params = options::model(path, &fields)?;
        let chat_template = options::chat_template(&fields)?;
        let defaults = ModelDefaults {
            ignores_memory: fields.boolean("ignoreMemorySafetyChecks")?.unwrap_or(false),
            ..ModelDefaults::default()
        };
        let id = self.begin()?;
        let abort = self.handle.abort_flag();
        self.outbox.begin(id, Abortable::Load(abort.clone()));
        let has_own_template = chat_template.is_some();
        let reply = self.reply(id, move |info: &ModelInfo| {
            Some(Answer::Model(ModelAnswer::new(info, has_own_template)))
        });
        self.handle.load_model(LoadModel {
            params,
            defaults,
            chat_template,
            abort,
            reply,
        });
        Ok(id)
    }

    /// Creates the context, in place of the one before.
    #[napi(ts_args_type = "options?: object")]
    pub fn create_context(&self, options: Any<'_>) -> Result<u32> {
        let options = options::context(&Fields::of("options", options)?)?;
        let id = self.begin()?;
        let reply = self.reply(id, |info: &ContextInfo| Some(Answer::Context((*info).into())));
        self.handle.create_context(CreateContext { options, reply });
        Ok(id)
    }

    /// Generates from a prompt or messages, in a session or in the default one.
    #[napi(ts_args_type = "input: string | object[], options?: object, session?: number")]
    pub fn generate(&self, input: Any<'_>, options: Any<'_>, session: Any<'_>) -> Result<u32> {
        let session = options::session(&session)?;
        let options = options::generation(&Fields::of("options", options)?)?;
        self.begin_generation(session, options::input(input)?, options)
    }

    /// Evaluates a prompt, so that an answer to it can begin sooner.
    #[napi(ts_args_type = "prompt: string | object[], options?: object, session?: number")]
    pub fn preload(&self, prompt: Any<'_>, options: Any<'_>, session: Any<'_>) -> Result<u32> {
        let session = options::session(&session)?;
        let options = GenerationOptions {
            is_preload: true,
            ..options::generation(&Fields::of("options", options)?)?
        };
        self.begin_generation(session, options::input(prompt)?, options)
    }

    /// Begins a session under a number that none had before.
    #[napi(ts_args_type = "session: number, options?: object")]
    pub fn create_session(&self, session: Any<'_>, options: Any<'_>) -> Result<u32> {
        let session = options::own_session(&session)?;
        let initial = options::new_session(&Fields::of("options", options)?)?;
        let id = self.begin()?;
        self.handle.create_session(CreateSession {
            id: session,
            initial,
            reply: self.reply(id, nothing),
        });
        Ok(id)
    }

    /// What was said in a session.
    #[napi(ts_args_type = "session?: number")]
    pub fn session_history(&self, session: Any<'_>) -> Result<u32> {
        let messages = |messages: &Vec<Message>| Some(Answer::Messages(messages.iter().map(MessageAnswer::from).collect()));
        self.submit(&session, |id| Job::History(self.reply(id, messages)))
    }

    /// Puts messages in place of what was said.
    #[napi(ts_args_type = "session: number, messages: object[]")]
    pub fn set_session_history(&self, session: Any<'_>, messages: Any<'_>) -> Result<u32> {
        let messages = options::history(&messages)?;
        self.submit(&session, |id| Job::SetHistory(messages, self.reply(id, nothing)))
    }

    /// Goes back to what a session began with.
    #[napi(ts_args_type = "session?: number")]
    pub fn reset_session(&self, session: Any<'_>) -> Result<u32> {
        self.submit(&session, |id| Job::Reset(self.reply(id, nothing)))
    }

    /// Takes back the turn that waits for results of tools.
    #[napi(ts_args_type = "session?: number")]
    pub fn abandon_tool_calls(&self, session: Any<'_>) -> Result<u32> {
        self.submit(&session, |id| Job::AbandonToolCalls(self.reply(id, nothing)))
    }

    /// Ends a session.
    #[napi(ts_args_type = "session: number")]
    pub fn dispose_session(&self, session: Any<'_>) -> Result<u32> {
        options::own_session(&session)?;
        self.submit(&session, |id| Job::Dispose(self.reply(id, nothing)))
    }

    /// Counts the tokens of a session, with `prompt` as the next thing the user says.
    #[napi(ts_args_type = "session?: number, prompt?: string, options?: object")]
    pub fn count_session_tokens(&self, session: Any<'_>, prompt: Any<'_>, options: Any<'_>) -> Result<u32> {
        let prompt = options::optional_text("prompt", prompt)?;
        let options = Box::new(options::chat(&Fields::of("options", options)?)?);
        self.submit(&session, |id| Job::CountTokens {
            prompt,
            options,
            reply: self.reply(id, |count: &usize| Some(Answer::Count(*count))),
        })
    }

    /// The tokens of a text.
    #[napi(ts_args_type = "text: string, options?: object")]
    pub fn tokenize(&self, text: Any<'_>, options: Any<'_>) -> Result<u32> {
        let text = options::text("text", text)?;
        let parse_special = options::special(&Fields::of("options", options)?)?;
        let id = self.begin()?;
        let reply = self.reply(id, |tokens: &Vec<i32>| Some(Answer::Tokens(tokens.clone())));
        self.handle.query(Query::Tokenize {
            text,
            parse_special,
            reply,
        });
        Ok(id)
    }

    /// The text of tokens.
    #[napi(ts_args_type = "tokens: number[], options?: object")]
    pub fn detokenize(&self, tokens: Any<'_>, options: Any<'_>) -> Result<u32> {
        let tokens = options::tokens(&tokens)?;
        let with_special = options::special(&Fields::of("options", options)?)?;
        let id = self.begin()?;
        let reply = self.reply(id, |text: &String| Some(Answer::Text(text.clone())));
        self.handle.query(Query::Detokenize {
            tokens,
            with_special,
            reply,
        });
        Ok(id)
    }

    /// What the model would be given for messages.
    #[napi(ts_args_type = "messages: object[], options?: object")]
    pub fn apply_chat_template(&self, messages: Any<'_>, options: Any<'_>) -> Result<u32> {
        let messages = options::messages(&messages)?;
        let fields = Fields::of("options", options)?;
        let (options, template) = (options::chat(&fields)?, options::chat_template(&fields)?);
        let id = self.begin()?;
        self.handle.query(Query::ApplyTemplate(Box::new(ApplyTemplate {
            messages,
            options,
            template,
            reply: self.reply(id, |rendered: &RenderedPrompt| Some(Answer::Rendered(rendered.into()))),
        })));
        Ok(id)
    }

    /// Aborts one request, or every generation. Returns whether there was anything to abort.
    #[napi]
    pub fn abort(&self, id: Option<u32>) -> bool {
        self.abort_with(id, None)
    }

    /// Aborts everything and frees everything.
    #[napi]
    pub fn cleanup(&self) -> u32 {
        let id = self.next_id();
        self.is_stopped.set(true);
        self.outbox.abort(Which::Generations, None);
        self.outbox.abort(Which::Downloads, None);
        let (outbox, downloads) = (Arc::clone(&self.outbox), Arc::clone(&self.downloads));
        let released = Step {
            id,
            request_id: None,
            locale: self.conversation.locale(),
        }
        .info(&Phrase::Released);
        let mut released = Some(released);
        self.turns.stop(Reply::new(move |event| {
            if matches!(event, Event::Ended(_)) {
                let message = released.take().map(|message| Outgoing::Message { message });
                let outbox = Arc::clone(&outbox);
                downloads.when_none(Box::new(move || {
                    outbox.end(id, |_| [message, Some(Outgoing::Done { id, value: None })]);
                }));
            }
        }));
        id
    }

    /// Ends every download and every engine thread of the process and waits for them, at most two seconds each. For a process that is about
    /// to exit.
    #[napi]
    pub fn stop_all() {
        llama_worker_engine::download::stop_all();
        llama_worker_engine::worker::stop_all();
    }

    /// Handles a message of the contract. Returns the id of the step it began, or 0 when it was answered at once.
    /// A generation that `isAborted` was aborted while it waited for its turn, and only ends.
    #[napi(ts_args_type = "message: unknown, isAborted?: boolean")]
    pub fn handle_message(&self, message: Any<'_>, is_aborted: Option<bool>) -> Result<u32> {
        self.on_message(message, is_aborted.unwrap_or(false))
    }
}

impl LlamaWorker {
    /// A new request's id; refused once the worker is stopped.
    pub(crate) fn begin(&self) -> Result<u32> {
        if self.is_stopped.get() {
            return Err(refusal(Error::WorkerStopped));
        }
        Ok(self.next_id())
    }

    pub(crate) fn next_id(&self) -> u32 {
        // Zero means no request.
        let id = self.last_id.get().checked_add(1).unwrap_or(1);
        self.last_id.set(id);
        id
    }

    pub(crate) fn init_command(&self, options: options::InitOptions, reply: Reply<InitInfo>) -> Init {
        Init {
            backend_directory: self.native_directory.clone(),
            gpu: options.gpu,
            gpu_backends: self.gpu_backends.clone(),
            threads: options.threads,
            debug: options.debug,
            reply,
        }
    }

    /// Aborts one request, or every generation, and says `note` first if there was anything to abort. Returns whether there was.
    pub(crate) fn abort_with(&self, id: Option<u32>, note: Option<Outgoing>) -> bool {
        let was_there = self.outbox.abort(id.map_or(Which::Generations, Which::Request), note);
        // The engine ends what it runs; a turn that waits for tools, only the port knows of.
        self.turns.end_aborted();
        was_there
    }

    fn begin_generation(&self, session: SessionId, input: Input, options: GenerationOptions) -> Result<u32> {
        let id = self.begin()?;
        let abort = self.handle.abort_flag();
        self.outbox.begin(id, Abortable::Generation(abort.clone()));
        let has_schema = matches!(options.constraint, Some(Constraint::JsonSchema(_)));
        let has_logprobs = options.logprobs.is_some();
        let answer = move |result: &GenerationResult| {
            let answer = GenerationAnswer::new(result, has_schema, has_logprobs);
            Some(Answer::Generation(Box::new(answer)))
        };
        let request = GenerationRequest {
            input,
            options,
            abort,
            accepted_at: Instant::now(),
            reply: self.reply(id, answer),
        };
        self.handle.generate(session, request);
        Ok(id)
    }

    fn submit(&self, session: &Any<'_>, job: impl FnOnce(u32) -> Job) -> Result<u32> {
        let session = options::session(session)?;
        let id = self.begin()?;
        self.handle.submit(session, job(id));
        Ok(id)
    }

    /// A reply whose events become those of request `id`.
    fn reply<Value: 'static>(&self, id: u32, answer: impl Fn(&Value) -> Option<Answer> + Send + 'static) -> Reply<Value> {
        let outbox = Arc::clone(&self.outbox);
        Reply::new(move |event| match event {
            Event::Started => {}
            Event::Progress(progress) => outbox.push(Outgoing::Progress { id, progress }),
            Event::Text(text) => outbox.push(Outgoing::Text { id, text }),
            Event::Reasoning(text) => outbox.push(Outgoing::Reasoning { id, text }),
            Event::Tokens(tokens) => outbox.push(Outgoing::Tokens { id, tokens }),
            Event::ToolCall(part) => outbox.push(Outgoing::ToolCall {
                id,
                index: part.index,
                name: part.name,
                arguments: part.arguments,
                done: part.is_done,
            }),
            Event::Ended(Ok(value)) => outbox.end(id, |_| [Some(Outgoing::Done { id, value: answer(&value) })]),
            Event::Ended(Err(error)) => outbox.end(id, |_| [Some(failure(id, &error))]),
        })
    }
}

/// The answer of a request that has no value.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "as every answer")]
fn nothing((): &()) -> Option<Answer> {
    None
}

pub(crate) fn failure(id: u32, error: &Error) -> Outgoing {
    Outgoing::Error {
        id,
        code: error.code(),
        message: error.to_string(),
        cause: error.cause(),
    }
}

impl ObjectFinalize for LlamaWorker {
    /// Garbage collection: the handle's drop ends the thread, without waiting for it. Downloads end in the same way.
    fn finalize(mut self, env: Env) -> napi::Result<()> {
        self.outbox.abort(Which::Downloads, None);
        self.teardown.take().map_or(Ok(()), |hook| env.remove_env_cleanup_hook(hook))
    }
}

/// What an environment that goes away has to end.
type Teardown = (Weak<WorkerHandle>, Weak<Downloads>);

/// The environment is going away (a worker thread ends, Electron reloads): nothing of ours may run on after it.
fn stop_at_teardown((handle, downloads): Teardown) {
    if let Some(downloads) = downloads.upgrade() {
        downloads.stop_and_wait(TEARDOWN_WAIT);
    }
    if let Some(handle) = handle.upgrade() {
        handle.stop_and_wait(TEARDOWN_WAIT);
    }
}

//! The class `LlamaWorker`, as native code gives it: each method validates, sends and returns a request id.
//!
//! What the id's promise, iterator or signal is made of is `js/`'s. Methods never block and never call back before they return.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use llama_worker_engine::error::Error;
use llama_worker_engine::worker::{
    ContextInfo, CreateContext, Event, GenerationRequest, GenerationResult, Init, InitInfo, LoadModel, ModelDefaults, ModelInfo, Reply,
    WorkerHandle,
};
use napi::bindgen_prelude::ObjectFinalize;
use napi::{CleanupEnvHook, Env};
use napi_derive::napi;

use crate::answer::Answer;
use crate::contract::{Phrase, Step};
use crate::error::{Refusal, boundary, refusal};
use crate::options::{self, Any, Fields};
use crate::port::Conversation;
use crate::stream::{OnEvents, Outbox, Outgoing};

/// How long an environment that is torn down waits for its engine thread, which needs one graph node to notice.
const TEARDOWN_WAIT: Duration = Duration::from_secs(5);

type Result<Value> = std::result::Result<Value, Refusal>;

/// The native part of the class that `js/llama-worker.js` extends.
#[napi(custom_finalize)]
pub struct LlamaWorker {
    pub(crate) handle: Arc<WorkerHandle>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) conversation: Conversation,
    pub(crate) native_directory: PathBuf,
    teardown: Option<CleanupEnvHook<Weak<WorkerHandle>>>,
    last_id: Cell<u32>,
    is_stopped: Cell<bool>,
}

#[napi]
impl LlamaWorker {
    /// `onEvents` gets arrays of events, in order; `nativeDirectory` is the folder with the libraries beside the addon.
    #[napi(constructor, ts_args_type = "onEvents: (events: object[]) => void, nativeDirectory: string")]
    pub fn new(env: Env, on_events: OnEvents<'_>, native_directory: String) -> Result<Self> {
        let outbox = Arc::new(Outbox::new(&on_events).map_err(boundary)?);
        let handle = Arc::new(WorkerHandle::start().map_err(refusal)?);
        let teardown = env
            .add_env_cleanup_hook(Arc::downgrade(&handle), stop_at_teardown)
            .map_err(boundary)?;
        Ok(Self {
            handle,
            outbox,
            conversation: Conversation::default(),
            native_directory: native_directory.into(),
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
        let id = self.begin()?;
        let abort = self.handle.abort_flag();
        self.outbox.begin(id, &abort, false);
        let reply = self.reply(id, |info: &ModelInfo| Some(Answer::Model(info.into())));
        let defaults = ModelDefaults::default();
        self.handle.load_model(LoadModel {
            params,
            defaults,
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

    /// Generates from a prompt or messages.
    #[napi(ts_args_type = "input: string | object[], options?: object")]
    pub fn generate(&self, input: Any<'_>, options: Any<'_>) -> Result<u32> {
        let options = options::generation(&Fields::of("options", options)?)?;
        let input = options::input(input)?;
        let id = self.begin()?;
        let abort = self.handle.abort_flag();
        self.outbox.begin(id, &abort, true);
        let reply = self.reply(id, |result: &GenerationResult| Some(Answer::Generation(result.into())));
        self.handle.generate(GenerationRequest {
            input,
            options,
            abort,
            accepted_at: Instant::now(),
            reply,
        });
        Ok(id)
    }

    /// Aborts one request, or every generation. Returns whether there was anything to abort.
    #[napi]
    pub fn abort(&self, id: Option<u32>) -> bool {
        self.outbox.abort(id, None)
    }

    /// Aborts everything and frees everything.
    #[napi]
    pub fn cleanup(&self) -> u32 {
        let id = self.next_id();
        self.is_stopped.set(true);
        let outbox = Arc::clone(&self.outbox);
        let released = Step {
            id,
            request_id: None,
            locale: self.conversation.locale(),
        }
        .info(&Phrase::Released);
        let mut released = Some(released);
        self.handle.stop(Reply::new(move |event| {
            if matches!(event, Event::Ended(_)) {
                let message = released.take().map(|message| Outgoing::Message { message });
                outbox.end(id, |_| [message, Some(Outgoing::Done { id, value: None })]);
            }
        }));
        id
    }

    /// Ends every engine thread of the process and waits for them, at most two seconds. For a process that is about to exit.
    #[napi]
    pub fn stop_all() {
        llama_worker_engine::worker::stop_all();
    }

    /// Handles a message of the contract. Returns the id of the step it began, or 0 when it was answered at once.
    #[napi(ts_args_type = "message: unknown")]
    pub fn handle_message(&self, message: Any<'_>) -> Result<u32> {
        self.on_message(message)
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
            threads: options.threads,
            debug: options.debug,
            reply,
        }
    }

    /// A reply whose events become those of request `id`.
    fn reply<Value: 'static>(&self, id: u32, answer: fn(&Value) -> Option<Answer>) -> Reply<Value> {
        let outbox = Arc::clone(&self.outbox);
        Reply::new(move |event| match event {
            Event::Started => {}
            Event::Progress(progress) => outbox.push(Outgoing::Progress { id, progress }),
            Event::Text(text) => outbox.push(Outgoing::Text { id, text }),
            Event::Ended(Ok(value)) => outbox.end(id, |_| [Some(Outgoing::Done { id, value: answer(&value) })]),
            Event::Ended(Err(error)) => {
                outbox.end(id, |_| {
                    [Some(Outgoing::Error {
                        id,
                        code: error.code(),
                        message: error.to_string(),
                        cause: error.cause(),
                    })]
                });
            }
        })
    }
}

impl ObjectFinalize for LlamaWorker {
    /// Garbage collection: the handle's drop ends the thread, without waiting for it.
    fn finalize(mut self, env: Env) -> napi::Result<()> {
        self.teardown.take().map_or(Ok(()), |hook| env.remove_env_cleanup_hook(hook))
    }
}

/// The environment is going away (a worker thread ends, Electron reloads): nothing of ours may run on after it.
fn stop_at_teardown(handle: Weak<WorkerHandle>) {
    if let Some(handle) = handle.upgrade() {
        handle.stop_and_wait(TEARDOWN_WAIT);
    }
}

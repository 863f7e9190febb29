//! What runs on the engine thread.
//!
//! The model lives in the stack frame of `load_and_serve`, the context in that of `serve_context`: leaving a frame frees it, always in
//! the right order. A frame handles the commands it can and hands any other back to the frame around it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use super::command::{Command, ContextInfo, ContextOptions, CreateContext, Gpu, Init, InitInfo, LoadModel, ModelDefaults, Standing};
use super::handle::stop_threads_at_exit;
use super::inbox::Inbox;
use super::threads::threads;
use crate::error::{Error, Result};
use crate::llama::{self, Backend, Context, ContextParams, Model, ModelInfo};
use crate::scheduler::{GenerationRequest, GenerationResult, Reply, Scheduler};
use crate::session::Conversation;

/// Contexts are no larger than this by default: a model trained for 131,072 tokens would take gigabytes for them.
const DEFAULT_CONTEXT_SIZE: u32 = 8192;
/// node-llama-cpp's default.
const DEFAULT_BATCH_SIZE: u32 = 512;

/// Statics that llama.cpp creates on the way must outlive the threads; each of these makes sure of it once, see [`stop_threads_at_exit`].
static AFTER_INIT: Once = Once::new();
static AFTER_LOAD: Once = Once::new();
static AFTER_CONTEXT: Once = Once::new();

/// The thread's state between models.
#[derive(Debug)]
pub(super) struct Engine {
    inbox: Inbox,
    started: Option<Started>,
    /// Of the loaded model.
    defaults: ModelDefaults,
}

/// What `init` settled.
#[derive(Clone, Debug)]
struct Started {
    backend: &'static Backend,
    /// The devices for models; `None` = llama.cpp's choice.
    devices: Option<Vec<usize>>,
    threads: Option<u32>,
}

impl Engine {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox,
            started: None,
            defaults: ModelDefaults::default(),
        }
    }

    /// Handles commands until one stops the thread or nobody is left to send any.
    pub(super) fn run(mut self) {
        let mut next = self.inbox.next();
        while let Some(command) = next {
            next = match command {
                Command::LoadModel(command) => self.load_and_serve(command),
                Command::Stop(reply) => return reply.end(Ok(())),
                other => {
                    self.handle_without_model(other);
                    self.inbox.next()
                }
            };
        }
    }

    fn handle_without_model(&mut self, command: Command) {
        let standing = if self.started.is_some() {
            Standing::Initialized
        } else {
            Standing::New
        };
        let missing = |otherwise| {
            if standing == Standing::New {
                Error::NotInitialized
            } else {
                otherwise
            }
        };
        match command {
            Command::Init(command) => self.init(command),
            Command::CreateContext(command) => command.reply.end(Err(missing(Error::ModelNotLoaded))),
            Command::Generate(request) => refuse(*request, missing(Error::ContextNotCreated)),
            Command::Barrier(reply) => reply.end(Ok(standing)),
            Command::LoadModel(_) | Command::Stop(_) => {}
        }
    }

    fn init(&mut self, command: Init) {
        let Init {
            backend_directory,
            gpu,
            threads,
            debug,
            mut reply,
        } = command;
        reply.started();
        let started = guarded(|| {
            let backend = Backend::start(&backend_directory)?;
            let info = init_info(backend, gpu)?;
            llama::set_debug(debug);
            Ok((backend, info))
        });
        reply.end(started.map(|(backend, info)| {
            AFTER_INIT.call_once(stop_threads_at_exit);
            self.started = Some(Started {
                backend,
                devices: gpu.choose(&info.devices),
                threads,
            });
            info
        }));
    }

    /// Loads a model and serves it. Returns the command that ended its time, if there was one.
    fn load_and_serve(&mut self, command: LoadModel) -> Option<Command> {
        match self.load(command) {
            Some(model) => self.serve_model(&model),
            None => self.inbox.next(),
        }
    }

    fn load(&mut self, command: LoadModel) -> Option<Model> {
        let LoadModel {
            mut params,
            defaults,
            abort,
            mut reply,
        } = command;
        let Some(started) = &self.started else {
            reply.end(Err(Error::NotInitialized));
            return None;
        };
        params.devices.clone_from(&started.devices);
        reply.started();
        let reply = Progress::new(reply);
        let on_progress = reply.clone();
        let loaded = guarded(|| Model::load(started.backend, &params, &abort, move |progress| on_progress.report(progress)));
        let wanted = loaded.and_then(|model| if abort.is_set() { Err(Error::Aborted) } else { Ok(model) });
        AFTER_LOAD.call_once(stop_threads_at_exit);
        match wanted {
            Ok(model) => {
                self.defaults = defaults;
                reply.finish(Ok(model.info()));
                Some(model)
            }
            Err(error) => {
                reply.finish(Err(error));
                None
            }
        }
    }

    fn serve_model(&mut self, model: &Model) -> Option<Command> {
        // What a context's time ended with has been looked at already.
        let mut leaving = None;
        loop {
            let next = if leaving.is_some() {
                leaving.take()
            } else {
                let command = self.inbox.next()?;
                self.handle_beside_model(model, None, command)
            };
            match next {
                None => {}
                Some(Command::CreateContext(command)) => leaving = self.create_and_serve(model, command),
                Some(Command::Generate(request)) => refuse(*request, Error::ContextNotCreated),
                other => return other,
            }
        }
    }

    /// Creates a context and serves it. Returns the command that ended its time, if there was one.
    fn create_and_serve(&mut self, model: &Model, command: CreateContext) -> Option<Command> {
        let CreateContext { options, mut reply } = command;
        reply.started();
        let params = self.context_params(model, &options);
        let scheduler = match guarded(|| Scheduler::new(model, &params, Conversation::default())) {
            Ok(scheduler) => scheduler,
            Err(error) => {
                reply.end(Err(error));
                return None;
            }
        };
        AFTER_CONTEXT.call_once(stop_threads_at_exit);
        reply.end(Ok(ContextInfo {
            context_size: scheduler.context_size(),
            batch_size: scheduler.batch_size(),
            threads: params.threads,
        }));
        self.serve_context(model, &params, scheduler)
    }

    /// Generates until a command needs another context or none. Between two evaluations it looks at the inbox.
    fn serve_context<'model>(&mut self, model: &'model Model, params: &ContextParams, mut scheduler: Scheduler<'model>) -> Option<Command> {
        loop {
            let seed = self.defaults.seed;
            self.inbox.take_generations(|request| scheduler.submit(with_seed(request, seed)));
            if !scheduler.is_idle() {
                if step(&mut scheduler).is_err() {
                    // After a panic the context cannot be trusted; the caller gets an equal one, with what was said, without asking.
                    let conversation = scheduler.into_conversation();
                    scheduler = guarded(|| Scheduler::new(model, params, conversation)).ok()?;
                }
                continue;
            }
            match self.inbox.next()? {
                Command::Generate(request) => scheduler.submit(with_seed(*request, seed)),
                other => {
                    if let Some(leaving) = self.handle_beside_model(model, Some(params), other) {
                        return Some(leaving);
                    }
                }
            }
        }
    }

    /// Handles what leaves model and context (`current`) as they are: also a load or a context that is refused at first sight, so that a
    /// mistake does not cost what is there. Returns any other command.
    fn handle_beside_model(&mut self, model: &Model, current: Option<&ContextParams>, command: Command) -> Option<Command> {
        match command {
            Command::Init(command) => self.init(command),
            Command::Barrier(reply) => {
                let standing = current.map_or(Standing::ModelLoaded, |_| Standing::ContextCreated);
                reply.end(Ok(standing));
            }
            Command::LoadModel(command) if command.abort.is_set() => command.reply.end(Err(Error::Aborted)),
            Command::LoadModel(command) => match guarded(|| Model::check_file(&command.params.path)) {
                Ok(()) => return Some(Command::LoadModel(command)),
                Err(error) => refuse_started(command.reply, error),
            },
            Command::CreateContext(command) => {
                let freed = current.map_or(0, |current| Context::needed_bytes(model, current));
                match Context::check(model, &self.context_params(model, &command.options), freed) {
                    Ok(()) => return Some(Command::CreateContext(command)),
                    Err(error) => refuse_started(command.reply, error),
                }
            }
            other => return Some(other),
        }
        None
    }

    fn context_params(&self, model: &Model, options: &ContextOptions) -> ContextParams {
        let info = model.info();
        let defaults = self.defaults;
        let trained = info.context_size.min(DEFAULT_CONTEXT_SIZE);
        let context_size = options.context_size.or(defaults.context_size).unwrap_or(trained).max(1);
        let wanted = options.threads.or(self.started.as_ref().and_then(|started| started.threads));
        ContextParams {
            context_size,
            batch_size: options
                .batch_size
                .or(defaults.batch_size)
                .unwrap_or(DEFAULT_BATCH_SIZE)
                .clamp(1, context_size),
            threads: threads(wanted, info.size),
            flash_attention: options.flash_attention,
            kv_cache_type: options.kv_cache_type,
            ignores_memory: options.ignores_memory || defaults.ignores_memory,
        }
    }
}

/// Loading progress, shared with llama.cpp's callback on the same thread.
#[derive(Clone)]
struct Progress(Rc<RefCell<ProgressState>>);

struct ProgressState {
    reply: Option<Reply<ModelInfo>>,
    reported: f32,
}

impl Progress {
    fn new(reply: Reply<ModelInfo>) -> Self {
        Self(Rc::new(RefCell::new(ProgressState {
            reply: Some(reply),
            reported: -1.0,
        })))
    }

    /// Passes on growing values in steps of a hundredth. The final 1 is `finish`'s: llama.cpp reports it before the model is ready.
    fn report(&self, progress: f32) {
        const STEP: f32 = 0.01;
        let mut state = self.0.borrow_mut();
        if progress < 1.0 && progress >= state.reported + STEP {
            state.reported = progress;
            if let Some(reply) = &mut state.reply {
                reply.progress(progress);
            }
        }
    }

    fn finish(&self, result: Result<ModelInfo>) {
        if let Some(mut reply) = self.0.borrow_mut().reply.take() {
            if result.is_ok() {
                reply.progress(1.0);
            }
            reply.end(result);
        }
    }
}

/// One step of the scheduler. After a panic every generation has been answered.
fn step(scheduler: &mut Scheduler<'_>) -> Result<()> {
    let stepped = guarded(|| {
        scheduler.step();
        Ok(())
    });
    if let Err(error) = &stepped {
        scheduler.fail_all(|| Error::Internal { reason: error.to_string() });
    }
    stepped
}

/// A request that draws by its own seed, or by `seed` if it has none.
fn with_seed(mut request: GenerationRequest, seed: Option<u32>) -> GenerationRequest {
    request.options.sampling.seed = request.options.sampling.seed.or(seed);
    request
}

/// Answers a generation that cannot run.
fn refuse(mut request: GenerationRequest, error: Error) {
    if request.abort.is_set() {
        return request.reply.end(Ok(GenerationResult::aborted()));
    }
    request.reply.started();
    request.reply.end(Err(error));
}

/// Answers a step that was begun and failed.
fn refuse_started<Value>(mut reply: Reply<Value>, error: Error) {
    reply.started();
    reply.end(Err(error));
}

/// Runs a job; a panic in it becomes its error, and the thread lives on.
fn guarded<Value>(job: impl FnOnce() -> Result<Value>) -> Result<Value> {
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_else(|panic| {
        Err(Error::Internal {
            reason: panic_text(&*panic),
        })
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".into())
}

fn init_info(backend: &Backend, gpu: Gpu) -> Result<InitInfo> {
    let devices = backend.devices();
    gpu.check(&devices)?;
    let chosen = devices.iter().find(|device| gpu.accepts(device));
    Ok(InitInfo {
        backend: chosen.map_or_else(|| "CPU".to_owned(), |device| device.backend.clone()),
        cpu_features: backend.cpu_features(),
        llama_cpp_version: backend.llama_cpp_version(),
        devices,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::scheduler::Event;

    #[test]
    fn progress_grows_and_ends_with_one_1() {
        let (sender, events) = mpsc::channel();
        let progress = Progress::new(Reply::new(move |event| {
            if let Event::Progress(value) = event {
                sender.send(value).unwrap();
            }
        }));
        for value in [0.0, 0.001, 0.5, 0.4, 0.5, 1.0, 1.0] {
            progress.report(value);
        }
        progress.finish(Ok(ModelInfo::default()));
        drop(progress);
        assert_eq!(events.iter().collect::<Vec<_>>(), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        let error = guarded::<()>(|| panic!("lost {}", "it")).unwrap_err();
        assert_eq!(error.to_string(), "internal error: lost it");
    }
}

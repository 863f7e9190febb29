//! What runs on the engine thread.
//!
//! The model lives in the stack frame of `load_and_serve`, the context in that of `serve_context`: leaving a frame frees it, always in
//! the right order. A frame handles the commands it can and hands any other back to the frame around it.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Once;

use super::command::{Command, ContextInfo, ContextOptions, CreateContext, Init, InitInfo, LoadModel, ModelDefaults, Query, Standing};
use super::gpu::Choice;
use super::handle::stop_threads_at_exit;
use super::inbox::{Inbox, is_concurrent};
use super::query;
use super::threads::{threads, tried_threads};
use crate::chat::ChatFormat;
use crate::error::{Error, Result};
use crate::llama::{self, Backend, Context, ContextParams, Model, ModelInfo, ModelParams};
use crate::scheduler::{Conversations, Job, Reply, Scheduler};
use crate::session::Conversation;

/// Contexts are no larger than this by default: a model trained for 131,072 tokens would take gigabytes for them.
const DEFAULT_CONTEXT_SIZE: u32 = 8192;
/// node-llama-cpp's default.
const DEFAULT_BATCH_SIZE: u32 = 512;
/// llama.cpp's server has as many. They share the context's memory.
const DEFAULT_SEQUENCES: u32 = 4;

/// Statics that llama.cpp creates on the way must outlive the threads; each of these makes sure of it once, see [`stop_threads_at_exit`].
static AFTER_INIT: Once = Once::new();
static AFTER_GPU: Once = Once::new();
static AFTER_LOAD: Once = Once::new();
static AFTER_CONTEXT: Once = Once::new();

/// The thread's state between models.
#[derive(Debug)]
pub(super) struct Engine {
    inbox: Inbox,
    started: Option<Started>,
    /// Of the loaded model.
    defaults: ModelDefaults,
    /// In place of the loaded model's own.
    chat_template: Option<String>,
    /// Why the context that was there is no more.
    lost_context: Option<String>,
}

/// A loaded model, and how it writes conversations.
#[derive(Clone, Copy)]
struct Loaded<'model> {
    model: &'model Model,
    /// `None`: its template is broken.
    format: Option<&'model ChatFormat<'model>>,
}

/// What `init` settled.
#[derive(Clone, Debug)]
struct Started {
    backend: &'static Backend,
    /// The devices for models; none means the processor.
    devices: Vec<usize>,
    threads: Option<u32>,
}

impl Engine {
    pub(super) fn new(inbox: Inbox) -> Self {
        Self {
            inbox,
            started: None,
            defaults: ModelDefaults::default(),
            chat_template: None,
            lost_context: None,
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
                    // A panic on the way drops the reply, which answers.
                    kept_alive(|| self.handle_without_model(other));
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
            Command::CreateSession(command) => command.reply.end(Err(missing(Error::ContextNotCreated))),
            Command::Job(_, job) => job.refuse(missing(Error::ContextNotCreated)),
            Command::Query(query) => query.refuse(missing(Error::ModelNotLoaded)),
            Command::Barrier(reply) => reply.end(Ok(standing)),
            Command::LoadModel(_) | Command::Stop(_) => {}
        }
    }

    fn init(&mut self, command: Init) {
        let Init {
            backend_directory,
            gpu,
            gpu_backends,
            threads,
            debug,
            mut reply,
        } = command;
        reply.started();
        let started = guarded(|| {
            let backend = Backend::start(&backend_directory)?;
            llama::set_debug(debug);
            let choice = gpu.choose(backend, &gpu_backends)?;
            Ok((backend, init_info(backend, choice)))
        });
        reply.end(started.map(|(backend, info)| {
            AFTER_INIT.call_once(stop_threads_at_exit);
            if !info.chosen_devices.is_empty() {
                AFTER_GPU.call_once(stop_threads_at_exit);
            }
            self.started = Some(Started {
                backend,
                devices: info.chosen_devices.clone(),
                threads,
            });
            info
        }));
    }

    /// Loads a model and serves it. Returns the command that ended its time, if there was one.
    fn load_and_serve(&mut self, command: LoadModel) -> Option<Command> {
        match kept_alive(|| self.load(command)) {
            Some(model) => {
                let format = guarded(|| ChatFormat::new(&model, self.chat_template.as_deref())).ok();
                let loaded = Loaded {
                    model: &model,
                    format: format.as_ref(),
                };
                self.serve_model(loaded)
            }
            None => self.inbox.next(),
        }
    }

    fn load(&mut self, command: LoadModel) -> Option<Model> {
        let LoadModel {
            mut params,
            defaults,
            chat_template,
            abort,
            mut reply,
        } = command;
        let Some(started) = &self.started else {
            reply.end(Err(Error::NotInitialized));
            return None;
        };
        params.devices.clone_from(&started.devices);
        params.context_size = defaults.context_size;
        reply.started();
        let reply = Progress::new(reply);
        let on_progress = reply.clone();
        let loaded = guarded(|| {
            chat_template.as_deref().map_or(Ok(()), ChatFormat::check_template)?;
            check_memory(started, &params, &defaults, 0)?;
            Model::load(started.backend, &params, &abort, move |progress| on_progress.report(progress))
        });
        let wanted = loaded.and_then(|model| if abort.is_set() { Err(Error::Aborted) } else { Ok(model) });
        AFTER_LOAD.call_once(stop_threads_at_exit);
        match wanted {
            Ok(model) => {
                self.defaults = defaults;
                self.chat_template = chat_template;
                reply.finish(Ok(model.info()));
                Some(model)
            }
            Err(error) => {
                reply.finish(Err(error));
                None
            }
        }
    }

    fn serve_model(&mut self, loaded: Loaded<'_>) -> Option<Command> {
        // What a context's time ended with has been looked at already.
        let mut leaving = None;
        loop {
            let next = if leaving.is_some() {
                leaving.take()
            } else {
                let command = self.inbox.next()?;
                kept_alive(|| self.handle_beside_model(loaded, None, command))
            };
            match next {
                None => {}
                Some(Command::CreateContext(command)) => {
                    self.lost_context = None;
                    leaving = self.create_and_serve(loaded, command);
                }
                Some(Command::Job(_, job)) => job.refuse(self.missing_context()),
                Some(Command::CreateSession(command)) => command.reply.end(Err(self.missing_context())),
                Some(Command::Query(query)) => answer(loaded, query),
                other => {
                    self.lost_context = None;
                    return other;
                }
            }
        }
    }

    fn missing_context(&self) -> Error {
        let lost = |reason: &String| Error::ContextCreationFailed { reason: reason.clone() };
        self.lost_context.as_ref().map_or(Error::ContextNotCreated, lost)
    }

    /// Creates a context and serves it. Returns the command that ended its time, if there was one.
    fn create_and_serve(&mut self, loaded: Loaded<'_>, command: CreateContext) -> Option<Command> {
        let CreateContext { options, mut reply } = command;
        reply.started();
        let made = guarded(|| {
            let mut params = self.context_params(loaded.model, &options, 0);
            let session_cache = params.session_cache.unwrap_or_else(|| Context::spare_bytes(loaded.model, &params));
            params.session_cache = Some(session_cache);
            let format = self.format(loaded)?;
            let scheduler = Scheduler::new(loaded.model, format, &params, Conversations::new())?;
            Ok((params, session_cache, format, scheduler))
        });
        let (params, session_cache, format, scheduler) = match made {
            Ok(made) => made,
            Err(error) => {
                reply.end(Err(error));
                return None;
            }
        };
        AFTER_CONTEXT.call_once(stop_threads_at_exit);
        reply.end(Ok(ContextInfo {
            context_size: scheduler.context_size(),
            batch_size: scheduler.batch_size(),
            sequences: params.sequences,
            threads: scheduler.threads(),
            session_cache,
        }));
        self.serve_context(loaded, format, &params, scheduler)
    }

    /// How the model writes conversations, or what is wrong with its template.
    fn format<'model>(&self, loaded: Loaded<'model>) -> Result<&'model ChatFormat<'model>> {
        let broken = || match ChatFormat::new(loaded.model, self.chat_template.as_deref()) {
            Err(error) => error,
            Ok(_) => Error::Internal {
                reason: "a chat template that was broken no longer is".into(),
            },
        };
        loaded.format.ok_or_else(broken)
    }

    /// Generates until a command needs another context or none. Between two evaluations it looks at the inbox.
    fn serve_context<'model>(
        &mut self,
        loaded: Loaded<'model>,
        format: &'model ChatFormat<'model>,
        params: &ContextParams,
        mut scheduler: Scheduler<'model>,
    ) -> Option<Command> {
        loop {
            for command in self.inbox.take_concurrent() {
                kept_alive(|| self.begin_beside(loaded, &mut scheduler, command));
            }
            if !scheduler.is_idle() {
                if step(&mut scheduler).is_err() {
                    // The context cannot be trusted any more; the caller gets an equal one, with what was said, without asking.
                    let made_anew = guarded(|| {
                        let said = scheduler.into_conversations();
                        Scheduler::new(loaded.model, format, params, said)
                    });
                    scheduler = match made_anew {
                        Ok(scheduler) => scheduler,
                        Err(error) => {
                            let reason = error.cause().unwrap_or_else(|| error.to_string());
                            self.lost_context = Some(format!(
                                "it was lost in an evaluation that failed, and could not be made anew: {reason}"
                            ));
                            return None;
                        }
                    };
                }
                continue;
            }
            match self.inbox.next()? {
                command if is_concurrent(&command) => kept_alive(|| self.begin_beside(loaded, &mut scheduler, command)),
                other => {
                    if let Some(leaving) = kept_alive(|| self.handle_beside_model(loaded, Some(params), other)) {
                        return Some(leaving);
                    }
                }
            }
        }
    }

    /// Takes what can be done beside running generations.
    fn begin_beside(&self, loaded: Loaded<'_>, scheduler: &mut Scheduler<'_>, command: Command) {
        match command {
            Command::Job(session, job) => scheduler.submit(session, with_seed(job, self.defaults.seed)),
            Command::CreateSession(command) => {
                scheduler.create_session(command.id, Conversation::new(command.initial));
                command.reply.end(Ok(()));
            }
            Command::Query(query) => answer(loaded, query),
            // `is_concurrent` lets no other through.
            _ => {}
        }
    }

    /// Handles what leaves model and context (`current`) as they are: also a load or a context that is refused at first sight, so that a
    /// mistake does not cost what is there. Returns any other command.
    fn handle_beside_model(&mut self, loaded: Loaded<'_>, current: Option<&ContextParams>, command: Command) -> Option<Command> {
        let model = loaded.model;
        match command {
            Command::Init(command) => self.init(command),
            Command::Barrier(reply) => {
                let standing = current.map_or(Standing::ModelLoaded, |_| Standing::ContextCreated);
                reply.end(Ok(standing));
            }
            Command::LoadModel(command) if command.abort.is_set() => command.reply.end(Err(Error::Aborted)),
            Command::LoadModel(command) => match guarded(|| self.check_load(&command, model)) {
                Ok(()) => return Some(Command::LoadModel(command)),
                Err(error) => refuse_started(command.reply, error),
            },
            Command::CreateContext(command) => {
                let freed = current.map_or(0, |current| Context::needed_bytes(model, current));
                match guarded(|| Context::check(model, &self.context_params(model, &command.options, freed), freed)) {
                    Ok(()) => return Some(Command::CreateContext(command)),
                    Err(error) => refuse_started(command.reply, error),
                }
            }
            other => return Some(other),
        }
        None
    }

    /// What is wrong with a load at first sight. `current`: the model that it takes the place of.
    fn check_load(&self, command: &LoadModel, current: &Model) -> Result<()> {
        command.chat_template.as_deref().map_or(Ok(()), ChatFormat::check_template)?;
        let Some(started) = &self.started else {
            return Err(Error::NotInitialized);
        };
        let mut params = command.params.clone();
        params.devices.clone_from(&started.devices);
        check_memory(started, &params, &command.defaults, current.size())
    }

    /// `freed`: bytes of the context that it takes the place of.
    fn context_params(&self, model: &Model, options: &ContextOptions, freed: u64) -> ContextParams {
        let info = model.info();
        let defaults = self.defaults;
        let trained = info.context_size.min(DEFAULT_CONTEXT_SIZE);
        let wanted_size = options.context_size.or(defaults.context_size);
        let context_size = wanted_size.unwrap_or(trained).max(1);
        let wanted = options.threads.or(self.started.as_ref().and_then(|started| started.threads));
        let params = ContextParams {
            context_size,
            batch_size: options
                .batch_size
                .or(defaults.batch_size)
                .unwrap_or(DEFAULT_BATCH_SIZE)
                .clamp(1, context_size),
            sequences: options.sequences.unwrap_or(DEFAULT_SEQUENCES),
            threads: threads(wanted, info.size),
            // A GPU's work is not measured by the CPU's threads.
            most_threads: tried_threads(wanted).filter(|_| !model.is_offloaded()),
            flash_attention: options.flash_attention,
            kv_cache_type: options.kv_cache_type,
            ignores_memory: options.ignores_memory || defaults.ignores_memory,
            session_cache: options.session_cache,
        };
        if wanted_size.is_some() {
            return params;
        }
        Context::fit(model, params, freed)
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

/// One step of the scheduler. After a panic, or when llama.cpp threw, every generation has been answered.
fn step(scheduler: &mut Scheduler<'_>) -> Result<()> {
    let stepped = guarded(|| {
        scheduler.step();
        Ok(())
    });
    if let Err(error) = &stepped {
        kept_alive(|| scheduler.fail_all(|| Error::Internal { reason: error.to_string() }));
    } else if scheduler.is_broken() {
        let broken = || Error::DecodeFailed {
            reason: "another generation's evaluation ended in the middle, and the context is made anew".into(),
        };
        kept_alive(|| scheduler.fail_all(broken));
        return Err(broken());
    }
    stepped
}

/// Refuses a file that is no model, and one that the machine has no memory for. `freed`: bytes of the model that it takes the place of.
fn check_memory(started: &Started, params: &ModelParams, defaults: &ModelDefaults, freed: u64) -> Result<()> {
    let file = Model::check_file(&params.path)?;
    if defaults.ignores_memory {
        return Ok(());
    }
    Model::check_memory(started.backend, params, file, freed)
}

/// A generation that draws by its own seed, or by `seed` if it has none; any other job as it is.
fn with_seed(mut job: Job, seed: Option<u32>) -> Job {
    if let Job::Generate(request) = &mut job {
        request.options.sampling.seed = request.options.sampling.seed.or(seed);
    }
    job
}

/// Answers a question about the model. A panic on the way drops the reply, which answers too.
fn answer(loaded: Loaded<'_>, query: Query) {
    kept_alive(|| query::answer(loaded.model, loaded.format, query));
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

/// The same for what has no result, or may leave nothing: whoever waits for something of it is answered when its reply is dropped.
fn kept_alive<Left: Default>(job: impl FnOnce() -> Left) -> Left {
    // The panic's words are on standard error.
    catch_unwind(AssertUnwindSafe(job)).unwrap_or_default()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".into())
}

fn init_info(backend: &Backend, choice: Choice) -> InitInfo {
    let devices = backend.devices();
    let chosen = choice.devices.first().and_then(|index| devices.get(*index));
    InitInfo {
        backend: chosen.map_or_else(|| "CPU".to_owned(), |device| device.backend.clone()),
        cpu_features: backend.cpu_features(),
        cpu_variant: backend.cpu_variant(),
        llama_cpp_version: backend.llama_cpp_version(),
        chosen_devices: choice.devices,
        warnings: choice.warnings,
        devices,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Instant;

    use super::*;
    use crate::chat::{Message, Role};
    use crate::llama::testing::{built_in_model, context_params};
    use crate::llama::{AbortFlag, KvCacheType};
    use crate::scheduler::{Event, GenerationOptions, GenerationRequest, GenerationResult, SessionId};
    use crate::session::Input;

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

    #[test]
    fn calls_say_why_the_context_is_lost() {
        let model = built_in_model();
        let format = ChatFormat::new(&model, None).unwrap();
        let loaded = Loaded {
            model: &model,
            format: Some(&format),
        };
        let params = context_params();
        let refused = ContextParams {
            kv_cache_type: KvCacheType::Q8_0,
            ..params.clone()
        };
        let mut scheduler = Scheduler::new(&model, &format, &params, Conversations::new()).unwrap();
        let mut panics = true;
        let reply = Reply::new(move |_| assert!(!std::mem::take(&mut panics), "a defect"));
        scheduler.submit(SessionId::DEFAULT, Job::History(reply));
        let (commands, inbox) = tokio::sync::mpsc::unbounded_channel();
        let mut engine = Engine::new(Inbox::new(inbox, AbortFlag::default()));
        assert!(engine.serve_context(loaded, &format, &refused, scheduler).is_none());

        let (sender, events) = mpsc::channel();
        let reply = Reply::new(move |event| sender.send(event).unwrap());
        commands.send(Command::Job(SessionId::DEFAULT, Job::History(reply))).unwrap();
        drop(commands);
        assert!(engine.serve_model(loaded).is_none());
        let Ok(Event::Ended(Err(error))) = events.recv() else {
            panic!("a history without a context");
        };
        assert_eq!(error.code(), "CONTEXT_CREATION_FAILED");
        let expected = "the context could not be created: it was lost in an evaluation that failed, and could not be made anew: ";
        let reason = error.to_string();
        assert!(reason.starts_with(expected) && reason.len() > expected.len(), "{reason}");
    }

    fn generation(mut on_end: impl FnMut(Result<GenerationResult>) + Send + 'static) -> Job {
        let options = GenerationOptions {
            max_tokens: Some(4),
            ..Default::default()
        };
        Job::Generate(Box::new(GenerationRequest {
            input: Input::Prompt("What is the capital of France?".into()),
            options,
            abort: AbortFlag::default(),
            accepted_at: Instant::now(),
            reply: Reply::new(move |event| {
                if let Event::Ended(result) = event {
                    on_end(result);
                }
            }),
        }))
    }

    /// Where C frames cannot be unwound, an assertion ends the process.
    #[cfg(not(windows))]
    #[test]
    fn an_assertion_in_an_evaluation_ends_its_generations_and_the_context_comes_back() {
        let model = built_in_model();
        let format = ChatFormat::new(&model, None).unwrap();
        let loaded = Loaded {
            model: &model,
            format: Some(&format),
        };
        let params = ContextParams {
            sequences: 2,
            ..context_params()
        };
        let sessions = [(SessionId::DEFAULT, "first"), (SessionId(1), "second")];
        let said = sessions.map(|(id, text)| (id, Conversation::new(vec![Message::new(Role::User, text)])));
        let mut scheduler = Scheduler::new(&model, &format, &params, Conversations::from(said)).unwrap();
        let (commands, inbox) = tokio::sync::mpsc::unbounded_channel();
        let (sender, seen) = mpsc::channel();
        for (id, _) in sessions {
            let (commands, sender) = (commands.clone(), sender.clone());
            scheduler.submit(
                id,
                generation(move |result| {
                    sender.send((id, format!("{:?}", result.map_err(|error| error.code())))).unwrap();
                    // Asked for when the context is gone.
                    let on_history = sender.clone();
                    let history = Reply::new(move |event: Event<Vec<Message>>| {
                        if let Event::Ended(messages) = event {
                            let texts: Vec<_> = messages.unwrap().into_iter().map(|message| message.content).collect();
                            on_history.send((id, texts.concat())).unwrap();
                        }
                    });
                    commands.send(Command::Job(id, Job::History(history))).unwrap();
                    let on_end = sender.clone();
                    let again = generation(move |result| on_end.send((id, format!("generates: {}", result.is_ok()))).unwrap());
                    commands.send(Command::Job(id, again)).unwrap();
                }),
            );
        }
        drop((commands, sender));
        scheduler.fail_next_evaluation();
        let mut engine = Engine::new(Inbox::new(inbox, AbortFlag::default()));
        assert!(engine.serve_context(loaded, &format, &params, scheduler).is_none());
        assert_eq!(engine.lost_context, None);
        let seen: Vec<_> = seen.iter().collect();
        for (id, text) in sessions {
            let of_session: Vec<_> = seen.iter().filter(|(of, _)| *of == id).map(|(_, what)| what.as_str()).collect();
            assert_eq!(of_session, ["Err(\"DECODE_FAILED\")", text, "generates: true"]);
        }
    }
}

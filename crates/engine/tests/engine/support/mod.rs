//! A worker as a caller outside the engine uses it, with answers as values instead of events.

pub(crate) mod bench;
pub(crate) mod gguf;
pub(crate) mod plain;
#[path = "../../shared/random.rs"]
mod random;
pub(crate) mod small_models;

pub(crate) use random::Random;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use llama_worker_engine::chat::Message;
use llama_worker_engine::error::Result;
use llama_worker_engine::worker::{
    AbortFlag, ContextInfo, ContextOptions, CreateContext, CreateSession, Event, GenerationOptions, GenerationRequest, GenerationResult,
    Gpu, GpuLayers, Init, InitInfo, Input, Job, LoadModel, ModelDefaults, ModelInfo, ModelParams, Reply, SessionId, WorkerHandle,
};

/// A test that waits longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The built-in model.
pub(crate) fn model_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf")
}

/// A folder that goes away with it.
pub(crate) struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("llama-worker-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The built-in model with another text under a metadata key.
pub(crate) fn model_with(key: &str, value: &str) -> Vec<u8> {
    const ALIGNMENT: usize = 32;
    let model = std::fs::read(model_path()).unwrap();
    let (model, grown) = replace_text(&model, key, |_| value.to_owned());
    // The weights must stay aligned: the description takes up the difference.
    let padding = (ALIGNMENT - grown.rem_euclid(32).unsigned_abs()) % ALIGNMENT;
    replace_text(&model, "general.description", |old| old + &" ".repeat(padding)).0
}

/// The file with a metadata text changed, and by how many bytes it grew.
fn replace_text(model: &[u8], key: &str, change: impl FnOnce(String) -> String) -> (Vec<u8>, isize) {
    /// The type of a text value in GGUF, behind the key.
    const TEXT: [u8; 4] = 8_u32.to_le_bytes();
    let wanted = [key.as_bytes(), &TEXT].concat();
    let start = model.windows(wanted.len()).position(|window| window == wanted).expect("the key") + wanted.len();
    let length = usize::try_from(u64::from_le_bytes(model[start..start + 8].try_into().unwrap())).unwrap();
    let end = start + 8 + length;
    let text = change(String::from_utf8(model[start + 8..end].to_vec()).unwrap());
    let changed = [&model[..start], &(text.len() as u64).to_le_bytes(), text.as_bytes(), &model[end..]].concat();
    (changed, text.len().cast_signed() - length.cast_signed())
}

/// The events of one command.
pub(crate) struct Events<Value>(pub(crate) Receiver<Event<Value>>);

impl<Value> Events<Value> {
    pub(crate) fn reply() -> (Reply<Value>, Self)
    where
        Value: Send + 'static,
    {
        let (sender, events) = mpsc::channel();
        // A test that stopped listening does not care.
        (Reply::new(move |event| drop(sender.send(event))), Self(events))
    }

    pub(crate) fn next(&self) -> Event<Value> {
        self.0.recv_timeout(PATIENCE).expect("the worker answers in time")
    }

    /// Waits for the end; returns the text that was streamed on the way.
    pub(crate) fn end(&self) -> (String, Result<Value>) {
        let mut text = String::new();
        loop {
            match self.next() {
                Event::Text(piece) => text.push_str(&piece),
                Event::Ended(result) => return (text, result),
                Event::Started | Event::Progress(_) | Event::Reasoning(_) | Event::Tokens(_) | Event::ToolCall(_) => {}
            }
        }
    }
}

/// A worker under test.
pub(crate) struct Worker {
    pub(crate) handle: WorkerHandle,
}

impl Worker {
    pub(crate) fn unready() -> Self {
        Self {
            handle: WorkerHandle::start().unwrap(),
        }
    }

    /// With the built-in model and a context of the default size.
    pub(crate) fn ready() -> Self {
        let worker = Self::unready();
        worker.init().unwrap();
        worker.load(&model_path()).unwrap();
        worker.create_context(ContextOptions::default()).unwrap();
        worker
    }

    pub(crate) fn init(&self) -> Result<InitInfo> {
        self.init_with_threads(Some(1))
    }

    pub(crate) fn init_with_threads(&self, threads: Option<u32>) -> Result<InitInfo> {
        let (reply, events) = Events::reply();
        let backend_directory = PathBuf::from(env!("LLAMA_WORKER_BUILT_BACKENDS"));
        self.handle.init(Init {
            backend_directory,
            gpu: Gpu::Auto,
            gpu_backends: vec![],
            threads,
            debug: false,
            reply,
        });
        events.end().1
    }

    pub(crate) fn load(&self, path: &Path) -> Result<ModelInfo> {
        self.load_with(path, ModelDefaults::default())
    }

    pub(crate) fn load_with(&self, path: &Path, defaults: ModelDefaults) -> Result<ModelInfo> {
        self.begin_load(path, defaults, self.handle.abort_flag()).end().1
    }

    pub(crate) fn start_load(&self, path: &Path, abort: AbortFlag) -> Events<ModelInfo> {
        self.begin_load(path, ModelDefaults::default(), abort)
    }

    fn begin_load(&self, path: &Path, defaults: ModelDefaults, abort: AbortFlag) -> Events<ModelInfo> {
        let (reply, events) = Events::reply();
        let params = ModelParams {
            path: path.to_owned(),
            gpu_layers: GpuLayers::Auto,
            context_size: None,
            devices: vec![],
            use_mmap: None,
            use_mlock: false,
        };
        self.handle.load_model(LoadModel {
            params,
            defaults,
            chat_template: None,
            abort,
            reply,
        });
        events
    }

    pub(crate) fn create_context(&self, options: ContextOptions) -> Result<ContextInfo> {
        let (reply, events) = Events::reply();
        self.handle.create_context(CreateContext { options, reply });
        events.end().1
    }

    pub(crate) fn start(&self, input: Input, options: GenerationOptions) -> (Events<GenerationResult>, AbortFlag) {
        self.start_in(SessionId::DEFAULT, input, options)
    }

    pub(crate) fn start_in(&self, session: SessionId, input: Input, options: GenerationOptions) -> (Events<GenerationResult>, AbortFlag) {
        let (reply, events) = Events::reply();
        let abort = self.handle.abort_flag();
        let accepted_at = Instant::now();
        let request = GenerationRequest {
            input,
            options,
            abort: abort.clone(),
            accepted_at,
            reply,
        };
        self.handle.generate(session, request);
        (events, abort)
    }

    pub(crate) fn create_session(&self, id: SessionId, initial: Vec<Message>) {
        let (reply, events) = Events::reply();
        self.handle.create_session(CreateSession { id, initial, reply });
        events.end().1.expect("a session");
    }

    pub(crate) fn job<Value: Send + 'static>(&self, id: SessionId, job: impl FnOnce(Reply<Value>) -> Job) -> Result<Value> {
        let (reply, events) = Events::reply();
        self.handle.submit(id, job(reply));
        events.end().1
    }

    pub(crate) fn history(&self, id: SessionId) -> Result<Vec<Message>> {
        self.job(id, Job::History)
    }

    pub(crate) fn ask(&self, id: SessionId, text: &str) -> GenerationResult {
        let (streamed, result) = self.start_in(id, Input::Prompt(text.into()), GenerationOptions::default()).0.end();
        let result = result.expect("a generation");
        assert_eq!(streamed, result.text, "the pieces, concatenated, are the text");
        result
    }

    pub(crate) fn prompt(&self, text: &str) -> GenerationResult {
        self.generate(Input::Prompt(text.into()), GenerationOptions::default())
    }

    pub(crate) fn generate(&self, input: Input, options: GenerationOptions) -> GenerationResult {
        let (streamed, result) = self.start(input, options).0.end();
        let result = result.expect("a generation");
        assert_eq!(streamed, result.text, "the pieces, concatenated, are the text");
        result
    }
}

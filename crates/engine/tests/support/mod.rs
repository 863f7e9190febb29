//! A worker as a caller outside the engine uses it, with answers as values instead of events.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use llama_worker_engine::error::Result;
use llama_worker_engine::worker::{
    AbortFlag, ContextInfo, ContextOptions, CreateContext, Event, GenerationOptions, GenerationRequest, GenerationResult, Gpu, Init,
    InitInfo, Input, LoadModel, ModelInfo, ModelParams, Reply, WorkerHandle,
};

/// A test that waits longer than this hangs.
const PATIENCE: Duration = Duration::from_secs(120);

/// The built-in model.
pub(crate) fn model_path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny-chat/tiny-chat.gguf")
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
                Event::Started | Event::Progress(_) => {}
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
        let (reply, events) = Events::reply();
        let backend_directory = PathBuf::from(env!("LLAMA_WORKER_BUILT_BACKENDS"));
        self.handle.init(Init {
            backend_directory,
            gpu: Gpu::Auto,
            threads: Some(1),
            debug: false,
            reply,
        });
        events.end().1
    }

    pub(crate) fn load(&self, path: &Path) -> Result<ModelInfo> {
        self.start_load(path, self.handle.abort_flag()).end().1
    }

    pub(crate) fn start_load(&self, path: &Path, abort: AbortFlag) -> Events<ModelInfo> {
        let (reply, events) = Events::reply();
        let params = ModelParams {
            path: path.to_owned(),
            gpu_layers: None,
            use_mmap: None,
            use_mlock: false,
        };
        self.handle.load_model(LoadModel { params, abort, reply });
        events
    }

    pub(crate) fn create_context(&self, options: ContextOptions) -> Result<ContextInfo> {
        let (reply, events) = Events::reply();
        self.handle.create_context(CreateContext { options, reply });
        events.end().1
    }

    pub(crate) fn start(&self, input: Input, options: GenerationOptions) -> (Events<GenerationResult>, AbortFlag) {
        let (reply, events) = Events::reply();
        let abort = self.handle.abort_flag();
        let accepted_at = Instant::now();
        self.handle.generate(GenerationRequest {
            input,
            options,
            abort: abort.clone(),
            accepted_at,
            reply,
        });
        (events, abort)
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

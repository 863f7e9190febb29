//! The messages of the contract: their types and texts, and what each step answers. Pure; `port` moves them.
//!
//! One step's answers, in order (a step that is refused before its turn only answers its error):
//!
//! ```text
//! init                        info … info                                           or  info … error
//! load_model                  info … progress* … progress 1 … model_loaded … info   or  [info] … error
//! create_context              info … info                                           or  [info] … error
//! generate_(chat_)completion  info … completion_chunk* … completion_done … info     or  info … error
//!   aborted                   info … completion_chunk* … info (abort) … info
//!   with tools                info … completion_chunk* … tool_call, then as soon as there are all results: completion_chunk* … completion_done …
//! download_model              (info … download_progress* … download_complete … info)*   or  … download_error … error
//!   aborted                   … info (abort_download) … info
//! ```
//!
//! An `info` before `completion_done` says when the model was not shown the oldest messages. `tool_result` is only answered by an error.
//! Not promised: that a chunk is one token, or that `completion_done` follows an error or an abort. Nothing is answered twice.

use llama_worker_engine::download::Event as Download;
use llama_worker_engine::error::Error;
use llama_worker_engine::worker::{ContextInfo, Event, GenerationResult, InitInfo, ModelInfo, Standing};
use serde::Serialize;

use crate::answer::{Json, LogprobsAnswer, ModelAnswer, ToolCallAnswer, js_number, logprobs, parsed, stop_reason_name};

/// A message to the caller.
#[derive(Debug, Serialize)]
pub(crate) struct Outbound {
    #[serde(flatten)]
    pub(crate) body: Body,
    /// The caller's mark on the message that this one answers.
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    request_id: Option<RequestId>,
    /// The step it belongs to, for merging chunks.
    #[serde(skip)]
    pub(crate) step: u32,
}

/// What a message says.
#[derive(Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Body {
    Info {
        message: String,
    },
    Error {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        details: Option<String>,
        code: &'static str,
    },
    Progress {
        operation: &'static str,
        progress: f32,
    },
    ModelLoaded {
        #[serde(rename = "modelInfo")]
        model_info: ModelAnswer,
    },
    CompletionChunk {
        chunk: String,
    },
    ReasoningChunk {
        chunk: String,
    },
    ToolCall {
        #[serde(rename = "toolCalls")]
        tool_calls: Vec<ToolCallAnswer>,
    },
    CompletionDone(Box<Completion>),
    #[serde(rename_all = "camelCase")]
    DownloadProgress {
        progress: f64,
        model_id: String,
        downloaded_bytes: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        total_bytes: Option<f64>,
    },
    #[serde(rename_all = "camelCase")]
    DownloadComplete {
        file_path: String,
    },
    DownloadError {
        error: String,
        code: &'static str,
    },
}

/// A whole answer.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Completion {
    full_text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    reasoning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parsed: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<Vec<LogprobsAnswer>>,
    stats: Stats,
}

/// Counts of tokens and messages.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Stats {
    prompt_tokens: usize,
    completion_tokens: usize,
    total_tokens: usize,
    cached_tokens: usize,
    reasoning_tokens: usize,
    dropped_messages: usize,
    tokens_per_second: f64,
    stop_reason: &'static str,
}

/// Whatever the caller marks its messages with.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(crate) enum RequestId {
    Text(String),
    Number(f64),
    Boolean(bool),
}

/// The language of `info` and `error` texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Locale {
    #[default]
    Portuguese,
    English,
}

/// Everything that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phrase {
    Initializing,
    Initialized,
    InitFailed,
    NotInitialized,
    Loading(String),
    Loaded,
    LoadFailed,
    ModelNotLoaded,
    CreatingContext,
    ContextCreated,
    ContextFailed,
    ContextNotCreated,
    Generating,
    Generated,
    GenerationFailed,
    Aborted,
    GenerationAborted,
    HistoryShortened(usize),
    UnexpectedToolResult,
    Downloading(String),
    Downloaded(String),
    DownloadFailed,
    DownloadAborted,
    DownloadAbortedByUser,
    Released,
    UnknownType(String),
}

impl Phrase {
    fn text(&self, locale: Locale) -> String {
        let (portuguese, english) = match self {
            Self::Initializing => ("Inicializando llama.cpp...", "Initializing llama.cpp..."),
            Self::Initialized => ("llama.cpp inicializado com sucesso", "llama.cpp initialized"),
            Self::InitFailed => ("Falha ao inicializar llama.cpp", "Failed to initialize llama.cpp"),
            Self::NotInitialized => ("llama.cpp não inicializado", "llama.cpp is not initialized"),
            Self::Loading(_) => ("Carregando modelo: ", "Loading model: "),
            Self::Loaded => ("Modelo carregado com sucesso", "Model loaded"),
            Self::LoadFailed => ("Erro ao carregar modelo", "Failed to load the model"),
            Self::ModelNotLoaded => ("Modelo não carregado", "No model is loaded"),
            Self::CreatingContext => ("Criando contexto...", "Creating context..."),
            Self::ContextCreated => ("Contexto criado com sucesso", "Context created"),
            Self::ContextFailed => ("Erro ao criar contexto", "Failed to create the context"),
            Self::ContextNotCreated => ("Contexto não criado", "No context was created"),
            Self::Generating => ("Gerando texto...", "Generating text..."),
            Self::Generated => ("Geração de texto concluída", "Text generated"),
            Self::GenerationFailed => ("Erro ao gerar texto", "Failed to generate text"),
            Self::Aborted => ("Operação abortada", "Operation aborted"),
            Self::GenerationAborted => ("Geração abortada pelo usuário", "Generation aborted by the user"),
            Self::HistoryShortened(n) => return history_shortened(*n, locale),
            Self::UnexpectedToolResult => ("Resultado de ferramenta inesperado", "Unexpected tool result"),
            Self::Downloading(_) => ("Iniciando download do modelo: ", "Downloading model: "),
            Self::Downloaded(_) => ("Modelo baixado com sucesso: ", "Model downloaded: "),
            Self::DownloadFailed => ("Erro ao baixar modelo", "Failed to download the model"),
            Self::DownloadAborted => ("Download abortado", "Download aborted"),
            Self::DownloadAbortedByUser => ("Download abortado pelo usuário", "Download aborted by the user"),
            Self::Released => ("Recursos liberados", "Resources released"),
            Self::UnknownType(_) => ("Tipo de mensagem desconhecido: ", "Unknown message type: "),
        };
        let text = if locale == Locale::Portuguese { portuguese } else { english };
        match self {
            Self::Loading(what) | Self::Downloading(what) | Self::Downloaded(what) | Self::UnknownType(what) => format!("{text}{what}"),
            _ => text.to_owned(),
        }
    }
}

fn history_shortened(n_messages: usize, locale: Locale) -> String {
    match (locale, n_messages) {
        (Locale::Portuguese, 1) => "Histórico reduzido: 1 mensagem antiga foi omitida".into(),
        (Locale::Portuguese, _) => format!("Histórico reduzido: {n_messages} mensagens antigas foram omitidas"),
        (Locale::English, 1) => "History shortened: 1 old message was left out".into(),
        (Locale::English, _) => format!("History shortened: {n_messages} old messages were left out"),
    }
}

/// What an inbound message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepKind {
    Init,
    Load,
    Context,
    Generation,
}

/// An inbound message under way, to which answers belong.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) id: u32,
    pub(crate) request_id: Option<RequestId>,
    pub(crate) locale: Locale,
}

impl Step {
    pub(crate) fn message(&self, body: Body) -> Outbound {
        Outbound {
            body,
            request_id: self.request_id.clone(),
            step: self.id,
        }
    }

    pub(crate) fn info(&self, phrase: &Phrase) -> Outbound {
        self.message(Body::Info {
            message: phrase.text(self.locale),
        })
    }

    /// `phrase` says what failed, the error why.
    pub(crate) fn failure(&self, phrase: &Phrase, error: &Error) -> Outbound {
        self.failure_text(phrase, self.details(error), error.code())
    }

    /// The same for a reason in words.
    pub(crate) fn failure_text(&self, phrase: &Phrase, details: String, code: &'static str) -> Outbound {
        self.message(Body::Error {
            error: phrase.text(self.locale),
            details: Some(details),
            code,
        })
    }

    /// Why a generation failed.
    pub(crate) fn details(&self, error: &Error) -> String {
        match error {
            Error::ContextNotCreated | Error::NotInitialized | Error::ModelNotLoaded => Phrase::ContextNotCreated.text(self.locale),
            other => other.to_string(),
        }
    }

    /// The answer to a message that cannot be understood. What has to come first (`standing`) is said before what is wrong with it.
    pub(crate) fn refusal(&self, kind: StepKind, standing: Standing, reason: &str, code: &'static str) -> [Option<Outbound>; 2] {
        let refused = |phrase: &Phrase| Some(self.failure_text(phrase, reason.to_owned(), code));
        match (kind, standing) {
            (StepKind::Init, _) => [Some(self.info(&Phrase::Initializing)), refused(&Phrase::InitFailed)],
            (StepKind::Load, Standing::New) => [Some(self.plain_error(&Phrase::NotInitialized, Error::NotInitialized.code())), None],
            (StepKind::Load, _) => [refused(&Phrase::LoadFailed), None],
            (StepKind::Context, Standing::New | Standing::Initialized) => {
                [Some(self.plain_error(&Phrase::ModelNotLoaded, Error::ModelNotLoaded.code())), None]
            }
            (StepKind::Context, _) => [Some(self.info(&Phrase::CreatingContext)), refused(&Phrase::ContextFailed)],
            (StepKind::Generation, Standing::ContextCreated) => [Some(self.info(&Phrase::Generating)), refused(&Phrase::GenerationFailed)],
            (StepKind::Generation, _) => {
                let missing = self.failure(&Phrase::GenerationFailed, &Error::ContextNotCreated);
                [Some(self.info(&Phrase::Generating)), Some(missing)]
            }
        }
    }

    /// An error that needs no further reason.
    pub(crate) fn plain_error(&self, phrase: &Phrase, code: &'static str) -> Outbound {
        self.message(Body::Error {
            error: phrase.text(self.locale),
            details: None,
            code,
        })
    }

    pub(crate) fn on_init(&self, event: &Event<InitInfo>) -> Vec<Outbound> {
        match event {
            Event::Started => vec![self.info(&Phrase::Initializing)],
            Event::Ended(Ok(_)) => vec![self.info(&Phrase::Initialized)],
            Event::Ended(Err(error)) => vec![self.failure(&Phrase::InitFailed, error)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn on_load(&self, path: &str, has_own_template: bool, event: &Event<ModelInfo>) -> Vec<Outbound> {
        match event {
            Event::Started => vec![self.info(&Phrase::Loading(path.to_owned()))],
            Event::Progress(progress) => vec![self.message(Body::Progress {
                operation: "load",
                progress: *progress,
            })],
            Event::Ended(Ok(info)) => {
                let loaded = self.message(Body::ModelLoaded {
                    model_info: ModelAnswer::new(info, has_own_template),
                });
                vec![loaded, self.info(&Phrase::Loaded)]
            }
            Event::Ended(Err(error @ Error::NotInitialized)) => vec![self.plain_error(&Phrase::NotInitialized, error.code())],
            Event::Ended(Err(error)) => vec![self.failure(&Phrase::LoadFailed, error)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn on_context(&self, event: &Event<ContextInfo>) -> Vec<Outbound> {
        match event {
            Event::Started => vec![self.info(&Phrase::CreatingContext)],
            Event::Ended(Ok(_)) => vec![self.info(&Phrase::ContextCreated)],
            Event::Ended(Err(error @ (Error::ModelNotLoaded | Error::NotInitialized))) => {
                vec![self.plain_error(&Phrase::ModelNotLoaded, error.code())]
            }
            Event::Ended(Err(error)) => vec![self.failure(&Phrase::ContextFailed, error)],
            _ => Vec::new(),
        }
    }

    /// `ids` are the names of the models that are asked for.
    pub(crate) fn on_download(&self, ids: &[String], event: &Download) -> Vec<Outbound> {
        let id = |index: usize| ids.get(index).cloned().unwrap_or_default();
        match event {
            Download::Started { index } => vec![self.info(&Phrase::Downloading(id(*index)))],
            Download::Progress(progress) => vec![self.message(Body::DownloadProgress {
                progress: progress.fraction,
                model_id: id(progress.index),
                downloaded_bytes: js_number(progress.downloaded),
                total_bytes: progress.total.map(js_number),
            })],
            Download::Finished { path, .. } => {
                let file_path = path.display().to_string();
                let info = self.info(&Phrase::Downloaded(file_path.clone()));
                vec![self.message(Body::DownloadComplete { file_path }), info]
            }
            Download::Ended(Ok(_)) => Vec::new(),
            Download::Ended(Err(Error::Aborted)) => vec![self.info(&Phrase::DownloadAbortedByUser)],
            Download::Ended(Err(error)) => self.download_failure(error.to_string(), error.code()).into(),
        }
    }

    /// What is said of a download that failed, or that could not begin.
    pub(crate) fn download_failure(&self, reason: String, code: &'static str) -> [Outbound; 2] {
        let error = reason.clone();
        let first = self.message(Body::DownloadError { error, code });
        [first, self.failure_text(&Phrase::DownloadFailed, reason, code)]
    }

    /// What a whole answer is told as.
    pub(crate) fn completion_done(&self, result: &GenerationResult, has_schema: bool, has_logprobs: bool) -> Outbound {
        let usage = result.usage;
        let stats = Stats {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
            total_tokens: usage.prompt_tokens + usage.completion_tokens,
            cached_tokens: usage.cached_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            dropped_messages: usage.dropped_messages,
            tokens_per_second: result.timings.tokens_per_second,
            stop_reason: stop_reason_name(result.stop_reason),
        };
        self.message(Body::CompletionDone(Box::new(Completion {
            full_text: result.text.clone(),
            reasoning: result.reasoning.clone(),
            parsed: parsed(result).filter(|_| has_schema),
            logprobs: has_logprobs.then(|| logprobs(&result.logprobs)),
            stats,
        })))
    }
}

#[cfg(test)]
mod tests {
    use llama_worker_engine::worker::StopReason;

    use super::*;

    fn step(locale: Locale) -> Step {
        Step {
            id: 1,
            request_id: Some(RequestId::Number(7.0)),
            locale,
        }
    }

    fn as_json(message: &Outbound) -> String {
        serde_json::to_string(message).unwrap()
    }

    #[test]
    fn a_whole_answer_has_only_the_fields_that_say_something() {
        let plain = GenerationResult {
            text: "Hi".into(),
            ..GenerationResult::default()
        };
        let done = as_json(&step(Locale::English).completion_done(&plain, false, false));
        assert!(
            done.starts_with(r#"{"type":"completion_done","fullText":"Hi","stats":{"promptTokens":0,"#),
            "{done}"
        );
        assert!(done.ends_with(r#""stopReason":"eogToken"},"requestId":7.0}"#), "{done}");
        let parsed = GenerationResult {
            text: "[1]".into(),
            reasoning: "Hm.".into(),
            is_complete: true,
            ..GenerationResult::default()
        };
        let done = as_json(&step(Locale::English).completion_done(&parsed, true, true));
        assert!(done.contains(r#""reasoning":"Hm.","parsed":[1.0],"logprobs":[]"#), "{done}");
    }

    #[test]
    fn what_was_cut_off_is_not_parsed() {
        let whole = GenerationResult {
            text: "1".into(),
            is_complete: true,
            ..GenerationResult::default()
        };
        for (stop_reason, is_complete, is_parsed) in [
            (StopReason::EogToken, true, true),
            (StopReason::EogToken, false, false),
            (StopReason::MaxTokens, true, false),
        ] {
            let result = GenerationResult {
                stop_reason,
                is_complete,
                ..whole.clone()
            };
            assert_eq!(parsed(&result).is_some(), is_parsed, "{stop_reason:?}, {is_complete}");
        }
    }

    #[test]
    fn one_message_is_left_out_in_the_singular() {
        for (n_messages, locale, expected) in [
            (1, Locale::Portuguese, "Histórico reduzido: 1 mensagem antiga foi omitida"),
            (2, Locale::Portuguese, "Histórico reduzido: 2 mensagens antigas foram omitidas"),
            (1, Locale::English, "History shortened: 1 old message was left out"),
            (2, Locale::English, "History shortened: 2 old messages were left out"),
        ] {
            assert_eq!(Phrase::HistoryShortened(n_messages).text(locale), expected);
        }
    }
}

//! A loaded model: its weights, its vocabulary and what is known about it.

use std::any::Any;
use std::ffi::{CString, c_char, c_void};
use std::path::{Path, PathBuf};
use std::ptr::NonNull;
use std::sync::{Arc, OnceLock};

use llama_cpp_2::model::LlamaModel;
use llama_cpp_2::vocab::LlamaVocab;
use llama_cpp_sys_2 as sys;

use super::backend::registry;
use super::{AbortFlag, Backend, DeviceKind, FileInfo, GpuLayers, Token, Vocabulary, gguf, log, memory, offload, row_cuts, shim};
use crate::error::{Error, Result};

/// How to load a model.
#[derive(Clone, Debug)]
pub struct ModelParams {
    /// The GGUF file; the first part of a split one.
    pub path: PathBuf,
    /// Layers to keep on the devices.
    pub gpu_layers: GpuLayers,
    /// The devices to use, by their index in [`Backend::devices`]; none means the processor only.
    pub devices: Vec<usize>,
    /// The context that will be made, in tokens, as far as it is known: it takes its share of the devices' memory.
    pub context_size: Option<u32>,
    /// Map the file into memory instead of reading it; `None` leaves the choice to llama.cpp.
    pub use_mmap: Option<bool>,
    /// Lock the weights in RAM.
    pub use_mlock: bool,
}

/// What is known about a loaded model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelInfo {
    /// The file's base name.
    pub name: String,
    /// Bytes of all tensors.
    pub size: u64,
    /// The number of weights.
    pub parameters: u64,
    /// The context it was trained with, in tokens.
    pub context_size: u32,
    /// The family, for instance `llama` or `qwen2`.
    pub architecture: String,
    /// Family, size and quantisation in words.
    pub description: String,
    /// Whether the file has a chat template; without one ChatML is used.
    pub has_chat_template: bool,
    /// The number of tokens it knows.
    pub vocabulary_size: u32,
    /// The number of layers.
    pub layers: u32,
    /// The width of an embedding.
    pub embedding_size: u32,
    /// Layers on a GPU, the output layer counted.
    pub gpu_layers: u32,
}

/// Weights and vocabulary.
#[derive(Debug)]
pub struct Model {
    inner: LlamaModel,
    path: PathBuf,
    gpu_layers: u32,
    vocabulary: OnceLock<Arc<Vocabulary>>,
    companion: OnceLock<Arc<dyn Any + Send + Sync>>,
}

impl Model {
    /// Loads a model. `on_progress` gets 0…1, not necessarily ending with 1.
    ///
    /// # Errors
    /// What is wrong with the file, or [`Error::Aborted`] when `abort` was set meanwhile.
    pub fn load(
        backend: &'static Backend,
        params: &ModelParams,
        abort: &AbortFlag,
        mut on_progress: impl FnMut(f32) + 'static,
    ) -> Result<Self> {
        Self::check_file(&params.path)?;
        let gpu_layers = offload::layers(backend, params);
        let _registry = registry();
        log::clear_errors();
        let is_wanted = abort.clone();
        let mut goes_on = move |progress| {
            on_progress(progress);
            !is_wanted.is_set()
        };
        let failed = |reason: &str| load_error(&params.path, abort, reason);
        let path = params.path.to_str().and_then(|path| CString::new(path).ok());
        let path = path.ok_or_else(|| failed("the path has no usable name"))?;
        let mut devices = devices(&params.devices)?;
        let raw_params = llama_params(params, gpu_layers, &mut devices, &mut goes_on);
        // SAFETY: the path, the devices and the callback outlive the call, and are not used after it.
        let raw = shim::call(|error| unsafe { shim::lw_model_load(path.as_ptr(), raw_params, error) });
        let raw = NonNull::new(raw.map_err(|reason| failed(&reason))?).ok_or_else(|| failed("llama.cpp gave no reason"))?;
        // SAFETY: `LlamaModel` is `#[repr(transparent)]` over the pointer to a model that it owns, in exactly the pinned version of llama-cpp-2.
        let inner = unsafe { std::mem::transmute::<NonNull<sys::llama_model>, LlamaModel>(raw) };
        let model = Self {
            inner,
            path: params.path.clone(),
            gpu_layers,
            vocabulary: OnceLock::new(),
            companion: OnceLock::new(),
        };
        model.check_it_generates_text()?;
        Ok(model)
    }

    /// Looks at a file without loading it.
    ///
    /// # Errors
    /// What makes it no loadable model at first sight.
    pub fn check_file(path: &Path) -> Result<FileInfo> {
        gguf::check_file(path)
    }

    /// Refuses a model that needs more memory than there is, here and on the devices that it may use. `freed`: bytes of the model that it
    /// takes the place of. Weights that are mapped count too: when they do not fit, each token reads them from the disk again.
    ///
    /// # Errors
    /// [`Error::InsufficientMemory`] with both sizes.
    pub fn check_memory(backend: &Backend, params: &ModelParams, file: FileInfo, freed: u64) -> Result<()> {
        let on_cards: u64 = if params.gpu_layers == GpuLayers::Count(0) {
            0
        } else {
            let devices = backend.devices().into_iter().enumerate();
            let cards = devices.filter(|(index, device)| params.devices.contains(index) && device.kind == DeviceKind::Gpu);
            cards.map(|(_, card)| card.memory_free).sum()
        };
        let available = memory::available().saturating_add(on_cards).saturating_add(freed);
        if file.weights <= available {
            return Ok(());
        }
        Err(Error::InsufficientMemory {
            what: "the model",
            needed: file.weights,
            available,
        })
    }

    /// Bytes of all tensors.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.inner.size()
    }

    /// What is known about the model.
    #[must_use]
    pub fn info(&self) -> ModelInfo {
        let model = &self.inner;
        ModelInfo {
            name: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            size: model.size(),
            parameters: model.n_params(),
            context_size: model.n_ctx_train(),
            architecture: self.metadata("general.architecture").unwrap_or_default(),
            description: self.description(),
            has_chat_template: self.metadata("tokenizer.chat_template").is_some(),
            vocabulary_size: u32::try_from(model.n_vocab()).unwrap_or(0),
            layers: model.n_layer(),
            embedding_size: u32::try_from(model.n_embd()).unwrap_or(0),
            gpu_layers: self.gpu_layers.min(model.n_layer() + 1),
        }
    }

    /// The tokens of `text`, nothing added. With `parse_special`, texts of special tokens become those tokens.
    ///
    /// # Errors
    /// [`Error::DecodeFailed`] when the tokenizer refuses the text.
    pub fn tokenize(&self, text: &str, parse_special: bool) -> Result<Vec<Token>> {
        let text_len = i32::try_from(text.len()).map_err(|_| failed("the text is larger than 2 GiB"))?;
        // Two bytes a token is more than enough for most texts; if not, llama.cpp says how many there are.
        let mut tokens: Vec<sys::llama_token> = vec![0; text.len() / 2 + 16];
        loop {
            let capacity = i32::try_from(tokens.len()).unwrap_or(i32::MAX);
            let (start, room) = (text.as_ptr().cast::<c_char>(), tokens.as_mut_ptr());
            // SAFETY: `text` has `text_len` bytes and `tokens` room for `capacity` tokens; the vocabulary lives as long as the model.
            let written =
                shim::call(|error| unsafe { shim::lw_tokenize(self.raw_vocab(), start, text_len, room, capacity, parse_special, error) });
            match written.map_err(failed)? {
                n @ 0.. => {
                    tokens.truncate(usize::try_from(n).unwrap_or(0));
                    return Ok(tokens.into_iter().map(Token::new).collect());
                }
                i32::MIN => return Err(failed("the text has too many tokens")),
                needed => tokens.resize(needed.unsigned_abs() as usize, 0),
            }
        }
    }

    /// The tokens of any text, also one with rows that are too long for the tokenizer: it is cut there.
    ///
    /// # Errors
    /// As [`Self::tokenize`].
    pub fn tokenize_text(&self, text: &str, parse_special: bool) -> Result<Vec<Token>> {
        let cuts = row_cuts(text);
        let first = &text[..cuts.first().copied().unwrap_or(text.len())];
        let mut tokens = self.tokenize(first, parse_special)?;
        let ends = cuts.iter().skip(1).copied().chain([text.len()]);
        for (start, end) in cuts.iter().zip(ends) {
            tokens.extend(self.tokenize_further(&text[*start..end], parse_special)?);
        }
        Ok(tokens)
    }

    /// The tokens of a text that continues another. Some vocabularies put a space before every text they are given: a line break in front
    /// takes it, and is cut off again.
    ///
    /// # Errors
    /// As [`Self::tokenize`].
    pub fn tokenize_further(&self, text: &str, parse_special: bool) -> Result<Vec<Token>> {
        const LINE_BREAK: &str = "\n";
        let prefix = self.tokenize(LINE_BREAK, parse_special)?;
        let mut tokens = self.tokenize(&[LINE_BREAK, text].concat(), parse_special)?;
        if !tokens.starts_with(&prefix) {
            // The line break has joined what follows; such vocabularies add no space.
            return self.tokenize(text, parse_special);
        }
        Ok(tokens.split_off(prefix.len()))
    }

    /// The most bytes that one token stands for.
    #[must_use]
    pub fn longest_piece(&self) -> usize {
        let vocab = self.vocab();
        let lengths = (0..vocab.n_tokens()).map(|id| vocab.token_to_piece(Token::new(id), true, None).len());
        lengths.max().unwrap_or(0).max(1)
    }

    /// The token that the vocabulary wants before every text, if it wants one.
    #[must_use]
    pub fn leading_token(&self) -> Option<Token> {
        let vocab = self.vocab();
        vocab.should_add_bos().then(|| vocab.bos())
    }

    /// Appends the bytes of `token` as they are shown to people; control tokens have none, unless `is_special`.
    pub fn append_piece(&self, token: Token, is_special: bool, bytes: &mut Vec<u8>) {
        self.vocab().token_to_piece_into(token, bytes, is_special, None);
    }

    /// The text of `token` by itself, also of a control token. Parts of characters read U+FFFD.
    #[must_use]
    pub fn text_of(&self, token: Token) -> String {
        self.special_text(token)
    }

    /// The text of `tokens` together, as it is shown to people; with `with_special` the texts of control tokens too. The exact opposite of
    /// [`Self::tokenize`]: a space that the vocabulary puts before every text is taken off again.
    ///
    /// # Errors
    /// [`Error::InvalidOption`] for a number that is no token.
    pub fn detokenize(&self, tokens: &[i32], with_special: bool) -> Result<Vec<u8>> {
        let puts_space = self.puts_space_before_text();
        let (mut bytes, mut begins_text) = (Vec::new(), true);
        for (index, token) in tokens.iter().enumerate() {
            self.check_token(index, *token)?;
            let start = bytes.len();
            self.append_piece(Token::new(*token), with_special, &mut bytes);
            let is_special = self.attributes(Token::new(*token)) & SPECIAL != 0;
            if puts_space && begins_text && !is_special && bytes.get(start) == Some(&b' ') {
                bytes.remove(start);
            }
            begins_text = is_special;
        }
        Ok(bytes)
    }

    fn check_token(&self, index: usize, token: i32) -> Result<()> {
        let n_vocab = self.inner.n_vocab();
        if (0..n_vocab).contains(&token) {
            return Ok(());
        }
        Err(Error::InvalidOption {
            name: format!("tokens[{index}]"),
            value: format!("`{token}`"),
            expected: format!("a token of the model, 0 to {}", n_vocab - 1),
        })
    }

    /// Whether the vocabulary puts a space before every text it is given.
    fn puts_space_before_text(&self) -> bool {
        let mut bytes = Vec::new();
        for token in self.tokenize("a", false).unwrap_or_default() {
            self.append_piece(token, false, &mut bytes);
        }
        bytes.first() == Some(&b' ')
    }

    /// Whether `token` ends an answer.
    #[must_use]
    pub fn is_end_of_generation(&self, token: Token) -> bool {
        self.vocab().is_eog(token)
    }

    /// What all tokens stand for; taken out of llama.cpp at the first call, which walks the whole vocabulary.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        self.vocabulary.get_or_init(|| Arc::new(self.read_vocabulary()))
    }

    /// What the room `sampling` makes of the vocabulary: made at the first call, kept as long as the model. `None` for a second type.
    pub fn companion<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Option<Arc<T>> {
        let companion = self.companion.get_or_init(|| Arc::new(make()));
        Arc::clone(companion).downcast().ok()
    }

    /// The texts that a message must not write as themselves: those of all tokens that steer the model instead of being text, of the one for
    /// unknown text, and of the vocabulary's further special tokens that look like it or that `template` uses.
    #[must_use]
    pub fn special_texts(&self, template: &str) -> Vec<String> {
        let vocab = self.vocab();
        let tokens = (0..vocab.n_tokens()).map(Token::new);
        let texts = tokens.filter_map(|token| {
            let attributes = self.attributes(token);
            let is_special = attributes & SPECIAL != 0;
            let text = is_special.then(|| self.special_text(token)).filter(|text| !text.is_empty())?;
            (attributes & CONTROL_OR_UNKNOWN != 0 || is_markup_of(template, &text)).then_some(text)
        });
        texts.collect()
    }

    /// The special token that is written as `text`.
    #[must_use]
    pub fn special_token(&self, text: &str) -> Option<Token> {
        match self.tokenize(text, true).ok()?.as_slice() {
            [token] if self.special_text(*token) == text => Some(*token),
            _ => None,
        }
    }

    /// The model's own chat template.
    #[must_use]
    pub fn template_source(&self) -> Option<String> {
        let names = ["tokenizer.chat_template", "tokenizer.chat_template.tool_use"];
        let sources: Vec<String> = names.iter().filter_map(|name| self.metadata(name)).collect();
        (!sources.is_empty()).then(|| sources.concat())
    }

    fn special_text(&self, token: Token) -> String {
        String::from_utf8_lossy(&self.vocab().token_to_piece(token, true, None)).into_owned()
    }

    /// Whether a sequence's memory can be cut back to a shorter beginning. Recurrent memory holds only its newest state.
    #[must_use]
    pub fn can_cut_memory(&self) -> bool {
        !(self.inner.is_recurrent() || self.inner.is_hybrid())
    }

    /// Whether sequences can share what they hold. In the compressed memory of `DeepSeek` V4 llama.cpp ends the process when they are to share a part.
    pub(super) fn can_share_memory(&self) -> bool {
        self.metadata("general.architecture").as_deref() != Some("deepseek4")
    }

    /// How far back layers with a sliding window look; 0 where there are none.
    pub(super) fn window(&self) -> usize {
        // SAFETY: the model is live.
        usize::try_from(unsafe { sys::llama_model_n_swa(self.raw()) }).unwrap_or(0)
    }

    /// Numbers kept for one token of context: keys and values of all layers.
    pub(super) fn kv_numbers_per_token(&self) -> u64 {
        let [key, value] = self.head_lengths();
        // The lengths are a file's own words.
        let per_layer = key.saturating_add(value).saturating_mul(u64::from(self.inner.n_head_kv()));
        per_layer.saturating_mul(u64::from(self.inner.n_layer()))
    }

    /// The length of a head's key, and of its value.
    pub(super) fn head_lengths(&self) -> [u64; 2] {
        let architecture = self.metadata("general.architecture").unwrap_or_default();
        let default_length = u64::try_from(self.inner.n_embd()).unwrap_or(0) / u64::from(self.inner.n_head().max(1));
        let length = |name: &str| {
            let value = self.metadata(&format!("{architecture}.attention.{name}"));
            value.and_then(|text| text.parse().ok()).unwrap_or(default_length)
        };
        [length("key_length"), length("value_length")]
    }

    /// Whether layers of it run on a GPU.
    #[must_use]
    pub fn is_offloaded(&self) -> bool {
        self.gpu_layers > 0
    }

    pub(super) fn n_vocab(&self) -> usize {
        usize::try_from(self.inner.n_vocab()).unwrap_or(0)
    }

    pub(super) fn raw(&self) -> *mut sys::llama_model {
        // SAFETY: `LlamaModel` is `#[repr(transparent)]` over the pointer to the model, in exactly the pinned version of llama-cpp-2.
        unsafe { *std::ptr::from_ref(&self.inner).cast::<*mut sys::llama_model>() }
    }

    fn read_vocabulary(&self) -> Vocabulary {
        let vocab = self.vocab();
        let tokens = || (0..vocab.n_tokens()).map(Token::new);
        let pieces = tokens().map(|token| {
            let shown = vocab.token_to_piece(token, false, None);
            let is_control = shown.is_empty();
            let piece = if is_control {
                vocab.token_to_piece(token, true, None)
            } else {
                shown
            };
            (piece, is_control)
        });
        Vocabulary::new(pieces, tokens().filter(|token| vocab.is_eog(*token)).collect())
    }

    fn attributes(&self, token: Token) -> sys::llama_token_attr {
        // SAFETY: the vocabulary is live and `token` one of its tokens.
        unsafe { sys::llama_vocab_get_attr(self.raw_vocab(), token.0) }
    }

    fn raw_vocab(&self) -> *const sys::llama_vocab {
        // SAFETY: the model is live; its vocabulary lives as long.
        unsafe { sys::llama_model_get_vocab(self.raw()) }
    }

    fn vocab(&self) -> LlamaVocab<'_> {
        self.inner.vocab()
    }

    fn metadata(&self, key: &str) -> Option<String> {
        self.inner.meta_val_str(key).ok()
    }

    fn description(&self) -> String {
        let mut buffer = [0_u8; 256];
        // SAFETY: writes at most the buffer's length, the terminating zero included.
        let length = unsafe { sys::llama_model_desc(self.raw(), buffer.as_mut_ptr().cast::<c_char>(), buffer.len()) };
        let length = usize::try_from(length).unwrap_or(0).min(buffer.len() - 1);
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// llama.cpp ends the process when a model without tokenizer or decoder is asked for text.
    fn check_it_generates_text(&self) -> Result<()> {
        // SAFETY: the model and its vocabulary are live.
        let (vocab_type, has_encoder, has_decoder) = unsafe {
            (
                sys::llama_vocab_type(self.raw_vocab()),
                sys::llama_model_has_encoder(self.raw()),
                sys::llama_model_has_decoder(self.raw()),
            )
        };
        let reason = match (vocab_type, has_encoder, has_decoder) {
            (sys::LLAMA_VOCAB_TYPE_NONE, _, _) => "it has no vocabulary",
            (_, true, _) | (_, _, false) => "it is an encoder model, not one that continues text",
            _ => return Ok(()),
        };
        Err(Error::ModelInvalid {
            path: self.path.clone(),
            reason: reason.into(),
        })
    }
}

const SPECIAL: sys::llama_token_attr = CONTROL_OR_UNKNOWN | sys::LLAMA_TOKEN_ATTR_USER_DEFINED;
const CONTROL_OR_UNKNOWN: sys::llama_token_attr = sys::LLAMA_TOKEN_ATTR_CONTROL | sys::LLAMA_TOKEN_ATTR_UNKNOWN;

/// Whether `text` steers the model: by its form, or because `template` writes it. Vocabularies have tokens of the same kind for runs of
/// spaces and the like; gpt-oss has its `<|message|>` among them.
fn is_markup_of(template: &str, text: &str) -> bool {
    const SHORTEST: usize = 3;
    let is_control_like = text.len() > 2 * "<|".len() && text.starts_with("<|") && text.ends_with("|>");
    let is_tag_like = text.len() >= SHORTEST && text.contains(['<', '[', '|']);
    is_control_like || (is_tag_like && template.contains(text))
}

/// ggml's names of the devices, and the null that ends them: a list without devices means the processor, none at all means every device.
fn devices(indices: &[usize]) -> Result<Vec<sys::ggml_backend_dev_t>> {
    // SAFETY: reads a number.
    let n_devices = unsafe { sys::ggml_backend_dev_count() };
    let mut devices = Vec::with_capacity(indices.len() + 1);
    for index in indices {
        if *index >= n_devices {
            let reason = format!("there is no device {index}");
            return Err(Error::BackendUnavailable { reason });
        }
        // SAFETY: `index` is below the number of devices.
        devices.push(unsafe { sys::ggml_backend_dev_get(*index) });
    }
    devices.push(std::ptr::null_mut());
    Ok(devices)
}

/// Refers to `devices` and `goes_on`.
fn llama_params<Callback: FnMut(f32) -> bool>(
    params: &ModelParams,
    gpu_layers: u32,
    devices: &mut [sys::ggml_backend_dev_t],
    goes_on: &mut Callback,
) -> sys::llama_model_params {
    // SAFETY: returns a plain value.
    let mut raw = unsafe { sys::llama_model_default_params() };
    raw.n_gpu_layers = i32::try_from(gpu_layers).unwrap_or(i32::MAX);
    raw.devices = devices.as_mut_ptr();
    raw.load_mode = match (params.use_mmap, params.use_mlock) {
        (None, false) => raw.load_mode,
        (Some(false), false) => sys::LLAMA_LOAD_MODE_NONE,
        (Some(true), false) => sys::LLAMA_LOAD_MODE_MMAP,
        (Some(false), true) => sys::LLAMA_LOAD_MODE_MLOCK,
        (None | Some(true), true) => sys::LLAMA_LOAD_MODE_MMAP_MLOCK,
    };
    raw.progress_callback = Some(on_progress::<Callback>);
    raw.progress_callback_user_data = std::ptr::from_mut(goes_on).cast::<c_void>();
    raw
}

/// Called by llama.cpp on the thread that loads. A panic must not cross it, and ends the load.
unsafe extern "C" fn on_progress<Callback: FnMut(f32) -> bool>(progress: f32, goes_on: *mut c_void) -> bool {
    // SAFETY: `Model::load` passes its callback, which nothing else uses meanwhile.
    let goes_on = unsafe { &mut *goes_on.cast::<Callback>() };
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| goes_on(progress))).unwrap_or(false)
}

fn load_error(path: &Path, abort: &AbortFlag, error: &str) -> Error {
    if abort.is_set() {
        return Error::Aborted;
    }
    Error::ModelLoadFailed {
        path: path.to_owned(),
        reason: log::errors_or(error),
    }
}

fn failed(reason: impl ToString) -> Error {
    Error::DecodeFailed {
        reason: reason.to_string(),
    }
}

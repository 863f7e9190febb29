//! A context: the memory of sequences over a model, and the evaluation of batches.
//!
//! Our own owner, because llama-cpp-2's hides the pointer that the abort callback, the threadpool and the memory need.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::{c_char, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use llama_cpp_sys_2 as sys;

use super::backend::registry;
use super::threadpool::Threadpool;
use super::{AbortFlag, Batch, Model, log, memory, shim};
use crate::error::{Error, Result};

/// The most tokens of one evaluation whose logits are asked for besides one of each sequence: guesses.
pub const MOST_DRAFTED: usize = 15;

/// What a context is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContextParams {
    /// Tokens that fit, prompt and answer together.
    pub context_size: u32,
    /// Tokens evaluated at once.
    pub batch_size: u32,
    /// Sequences that can be in memory at the same time; they share the context's tokens.
    pub sequences: u32,
    /// Threads that evaluate at first, the engine thread counted.
    pub threads: u32,
    /// Up to how many others may be tried; `None`: `threads` stays.
    pub most_threads: Option<u32>,
    /// Whether attention uses the fused kernels.
    pub flash_attention: FlashAttention,
    /// The number format of keys and values.
    pub kv_cache_type: KvCacheType,
    /// Do not compare what it needs with what the machine has.
    pub ignores_memory: bool,
    /// Bytes besides, for states of sequences outside of the context; `None` = [`Context::spare_bytes`].
    pub session_cache: Option<u64>,
}

/// Whether attention uses the fused kernels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlashAttention {
    /// Where the backend supports it.
    #[default]
    Auto,
    /// Always; creation fails where it is not supported.
    On,
    /// Never.
    Off,
}

/// The number format of keys and values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are ggml's")]
pub enum KvCacheType {
    F32,
    #[default]
    F16,
    Bf16,
    Q8_0,
    Q5_1,
    Q5_0,
    Q4_1,
    Q4_0,
}

/// How an evaluation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// All of it is in memory, the logits can be read.
    Done,
    /// The abort flags stopped it; some of its beginning may be in memory.
    Aborted,
    /// It took too long, see [`Context::set_patience`]; some of its beginning may be in memory.
    Late,
    /// There is no room for it.
    NoSpace,
}

/// Tokens of an evaluation that are for somebody who may stop wanting them.
#[derive(Clone, Debug)]
pub struct Stake {
    /// Set when they are not wanted any more.
    pub abort: AbortFlag,
    /// How many they are.
    pub n_tokens: usize,
}

/// Memory of sequences over a model.
#[derive(Debug)]
pub struct Context<'model> {
    raw: NonNull<sys::llama_context>,
    /// On the heap: llama.cpp keeps its address. Freed after the context.
    watch: NonNull<Watch>,
    /// By the number of threads asked for, each with how many there are. After the context in every sense: the context uses one until it is freed.
    threadpools: BTreeMap<i32, (Option<Threadpool>, i32)>,
    /// What was asked for last.
    n_threads: i32,
    n_vocab: usize,
    /// How far back layers with a sliding window look; 0 where there are none.
    pub(super) window: usize,
    pub(super) can_cut: bool,
    pub(super) can_share: bool,
    /// llama.cpp threw in the middle of something: nothing is known about what it left behind.
    is_broken: Cell<bool>,
    /// The next evaluation is to end by an assertion.
    #[cfg(all(test, not(windows)))]
    pub(crate) fails_next: bool,
    model: PhantomData<&'model Model>,
}

/// What the running evaluation obeys.
#[derive(Debug)]
struct Watch {
    /// Null between evaluations.
    stakes: Cell<*const [Stake]>,
    /// So many unwanted tokens end it.
    most_unwanted: Cell<usize>,
    deadline: Cell<Option<Instant>>,
    n_looks: Cell<u32>,
}

impl<'model> Context<'model> {
    /// Makes a context over `model`. What it needs should have been checked before, see [`Self::check`].
    ///
    /// # Errors
    /// [`Error::ContextCreationFailed`] with llama.cpp's reason.
    pub fn new(model: &'model Model, params: &ContextParams) -> Result<Self> {
        let _registry = registry();
        log::clear_errors();
        // SAFETY: the model is live, and stays so for as long as the context by the lifetime `'model`.
        let raw = shim::call(|error| unsafe { shim::lw_context_new(model.raw(), llama_params(params), error) });
        let raw = raw.map_err(creation_failed)?;
        let raw = NonNull::new(raw).ok_or_else(|| creation_failed(log::errors_or("llama.cpp gave no reason")))?;
        let watch = NonNull::from(Box::leak(Box::new(Watch {
            stakes: Cell::new(nobody()),
            most_unwanted: Cell::new(0),
            deadline: Cell::new(None),
            n_looks: Cell::new(0),
        })));
        let mut context = Self {
            raw,
            watch,
            threadpools: BTreeMap::new(),
            n_threads: 0,
            n_vocab: model.n_vocab(),
            window: model.window(),
            can_cut: model.can_cut_memory(),
            can_share: model.can_share_memory(),
            is_broken: Cell::new(false),
            #[cfg(all(test, not(windows)))]
            fails_next: false,
            model: PhantomData,
        };
        context.set_threads(params.threads);
        context.attach()?;
        Ok(context)
    }

    /// Refuses at once what cannot become a context. `freed`: bytes of the context that it takes the place of.
    ///
    /// # Errors
    /// [`Error::ContextCreationFailed`] for a combination that llama.cpp does not offer. [`Error::InsufficientMemory`] when the machine
    /// has too little: Linux grants any allocation and kills the process when it is used. Models on a GPU, and recurrent ones, are not
    /// reckoned, but what is asked for besides is.
    pub fn check(model: &Model, params: &ContextParams, freed: u64) -> Result<()> {
        check_kv_cache_type(model, params)?;
        let needed = Self::reckoned_bytes(model, params).saturating_add(params.session_cache.unwrap_or(0));
        if params.ignores_memory || needed == 0 {
            return Ok(());
        }
        let available = memory::available().saturating_add(freed);
        if needed > available {
            return Err(Error::InsufficientMemory {
                what: "the context",
                needed,
                available,
            });
        }
        Ok(())
    }

    /// `params` with as many tokens of what it asks for as there is memory for. `freed`: bytes of the context that it takes the place of.
    #[must_use]
    pub fn fit(model: &Model, params: ContextParams, freed: u64) -> ContextParams {
        if params.ignores_memory || model.is_offloaded() || !model.can_cut_memory() {
            return params;
        }
        let one_token = ContextParams {
            context_size: 1,
            ..params.clone()
        };
        let available = memory::available().saturating_add(freed);
        let context_size = tokens_that_fit(params.context_size, Self::needed_bytes(model, &one_token), available);
        ContextParams {
            context_size,
            batch_size: params.batch_size.min(context_size),
            ..params
        }
    }

    /// Bytes that a context takes, for the most part its keys and values.
    #[must_use]
    pub fn needed_bytes(model: &Model, params: &ContextParams) -> u64 {
        let (block_numbers, block_bytes) = params.kv_cache_type.block();
        let keys_and_values = model.kv_numbers_per_token().saturating_mul(block_bytes) / block_numbers;
        // The attention mask of one batch, four bytes a position.
        let mask = u64::from(params.batch_size) * 4;
        u64::from(params.context_size).saturating_mul(keys_and_values.saturating_add(mask))
    }

    /// A modest share of what the machine has left beside a context that has yet to fill its memory, for states of sequences.
    #[must_use]
    pub fn spare_bytes(model: &Model, params: &ContextParams) -> u64 {
        const SHARE: u64 = 8;
        const MOST: u64 = 512 << 20;
        let left = memory::available().saturating_sub(Self::reckoned_bytes(model, params));
        (left / SHARE).min(MOST)
    }

    /// The memory of recurrent and hybrid models does not grow as that of plain attention, by which it is reckoned here; that of models on a
    /// GPU is elsewhere.
    fn reckoned_bytes(model: &Model, params: &ContextParams) -> u64 {
        let is_reckoned = !model.is_offloaded() && model.can_cut_memory();
        if is_reckoned { Self::needed_bytes(model, params) } else { 0 }
    }

    fn attach(&self) -> Result<()> {
        let data = self.watch.as_ptr().cast::<c_void>();
        // SAFETY: the context is live; the watch is owned by `self` and outlives the context, see `drop`.
        unsafe {
            sys::llama_set_abort_callback(self.raw(), Some(should_abort), data);
            if sys::llama_get_memory(self.raw()).is_null() {
                return Err(creation_failed("the model keeps no memory of a sequence, it cannot continue text"));
            }
        }
        Ok(())
    }

    /// Evaluates by so many threads from now on. Each number has a pool of its own, kept for the next time: the threads of a larger one that are
    /// not needed would spin after every evaluation. Where the system lets fewer start, so many evaluate.
    pub fn set_threads(&mut self, threads: u32) {
        let n_threads = i32::try_from(threads).unwrap_or(1).max(1);
        if n_threads == self.n_threads {
            return;
        }
        self.n_threads = n_threads;
        let raw = self.raw();
        let (pool, n_threads) = self.threadpools.entry(n_threads).or_insert_with(|| Threadpool::new(n_threads));
        let n_threads = *n_threads;
        // SAFETY: the context is live, and no evaluation is running; the pool is owned by `self` and outlives the context, see `drop`.
        unsafe {
            sys::llama_set_n_threads(raw, n_threads, n_threads);
            let pool = pool.as_ref().map_or(std::ptr::null_mut(), Threadpool::as_ptr);
            sys::llama_attach_threadpool(raw, pool, std::ptr::null_mut());
        }
    }

    /// By how many threads it evaluates now, the engine thread counted.
    #[must_use]
    pub fn threads(&self) -> u32 {
        self.threads_for(u32::try_from(self.n_threads).unwrap_or(1))
    }

    /// By how many threads it evaluates when `threads` are asked for: fewer, where the system let fewer start.
    #[must_use]
    pub fn threads_for(&self, threads: u32) -> u32 {
        let wanted = i32::try_from(threads).unwrap_or(1);
        let started = self.threadpools.get(&wanted).map_or(wanted, |(_, n_threads)| *n_threads);
        u32::try_from(started.max(1)).unwrap_or(1)
    }

    /// The next evaluation may take so long. Not where memory cannot be cut: what it has done could not be taken back.
    pub fn set_patience(&mut self, patience: Option<Duration>) {
        let deadline = patience
            .filter(|_| self.can_cut)
            .and_then(|patience| Instant::now().checked_add(patience));
        self.watch().deadline.set(deadline);
    }

    /// Tokens that fit, as llama.cpp rounded them.
    #[must_use]
    pub fn context_size(&self) -> usize {
        // SAFETY: the context is live.
        unsafe { sys::llama_n_ctx(self.raw()) as usize }
    }

    /// The most tokens one evaluation takes.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        // SAFETY: the context is live.
        unsafe { sys::llama_n_batch(self.raw()) as usize }
    }

    /// Evaluates `batch`. Stops early when half of the tokens that `stakes` are about are not wanted any more: to evaluate the others once more takes
    /// about as long as to go on, on average, and whoever aborts does not wait. Where memory cannot be cut, only when none of them is, because an
    /// evaluation of several sequences that ends early then forgets all of them, also those that are not in it, see [`Self::held`].
    ///
    /// # Errors
    /// llama.cpp's reason; what the sequences hold is then unknown. A token that continues what has been forgotten.
    ///
    /// # Panics
    /// When the batch is larger than [`Self::batch_size`]: llama.cpp would end the process.
    pub fn decode(&mut self, batch: &Batch, stakes: &[Stake]) -> std::result::Result<Decoded, String> {
        assert!(
            batch.len() <= self.batch_size(),
            "a batch of {} tokens, n_batch is {}",
            batch.len(),
            self.batch_size()
        );
        if self.is_broken() {
            return Err("the context was lost before".into());
        }
        // Where memory can be cut nothing of this matters.
        let sequences = if self.can_cut { BTreeMap::new() } else { first_positions(batch) };
        if sequences.iter().any(|(sequence, position)| self.held(*sequence) < *position) {
            return Err("the beginning of the text has been forgotten, because another evaluation was aborted".into());
        }
        log::clear_errors();
        self.watch().most_unwanted.set(most_unwanted(stakes, sequences.len() <= 1));
        self.watch().stakes.set(stakes);
        let raw_batch = self.raw_batch(batch);
        // SAFETY: the batch's arrays are live and filled; `stakes` outlives the call, after which the watch is emptied again.
        let code = shim::call(|error| unsafe { shim::lw_decode(self.raw(), raw_batch, error) });
        let wants_abort = self.watch().wants_abort(stakes);
        self.watch().stakes.set(nobody());
        let is_late = self.watch().deadline.take().is_some_and(|deadline| Instant::now() >= deadline);
        if matches!(code, Err(_) | Ok(THREW)) {
            self.is_broken.set(true);
        }
        let is_whole = matches!(code, Ok(DONE | NO_SPACE));
        if !is_whole && sequences.len() > 1 {
            // llama.cpp puts the states of the batch's sequences side by side, and the others' out of the way, while it evaluates: some of
            // them may now be neither here nor there.
            self.clear_all();
        }
        match code {
            Ok(DONE) => Ok(Decoded::Done),
            Ok(NO_SPACE) => Ok(Decoded::NoSpace),
            Ok(ABORTED) if is_late && !wants_abort => Ok(Decoded::Late),
            Ok(ABORTED) => Ok(Decoded::Aborted),
            Ok(code) => Err(log::errors_or(&format!("llama.cpp returned {code}"))),
            Err(reason) => Err(reason),
        }
    }

    #[cfg(not(all(test, not(windows))))]
    #[expect(clippy::unused_self, reason = "tests have a failure in it")]
    fn raw_batch(&self, batch: &Batch) -> sys::llama_batch {
        batch.raw()
    }

    /// When the evaluation is to fail, a token more than the context takes, which llama.cpp asserts.
    #[cfg(all(test, not(windows)))]
    fn raw_batch(&mut self, batch: &Batch) -> sys::llama_batch {
        if !std::mem::take(&mut self.fails_next) {
            return batch.raw();
        }
        let (held, n_tokens) = (self.held(0), self.batch_size() + 1);
        let mut larger = Batch::new(n_tokens);
        for index in 0..n_tokens {
            larger.add(super::Token::new(0), held + index, 0, false);
        }
        let raw = larger.raw();
        // The arrays are needed until the evaluation is over.
        std::mem::forget(larger);
        raw
    }

    /// Whether something ended in the middle of llama.cpp's code; only a new context can be trusted then.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    /// Calls a function of the shim on the context, which is broken when that throws. One that is broken is not touched again.
    pub(super) fn call<T>(&self, function: impl FnOnce(*mut *mut c_char) -> T) -> std::result::Result<T, shim::Thrown> {
        if self.is_broken() {
            return Err("the context was lost before".into());
        }
        shim::call(function).inspect_err(|_| self.is_broken.set(true))
    }

    /// The logits after the token at `index` of the last batch, which must have asked for them.
    ///
    /// # Errors
    /// What a device reports only now, when it is waited for; the context is broken then. An index without logits.
    pub fn logits(&self, index: usize) -> std::result::Result<&[f32], String> {
        let none = || String::from("no logits after an evaluation");
        let index = i32::try_from(index).map_err(|_| none())?;
        // SAFETY: the context is live; an index without logits gives null.
        let logits = self.call(|error| unsafe { shim::lw_logits(self.raw(), index, error) })?;
        if logits.is_null() {
            return Err(none());
        }
        // SAFETY: llama.cpp's row of logits has one number for each token of the vocabulary, and stays until the next evaluation, which
        // needs `&mut self`.
        Ok(unsafe { std::slice::from_raw_parts(logits, self.n_vocab) })
    }

    /// Cuts `sequence` back to its first `n_tokens`. Returns whether its memory allows that; if not, nothing changed.
    pub fn cut(&mut self, sequence: i32, n_tokens: usize) -> bool {
        if !self.holds_window(sequence, n_tokens) {
            return false;
        }
        let from = i32::try_from(n_tokens).unwrap_or(i32::MAX);
        // SAFETY: the context and its memory are live.
        let is_cut = self.call(|error| unsafe { shim::lw_memory_cut(self.raw(), sequence, from, error) });
        is_cut.unwrap_or(false)
    }

    /// Forgets `sequence`.
    pub fn clear(&mut self, sequence: i32) {
        // Removing a whole sequence never fails.
        self.cut(sequence, 0);
    }

    fn clear_all(&mut self) {
        // SAFETY: the context and its memory are live; the numbers themselves may stay.
        let cleared = self.call(|error| unsafe { shim::lw_memory_clear(self.raw(), error) });
        // A context where that fails is broken, which is looked at after each step.
        drop(cleared);
    }

    /// How many tokens `sequence` holds.
    #[must_use]
    pub fn held(&self, sequence: i32) -> usize {
        // SAFETY: the context and its memory are live; an empty sequence has -1.
        let last = self.call(|error| unsafe { shim::lw_memory_last(self.raw(), sequence, error) });
        usize::try_from(last.unwrap_or(-1) + 1).unwrap_or(0)
    }

    /// Whether [`Self::cut`] would succeed.
    #[must_use]
    pub fn can_cut_to(&self, sequence: i32, n_tokens: usize) -> bool {
        let is_shorter = n_tokens < self.held(sequence);
        n_tokens == 0 || !is_shorter || (self.can_cut && self.holds_window(sequence, n_tokens))
    }

    /// Whether a sequence can lose what a token further back would see, though it is not cut itself.
    #[must_use]
    pub fn has_window(&self) -> bool {
        self.window > 0
    }

    /// Whether everything is still there that a token behind the first `n_tokens` sees. Of layers with a sliding window llama.cpp gives the
    /// cells that the newest token does not see to any sequence; a token further back would see them.
    fn holds_window(&self, sequence: i32, n_tokens: usize) -> bool {
        let first = self.first_held(sequence);
        n_tokens == 0 || first == 0 || first + self.window <= n_tokens + 1
    }

    /// The position of the first token that all layers with keys still hold.
    pub(super) fn first_held(&self, sequence: i32) -> usize {
        // SAFETY: the context and its memory are live; an empty sequence has -1.
        let first = self.call(|error| unsafe { shim::lw_memory_first(self.raw(), sequence, error) });
        usize::try_from(first.unwrap_or(-1)).unwrap_or(0)
    }

    fn watch(&self) -> &Watch {
        // SAFETY: allocated in `new` and freed in `drop` only; never borrowed mutably.
        unsafe { self.watch.as_ref() }
    }

    pub(super) fn raw(&self) -> *mut sys::llama_context {
        self.raw.as_ptr()
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // SAFETY: created by `lw_context_new` and freed once. Only then may the watch go; the threadpools are a field and go after this.
        let freed = shim::call(|error| unsafe { shim::lw_context_free(self.raw(), error) });
        if freed.is_err() {
            // The context stays, because freeing it would end the process, and so does what it refers to.
            std::mem::forget(std::mem::take(&mut self.threadpools));
            return;
        }
        // SAFETY: it came from a box, and nothing refers to it any more.
        drop(unsafe { Box::from_raw(self.watch.as_ptr()) });
    }
}

/// What `llama_decode` returns.
const DONE: i32 = 0;
const NO_SPACE: i32 = 1;
const ABORTED: i32 = 2;
/// What the shim returns for an exception, as `shim.h` has it; its text may have found no memory.
const THREW: i32 = -1_000_000_000;

/// The sequences in `batch`, each with the position of its first token.
fn first_positions(batch: &Batch) -> BTreeMap<i32, usize> {
    let raw = batch.raw();
    let mut positions = BTreeMap::new();
    for index in 0..batch.len() {
        // SAFETY: the batch's arrays are filled up to its length, with one sequence for each token.
        let (sequence, position) = unsafe { (**raw.seq_id.add(index), *raw.pos.add(index)) };
        positions.entry(sequence).or_insert(usize::try_from(position).unwrap_or(0));
    }
    positions
}

fn nobody() -> *const [Stake] {
    std::ptr::slice_from_raw_parts(std::ptr::null(), 0)
}

/// Called by llama.cpp between graph nodes, on the thread that evaluates.
unsafe extern "C" fn should_abort(data: *mut c_void) -> bool {
    // SAFETY: `data` is the watch of a live context, see `attach`.
    let watch = unsafe { &*data.cast::<Watch>() };
    let stakes = watch.stakes.get();
    if stakes.is_null() {
        return false;
    }
    // SAFETY: set by `decode` to a slice that outlives the evaluation, which is running.
    watch.wants_abort(unsafe { &*stakes }) || watch.is_over()
}

/// How many tokens that are not wanted any more end an evaluation. `can_repeat`: the others can be evaluated once more.
fn most_unwanted(stakes: &[Stake], can_repeat: bool) -> usize {
    let n_tokens: usize = stakes.iter().map(|stake| stake.n_tokens).sum();
    if can_repeat { n_tokens.div_ceil(2) } else { n_tokens }
}

impl Watch {
    fn wants_abort(&self, stakes: &[Stake]) -> bool {
        let unwanted = stakes.iter().filter(|stake| stake.abort.is_set());
        let n_unwanted: usize = unwanted.map(|stake| stake.n_tokens).sum();
        n_unwanted > 0 && n_unwanted >= self.most_unwanted.get()
    }

    /// Looks at the clock now and then: a graph has a thousand nodes.
    fn is_over(&self) -> bool {
        const EVERY: u32 = 4;
        let Some(deadline) = self.deadline.get() else { return false };
        let n_looks = self.n_looks.get().wrapping_add(1);
        self.n_looks.set(n_looks);
        n_looks.is_multiple_of(EVERY) && Instant::now() >= deadline
    }
}

fn thread_count(params: &ContextParams) -> i32 {
    i32::try_from(params.threads).unwrap_or(1).max(1)
}

fn llama_params(params: &ContextParams) -> sys::llama_context_params {
    // SAFETY: returns a plain value.
    let mut raw = unsafe { sys::llama_context_default_params() };
    raw.n_ctx = params.context_size;
    raw.n_batch = params.batch_size;
    raw.n_ubatch = params.batch_size;
    raw.n_seq_max = params.sequences.max(1);
    // One memory for all sequences: a single one may fill it, and four cost no more than one.
    raw.kv_unified = true;
    // Logits are asked for one token of a sequence, and for guesses; without this llama.cpp reserves room for a whole batch of them.
    raw.n_outputs_max = params.sequences.max(1).saturating_add(u32::try_from(MOST_DRAFTED).unwrap_or(0));
    raw.n_threads = thread_count(params);
    raw.n_threads_batch = thread_count(params);
    raw.flash_attn_type = match params.flash_attention {
        FlashAttention::Auto => sys::LLAMA_FLASH_ATTN_TYPE_AUTO,
        FlashAttention::On => sys::LLAMA_FLASH_ATTN_TYPE_ENABLED,
        FlashAttention::Off => sys::LLAMA_FLASH_ATTN_TYPE_DISABLED,
    };
    raw.type_k = ggml_type(params.kv_cache_type);
    raw.type_v = raw.type_k;
    raw
}

fn ggml_type(kv_cache_type: KvCacheType) -> sys::ggml_type {
    match kv_cache_type {
        KvCacheType::F32 => sys::GGML_TYPE_F32,
        KvCacheType::F16 => sys::GGML_TYPE_F16,
        KvCacheType::Bf16 => sys::GGML_TYPE_BF16,
        KvCacheType::Q8_0 => sys::GGML_TYPE_Q8_0,
        KvCacheType::Q5_1 => sys::GGML_TYPE_Q5_1,
        KvCacheType::Q5_0 => sys::GGML_TYPE_Q5_0,
        KvCacheType::Q4_1 => sys::GGML_TYPE_Q4_1,
        KvCacheType::Q4_0 => sys::GGML_TYPE_Q4_0,
    }
}

impl KvCacheType {
    /// The numbers that ggml stores together, and their bytes.
    fn block(self) -> (u64, u64) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q5_1 => (32, 24),
            Self::Q5_0 => (32, 22),
            Self::Q4_1 => (32, 20),
            Self::Q4_0 => (32, 18),
        }
    }
}

/// llama.cpp finds these only after the context before is gone.
fn check_kv_cache_type(model: &Model, params: &ContextParams) -> Result<()> {
    let (block_numbers, _) = params.kv_cache_type.block();
    if block_numbers > 1 && params.flash_attention == FlashAttention::Off {
        return Err(creation_failed("a quantized `kvCacheType` needs flash attention"));
    }
    if model.head_lengths().iter().any(|length| length % block_numbers != 0) {
        return Err(creation_failed(format!(
            "the model's attention heads are no multiple of {block_numbers}, which this `kvCacheType` needs"
        )));
    }
    Ok(())
}

fn creation_failed(reason: impl Into<String>) -> Error {
    Error::ContextCreationFailed { reason: reason.into() }
}

/// As many of `wanted` tokens as fit into seven eighths of what is available: what is computed with them needs some room too. Never fewer than
/// [`FEWEST_TOKENS`]: a context in which nothing can be said would only fail later.
fn tokens_that_fit(wanted: u32, bytes_per_token: u64, available: u64) -> u32 {
    /// llama.cpp rounds to multiples of it.
    const FEWEST_TOKENS: u32 = 256;
    let fit = (available - available / 8) / bytes_per_token.max(1);
    let fit = u32::try_from(fit).unwrap_or(u32::MAX);
    let rounded = (fit - fit % FEWEST_TOKENS).max(FEWEST_TOKENS);
    wanted.min(rounded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama::testing::{built_in_model, context_params};

    /// By itself llama.cpp would end the process.
    #[test]
    fn an_assertion_that_fails_is_an_error() {
        let model = built_in_model();
        let params = ContextParams {
            batch_size: 4,
            ..context_params()
        };
        let mut context = Context::new(&model, &params).unwrap();
        let mut batch = Batch::new(8);
        for position in 0..8 {
            batch.add(crate::llama::Token::new(1), position, 0, false);
        }
        for _ in 0..3 {
            // SAFETY: the batch's arrays are live and filled. It is too large on purpose, which llama.cpp asserts before it looks at it.
            let code = shim::call(|error| unsafe { shim::lw_decode(context.raw(), batch.raw(), error) });
            assert!(code.unwrap_err().contains("GGML_ASSERT"));
        }
        let mut batch = Batch::new(4);
        batch.add(crate::llama::Token::new(1), 0, 0, true);
        assert_eq!(context.decode(&batch, &[]), Ok(Decoded::Done), "and the next evaluation works");
    }

    #[test]
    fn an_evaluation_ends_when_half_of_it_is_not_wanted_any_more() {
        let model = built_in_model();
        let params = ContextParams {
            sequences: 2,
            ..context_params()
        };
        let mut context = Context::new(&model, &params).unwrap();
        for (n_unwanted, expected) in [(0, Decoded::Done), (3, Decoded::Done), (4, Decoded::Aborted), (8, Decoded::Aborted)] {
            context.clear_all();
            let mut batch = Batch::new(8);
            let stakes = [n_unwanted, 8 - n_unwanted].map(|n_tokens| Stake {
                abort: AbortFlag::default(),
                n_tokens,
            });
            stakes[0].abort.set();
            for (sequence, stake) in (0..).zip(&stakes) {
                for position in 0..stake.n_tokens {
                    batch.add(crate::llama::Token::new(1), position, sequence, false);
                }
            }
            assert_eq!(context.decode(&batch, &stakes), Ok(expected), "{n_unwanted} of 8 tokens");
        }
    }

    #[test]
    fn where_the_others_cannot_be_evaluated_again_all_must_be_unwanted() {
        let stakes = [3, 1].map(|n_tokens| Stake {
            abort: AbortFlag::default(),
            n_tokens,
        });
        assert_eq!((most_unwanted(&stakes, true), most_unwanted(&stakes, false)), (2, 4));
        assert_eq!((most_unwanted(&[], true), most_unwanted(&stakes[1..], true)), (0, 1));
    }

    #[test]
    fn as_many_tokens_as_there_is_memory_for() {
        let cases = [
            (8192, 1 << 10, 1 << 30, 8192),
            (8192, 1 << 20, 1 << 30, 768),
            (8192, 1 << 30, 1 << 20, 256),
            (100, 1 << 30, 0, 100),
            (8192, 0, u64::MAX, 8192),
        ];
        for (wanted, per_token, available, expected) in cases {
            assert_eq!(
                tokens_that_fit(wanted, per_token, available),
                expected,
                "{wanted} of {per_token} bytes in {available}"
            );
        }
    }
}

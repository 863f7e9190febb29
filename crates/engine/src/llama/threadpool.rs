//! The threads that evaluate a graph beside the engine thread, kept for the life of a context.
//!
//! Without a pool of its own ggml would create and join threads for every token. Polling is kept low: a spinning thread takes a core
//! away from the application.

use std::ffi::c_void;
use std::ptr::NonNull;

use llama_cpp_sys_2 as sys;

use super::backend::cpu_function;

/// ggml's unit of spinning before a thread sleeps. Measured best of 0, 1 and 50, quiet and with a busy neighbour; the default, 50, spins
/// for 170 ms after every graph.
const POLL: u32 = 1;

type NewPool = extern "C" fn(*mut sys::ggml_threadpool_params) -> *mut sys::ggml_threadpool;
type FreePool = extern "C" fn(*mut sys::ggml_threadpool);

/// `n_threads` threads, the engine thread counted.
#[derive(Debug)]
pub(super) struct Threadpool {
    raw: NonNull<sys::ggml_threadpool>,
    free: FreePool,
}

impl Threadpool {
    /// `None` when the CPU backend offers no pools; ggml then makes its own threads.
    pub(super) fn new(n_threads: i32) -> Option<Self> {
        let (new, free) = (cpu_function(c"ggml_threadpool_new")?, cpu_function(c"ggml_threadpool_free")?);
        // SAFETY: ggml-cpu.h declares these two names with these types.
        let (new, free) = unsafe {
            (
                std::mem::transmute::<*mut c_void, NewPool>(new),
                std::mem::transmute::<*mut c_void, FreePool>(free),
            )
        };
        // SAFETY: returns a plain value.
        let mut params = unsafe { sys::ggml_threadpool_params_default(n_threads) };
        params.poll = POLL;
        Some(Self {
            raw: NonNull::new(new(&raw mut params))?,
            free,
        })
    }

    pub(super) fn as_ptr(&self) -> *mut sys::ggml_threadpool {
        self.raw.as_ptr()
    }
}

impl Drop for Threadpool {
    fn drop(&mut self) {
        (self.free)(self.raw.as_ptr());
    }
}

//! Runs a function when the process exits by `exit()`, before llama.cpp's static destructors.

/// Registers `handler`. Call it after the backends are loaded: exit handlers run in reverse order, so this one runs before theirs.
///
/// Does nothing on Windows, where threads are already gone when exit handlers run.
pub fn at_exit(handler: extern "C" fn()) {
    #[cfg(unix)]
    // SAFETY: `handler` is a plain function that stays valid: the addon's image is never unloaded.
    // A failed registration only means that nothing waits for the threads at exit.
    let _ = unsafe { libc::atexit(handler) };
    #[cfg(not(unix))]
    let _ = handler;
}

//! How much of a model is here, as the threads that know it say it.
//!
//! Tells nobody: whoever reports it reads it, and sees to it that it never goes back.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The bytes of one model, over all its files.
#[derive(Debug, Default)]
pub(super) struct Meter {
    /// Of the files that are whole.
    before: AtomicU64,
    /// Of the file under way.
    here: AtomicU64,
    file: Mutex<PathBuf>,
}

impl Meter {
    /// The file under way has so many bytes.
    pub(super) fn set_here(&self, bytes: u64) {
        self.here.store(bytes, Ordering::Relaxed);
    }

    /// Goes on to the next file.
    pub(super) fn begin(&self, file: &Path) {
        let finished = self.here.swap(0, Ordering::Relaxed);
        self.before.fetch_add(finished, Ordering::Relaxed);
        // OK after a panic: a path is there or not.
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file.into();
    }

    /// The bytes that are here, and the file under way.
    pub(super) fn read(&self) -> (u64, PathBuf) {
        let bytes = self.before.load(Ordering::Relaxed) + self.here.load(Ordering::Relaxed);
        (bytes, self.file.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

//! Which branches of this program were taken: the counters that the compiler puts in.
//!
//! They cover this crate, the reader in it above all, and not the standard library.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LENGTH: AtomicUsize = AtomicUsize::new(0);

/// Called before `main` by what the compiler puts in.
#[unsafe(no_mangle)]
extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Ordering::Relaxed);
    LENGTH.store(stop.addr() - start.addr(), Ordering::Relaxed);
}

/// What has been reached by any input so far.
pub(crate) struct Reached {
    /// For each counter, the classes of counts that were seen.
    classes: Vec<u8>,
}

impl Reached {
    pub(crate) fn new() -> Self {
        assert!(
            LENGTH.load(Ordering::Relaxed) > 0,
            "compiled without counters: run it in `fuzz/`, whose configuration has the flags"
        );
        Self {
            classes: vec![0; LENGTH.load(Ordering::Relaxed)],
        }
    }

    /// Runs `one`; returns whether it went where no input went before.
    pub(crate) fn is_news(&mut self, one: impl FnOnce()) -> bool {
        let start = START.load(Ordering::Relaxed);
        // SAFETY: the compiler's array of this length, which one thread uses.
        unsafe { std::ptr::write_bytes(start, 0, self.classes.len()) };
        one();
        let mut is_news = false;
        for (index, classes) in self.classes.iter_mut().enumerate() {
            // SAFETY: as above.
            let count = unsafe { start.add(index).read() };
            let class = class_of(count);
            is_news |= class & !*classes != 0;
            *classes |= class;
        }
        is_news
    }

    /// Branches that were taken, of how many.
    pub(crate) fn share(&self) -> (usize, usize) {
        (self.classes.iter().filter(|classes| **classes != 0).count(), self.classes.len())
    }
}

/// Once, twice, three times, and then by powers of two: a loop that goes round once more is no news.
fn class_of(count: u8) -> u8 {
    match count {
        0 => 0,
        1 => 1,
        2 => 2,
        3 => 4,
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        128.. => 128,
    }
}

//! One request's wish to be stopped, shared between the thread that asks and the engine thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, never reset: every request has its own.
#[derive(Clone, Debug, Default)]
pub struct AbortFlag {
    own: Arc<AtomicBool>,
    parent: Option<Arc<AtomicBool>>,
}

impl AbortFlag {
    /// A flag that counts as set when this one is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self {
            own: Arc::default(),
            parent: Some(Arc::clone(&self.own)),
        }
    }

    /// Asks the request, and those of its children, to stop. They do so within one graph node of a running evaluation, or after it when most of what
    /// it evaluates is others'.
    pub fn set(&self) {
        self.own.store(true, Ordering::Relaxed);
    }

    /// Whether the request was asked to stop.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.own.load(Ordering::Relaxed) || self.parent.as_ref().is_some_and(|parent| parent.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_obeys_its_parent_but_not_the_other_way_round() {
        let parent = AbortFlag::default();
        let (first, second) = (parent.child(), parent.child());
        first.set();
        assert!(first.is_set() && !second.is_set() && !parent.is_set());
        parent.set();
        assert!(second.is_set());
    }
}

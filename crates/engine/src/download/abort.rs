//! How a download is told to end early.
//!
//! Wakes whoever waits and ends nothing itself: what has come is put in order by those who were woken.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::watch;

use crate::error::{Error, Result};

/// The wish that one download ends. Clones are the same wish.
#[derive(Clone, Debug)]
pub struct Abort(Arc<watch::Sender<bool>>);

impl Default for Abort {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Abort {
    /// Ends the download at once, wherever it is.
    pub fn set(&self) {
        self.0.send_replace(true);
    }

    /// Whether it was told to end.
    #[must_use]
    pub fn is_set(&self) -> bool {
        *self.0.borrow()
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// What `work` comes to, unless it is aborted before.
    pub(super) async fn or<Value>(&self, work: impl Future<Output = Result<Value>>) -> Result<Value> {
        let mut wish = self.0.subscribe();
        tokio::select! {
            biased;
            _ = wish.wait_for(|is_set| *is_set) => Err(Error::Aborted),
            result = work => result,
        }
    }
}

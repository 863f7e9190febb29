//! How long to wait, how often to try, and how large a piece is. Pure numbers, so that tests need not wait.

use std::time::Duration;

/// Limits of one download.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Until a server has taken a connection.
    pub connect: Duration,
    /// Without a byte.
    pub stall: Duration,
    /// Failures in a row, with nothing new between, after which there is no other try.
    pub tries: u32,
    /// Before the second try; twice as long before each further one.
    pub first_wait: Duration,
    /// The longest of these waits.
    pub longest_wait: Duration,
    /// The longest wait that a server may ask for.
    pub longest_asked_wait: Duration,
    /// How often a file may turn out to be another one than before.
    pub restarts: u32,
    /// Between two looks at a file that another download holds.
    pub lock_poll: Duration,
    /// Between two reports of progress.
    pub progress: Duration,
    /// Between two notes of what is in a partial file.
    pub note: Duration,
    /// Connections for one large file.
    pub connections: usize,
    /// What is large.
    pub large: u64,
    /// What one connection fetches at a time, so that the file grows from its beginning.
    pub piece: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            tries: 6,
            first_wait: Duration::from_millis(500),
            longest_wait: Duration::from_secs(20),
            longest_asked_wait: Duration::from_secs(120),
            restarts: 3,
            lock_poll: Duration::from_millis(100),
            progress: Duration::from_millis(100),
            note: Duration::from_secs(1),
            connections: 4,
            large: 96 << 20,
            piece: 32 << 20,
        }
    }
}

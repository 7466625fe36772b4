//! Whether the archive takes what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use archive::Outcome;

use crate::http::Health;

/// How long one failure counts. It fades so that a server which is sent no more messages because of it gets another
/// chance.
const FADES: Duration = Duration::from_secs(30);

/// The archive's pulse. Clones share it.
#[derive(Clone)]
pub(crate) struct Pulse {
    since: Instant,
    /// Milliseconds after `since` of the last failure, plus one; zero after a success.
    failed: Arc<AtomicU64>,
}

impl Pulse {
    pub(crate) fn new() -> Self {
        Self { since: Instant::now(), failed: Arc::default() }
    }

    /// Takes note of what became of an entry.
    pub(crate) fn feel<T>(&self, outcome: &Outcome<T>) {
        match outcome {
            // Read before it is written: while all is well, the line stays shared between processors.
            Outcome::Archived(_) if self.failed.load(Ordering::Relaxed) != 0 => {
                self.failed.store(0, Ordering::Relaxed)
            }
            Outcome::Failed(..) => {
                let at = self.since.elapsed().as_millis() as u64 + 1;
                self.failed.store(at, Ordering::Relaxed);
            }
            Outcome::Archived(_) | Outcome::Exempt(_) => {}
        }
    }

    /// How the server is, as far as the archive goes.
    pub(crate) fn health(&self) -> Health {
        self.health_at(self.since.elapsed())
    }

    fn health_at(&self, now: Duration) -> Health {
        match self.failed.load(Ordering::Relaxed) {
            0 => Health::Ok,
            at if now.saturating_sub(Duration::from_millis(at)) > FADES => Health::Ok,
            _ => Health::Failing("the archive cannot store messages"),
        }
    }
}

#[cfg(test)]
mod tests {
    use archive::AppendError;

    use super::*;

    #[test]
    fn a_failure_shows_until_it_fades() {
        let pulse = Pulse::new();
        assert_eq!(pulse.health(), Health::Ok);
        pulse.feel(&Outcome::Failed((), AppendError::Full));
        pulse.feel(&Outcome::Exempt(()));
        assert!(matches!(pulse.health(), Health::Failing(_)));
        assert_eq!(pulse.health_at(FADES * 2), Health::Ok);
    }
}

//! How many requests somebody may make.

use std::num::NonZeroU32;
use std::time::Instant;

use hashlink::LruCache;
use jid::BareJid;
use parking_lot::Mutex;

use crate::office::Refusal;

/// People whose pace is remembered; who was not seen for longest is forgotten first.
const MOST: usize = 65_536;

/// A bucket for each person, refilled as time goes by.
pub(super) struct Pace {
    state: Mutex<State>,
}

struct State {
    per_minute: Option<NonZeroU32>,
    people: LruCache<BareJid, (f64, Instant)>,
}

impl Pace {
    /// So many requests a minute; None for any number.
    pub(super) fn new(per_minute: Option<NonZeroU32>) -> Self {
        Self { state: Mutex::new(State { per_minute, people: LruCache::new(MOST) }) }
    }

    /// Takes over what a reloaded configuration says.
    pub(super) fn set_per_minute(&self, per_minute: Option<NonZeroU32>) {
        self.state.lock().per_minute = per_minute;
    }

    /// Counts a request.
    pub(super) fn admit(&self, who: &BareJid) -> Result<(), Refusal> {
        self.admit_at(who, Instant::now())
    }

    fn admit_at(&self, who: &BareJid, now: Instant) -> Result<(), Refusal> {
        let mut state = self.state.lock();
        let Some(per_minute) = state.per_minute else { return Ok(()) };
        let full = f64::from(per_minute.get());
        let (left, counted) = state.people.get(who).copied().unwrap_or((full, now));
        let left = (left + now.saturating_duration_since(counted).as_secs_f64() * full / 60.0).min(full);
        let admitted = left >= 1.0;
        state.people.insert(who.clone(), (if admitted { left - 1.0 } else { left }, now));
        match admitted {
            true => Ok(()),
            false => Err(Refusal::TooMany { seconds: (60 / per_minute).max(1) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn one_person_in_a_hurry_slows_nobody_else_down() {
        let (pace, start) = (Pace::new(NonZeroU32::new(60)), Instant::now());
        let [anna, ben] = ["anna@corp.example", "ben@corp.example"].map(|jid| BareJid::new(jid).unwrap());
        let admitted = (0..100).filter(|_| pace.admit_at(&anna, start).is_ok()).count();
        assert_eq!(admitted, 60);
        assert_eq!(pace.admit_at(&anna, start), Err(Refusal::TooMany { seconds: 1 }));
        assert!(pace.admit_at(&ben, start).is_ok());
        assert!(pace.admit_at(&anna, start + Duration::from_secs(1)).is_ok());
        pace.set_per_minute(None);
        assert!(pace.admit_at(&anna, start).is_ok());
    }
}

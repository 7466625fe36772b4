//! Numbers and their bounds.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use super::{
    Check, LONGEST_PREAUTH_SECONDS, LONGEST_RESUME_SECONDS, SMALLEST_PREAUTH_BYTES, SMALLEST_STANZA_LIMIT,
    raw,
};
use crate::config::Limits;

impl Check {
    pub(super) fn limits(&mut self, raw: &raw::Limits) -> Limits {
        let none_if_zero = |number: u32| NonZeroU32::new(number);
        Limits {
            preauth: self.seconds(
                "limits.preauth_seconds",
                raw.preauth_seconds,
                60,
                1..=LONGEST_PREAUTH_SECONDS,
            ),
            preauth_bytes: self.size(
                "limits.preauth_bytes",
                raw.preauth_bytes,
                65_536,
                SMALLEST_PREAUTH_BYTES,
            ),
            stanza_bytes: self.size("limits.stanza_bytes", raw.stanza_bytes, 262_144, SMALLEST_STANZA_LIMIT),
            stanzas_per_second: none_if_zero(self.rate(
                "limits.stanzas_per_second",
                raw.stanzas_per_second,
                0,
            )),
            logins_per_minute: none_if_zero(self.rate("limits.logins_per_minute", raw.logins_per_minute, 30)),
            requests_per_minute: none_if_zero(self.rate(
                "limits.requests_per_minute",
                raw.requests_per_minute,
                600,
            )),
            registrations_per_minute: none_if_zero(self.rate(
                "limits.registrations_per_minute",
                raw.registrations_per_minute,
                5,
            )),
            resume: self.seconds(
                "limits.resume_seconds",
                raw.resume_seconds,
                300,
                0..=LONGEST_RESUME_SECONDS,
            ),
            outbox_stanzas: self.amount("limits.outbox_stanzas", raw.outbox_stanzas, 10_000, 10),
            outbox_bytes: self.amount("limits.outbox_bytes", raw.outbox_bytes, 4_194_304, 65_536),
            connections: NonZeroUsize::new(self.size("limits.connections", raw.connections, 100_000, 0)),
        }
    }

    pub(super) fn seconds(
        &mut self,
        key: &str,
        raw: Option<u64>,
        default: u64,
        range: std::ops::RangeInclusive<u64>,
    ) -> Duration {
        let seconds = raw.unwrap_or(default);
        if !range.contains(&seconds) {
            self.refuse(
                key,
                &format!("{seconds} is out of range: {} to {} seconds", range.start(), range.end()),
            );
        }
        Duration::from_secs(seconds)
    }

    pub(super) fn size(&mut self, key: &str, raw: Option<u64>, default: u64, least: u64) -> usize {
        // A gigabyte of anything for one peer is no limit any more.
        const MOST: u64 = 1 << 30;
        let number = raw.unwrap_or(default);
        if !(least..=MOST).contains(&number) {
            self.refuse(key, &format!("{number} is out of range: {least} to {MOST}"));
        }
        usize::try_from(number).unwrap_or(usize::MAX)
    }

    pub(super) fn amount(&mut self, key: &str, raw: Option<u64>, default: u64, least: u64) -> NonZeroUsize {
        NonZeroUsize::new(self.size(key, raw, default, least)).unwrap_or(NonZeroUsize::MIN)
    }

    pub(super) fn rate(&mut self, key: &str, raw: Option<u64>, default: u32) -> u32 {
        match raw.map(u32::try_from) {
            None => default,
            Some(Ok(number)) => number,
            Some(Err(_)) => {
                self.refuse(key, "is out of range; 0 means no limit");
                default
            }
        }
    }
}

//! The wall clock in the forms that protocols want.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Seconds since 1970.
pub fn seconds() -> u64 {
    OffsetDateTime::now_utc().unix_timestamp().max(0).unsigned_abs()
}

/// Microseconds since 1970.
pub fn micros() -> i64 {
    i64::try_from(OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

const STAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");

/// A time in microseconds since 1970 as XEP-0082 writes it, in UTC.
pub fn stamp(micros: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .ok()
        .and_then(|time| time.format(STAMP).ok())
        .unwrap_or_default()
}

/// Reads a time as XEP-0082 writes it; microseconds since 1970.
pub fn parse(stamp: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(stamp.trim(), &time::format_description::well_known::Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
}

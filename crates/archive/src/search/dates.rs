//! Days, weeks, months and years as people write them.

use std::ops::Range;

use time::{Date, Duration, Month, OffsetDateTime, Time, UtcOffset, Weekday};
use vault::Micros;

/// A day, week, month, year or moment: from its beginning up to its end, which is not part of it.
///
/// `2026-03-05`, `2026-03`, `2026-W12`, `2026`, `2026-03-05T14:30` (with `Z` or `+01:00`, or in the asker's time),
/// `today`, `yesterday`, `monday`, `march`, `march 2025`, `this week`, `last month`, `12h`, `7d`, `3w`, `2m`, `1y`.
/// A number with a unit is the time from that long ago until now. `None` for anything else.
pub(super) fn span(text: &str, now: Micros, offset: UtcOffset) -> Option<Range<Micros>> {
    let now = OffsetDateTime::from_unix_timestamp_nanos(i128::from(now.0) * 1000).ok()?.to_offset(offset);
    let words = text.trim().to_lowercase().replace(['_', ' '], "-");
    relative(&words, now).or_else(|| named(&words, now)).or_else(|| written(&words, offset))
}

fn relative(words: &str, now: OffsetDateTime) -> Option<Range<Micros>> {
    let (today, offset) = (now.date(), now.offset());
    match words {
        "today" => return days(today, 1, offset),
        "yesterday" => return days(today.previous_day()?, 1, offset),
        _ => {}
    }
    if let Some((which, unit)) = words.split_once('-') {
        let back = match which {
            "this" => 0,
            "last" | "previous" => 1,
            _ => return None,
        };
        return match unit {
            "week" => days(monday(today).checked_sub(Duration::weeks(back))?, 7, offset),
            "month" => month(today.year(), today.month() as i32 - back as i32, offset),
            "year" => year(today.year() - back as i32, offset),
            _ => None,
        };
    }
    // Only digits and one letter: anything else is no such thing.
    let (unit, number) = (words.chars().last()?, words.get(..words.len().checked_sub(1)?)?);
    let number: i64 = number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())??;
    let hours = match unit {
        'h' => 1,
        'd' => 24,
        'w' => 24 * 7,
        'm' => 24 * 30,
        'y' => 24 * 365,
        _ => return None,
    };
    let back = Duration::seconds(number.checked_mul(hours)?.checked_mul(3600)?);
    Some(moment(now.checked_sub(back)?)?..moment(now)?)
}

/// Weekdays and months: the last that has begun.
fn named(words: &str, now: OffsetDateTime) -> Option<Range<Micros>> {
    let (today, offset) = (now.date(), now.offset());
    const DAYS: [Weekday; 7] = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let is = |name: String| {
        words.len() >= 3 && (name.to_lowercase() == words || name[..3].to_lowercase() == words)
    };
    if let Some(weekday) = DAYS.into_iter().find(|day| is(day.to_string())) {
        let back = (today.weekday().number_days_from_monday() + 7 - weekday.number_days_from_monday()) % 7;
        return days(today.checked_sub(Duration::days(back.into()))?, 1, offset);
    }
    let (name, wanted) = match words.split_once('-') {
        Some((name, number)) => (name, Some(year_number(number)?)),
        None => (words, None),
    };
    let is = |month: &Month| {
        let full = month.to_string().to_lowercase();
        full == name || full[..3] == *name
    };
    let found = (1..=12).filter_map(|number| Month::try_from(number).ok()).find(is)?;
    let begun = if found as u8 <= today.month() as u8 { today.year() } else { today.year() - 1 };
    month(wanted.unwrap_or(begun), found as i32, offset)
}

/// Numbers.
fn written(words: &str, offset: UtcOffset) -> Option<Range<Micros>> {
    if let Some((date, clock)) = words.split_once('t') {
        return clock_time(calendar(date)?, clock, offset);
    }
    let mut parts = words.split('-');
    let number = year_number(parts.next()?)?;
    match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => year(number, offset),
        (Some(week), None, _) if week.starts_with('w') => {
            let week: u8 = week[1..].parse().ok()?;
            days(Date::from_iso_week_date(number, week, Weekday::Monday).ok()?, 7, offset)
        }
        (Some(part), None, _) => {
            let part: u8 = two_digits(part)?;
            Month::try_from(part).ok()?;
            month(number, part.into(), offset)
        }
        (Some(_), Some(_), None) => days(calendar(words)?, 1, offset),
        _ => None,
    }
}

fn clock_time(date: Date, clock: &str, offset: UtcOffset) -> Option<Range<Micros>> {
    let (clock, offset) = match clock.strip_suffix('z') {
        Some(clock) => (clock, UtcOffset::UTC),
        None => match clock.rfind(['+', '-']) {
            Some(at) => {
                let sign = if clock[at..].starts_with('-') { -1 } else { 1 };
                let (hours, minutes) = clock[at + 1..].split_once(':').unwrap_or((&clock[at + 1..], "00"));
                let (hours, minutes) = (two_digits(hours)? as i8, two_digits(minutes)? as i8);
                (&clock[..at], UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()?)
            }
            None => (clock, offset),
        },
    };
    let mut parts = clock.split(':');
    let hour = two_digits(parts.next()?)?;
    let (minute, second) = (parts.next().map(two_digits), parts.next().map(two_digits));
    if parts.next().is_some() {
        return None;
    }
    let length = match (minute, second) {
        (None, _) => Duration::HOUR,
        (_, None) => Duration::MINUTE,
        _ => Duration::SECOND,
    };
    let time = Time::from_hms(hour, minute.unwrap_or(Some(0))?, second.unwrap_or(Some(0))?).ok()?;
    let start = date.with_time(time).assume_offset(offset);
    Some(moment(start)?..moment(start.checked_add(length)?)?)
}

fn calendar(text: &str) -> Option<Date> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let month = Month::try_from(two_digits(month)?).ok()?;
    Date::from_calendar_date(year_number(year)?, month, two_digits(day)?).ok()
}

fn year_number(text: &str) -> Option<i32> {
    let digits = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn two_digits(text: &str) -> Option<u8> {
    let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

fn monday(day: Date) -> Date {
    let back = Duration::days(day.weekday().number_days_from_monday().into());
    day.checked_sub(back).unwrap_or(day)
}

fn days(first: Date, count: i64, offset: UtcOffset) -> Option<Range<Micros>> {
    let end = first.checked_add(Duration::days(count))?;
    Some(moment(first.midnight().assume_offset(offset))?..moment(end.midnight().assume_offset(offset))?)
}

/// A month by number; 0 is December of the year before.
fn month(year: i32, number: i32, offset: UtcOffset) -> Option<Range<Micros>> {
    let first = |year: i32, number: i32| {
        let (year, number) = (year + (number - 1).div_euclid(12), (number - 1).rem_euclid(12) + 1);
        Date::from_calendar_date(year, Month::try_from(number as u8).ok()?, 1).ok()
    };
    let (start, end) = (first(year, number)?, first(year, number + 1)?);
    Some(moment(start.midnight().assume_offset(offset))?..moment(end.midnight().assume_offset(offset))?)
}

fn year(number: i32, offset: UtcOffset) -> Option<Range<Micros>> {
    let start = month(number, 1, offset)?.start;
    Some(start..month(number, 12, offset)?.end)
}

fn moment(at: OffsetDateTime) -> Option<Micros> {
    i64::try_from(at.unix_timestamp_nanos() / 1000).ok().map(Micros)
}

#[cfg(test)]
mod tests {
    use time::format_description::well_known::Rfc3339;

    use super::*;

    /// Sunday, 22 November 2026.
    const NOW: &str = "2026-11-22T15:00:00+01:00";

    fn read(text: &str) -> Option<String> {
        let now = OffsetDateTime::parse(NOW, &Rfc3339).unwrap();
        let span = span(text, moment(now).unwrap(), now.offset())?;
        let show = |at: Micros| {
            let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1000).unwrap();
            at.to_offset(now.offset())
                .format(&Rfc3339)
                .unwrap()
                .replace(":00+01:00", "")
                .replace("T00:00", "")
        };
        Some(format!("{} {}", show(span.start), show(span.end)))
    }

    #[test]
    fn days_weeks_months_and_years_are_read() {
        for (text, expected) in [
            ("today", "2026-11-22 2026-11-23"),
            ("Yesterday", "2026-11-21 2026-11-22"),
            ("this week", "2026-11-16 2026-11-23"),
            ("last-week", "2026-11-09 2026-11-16"),
            ("last_month", "2026-10-01 2026-11-01"),
            ("last year", "2025-01-01 2026-01-01"),
            ("monday", "2026-11-16 2026-11-17"),
            ("sun", "2026-11-22 2026-11-23"),
            ("march", "2026-03-01 2026-04-01"),
            ("december", "2025-12-01 2026-01-01"),
            ("mar 2024", "2024-03-01 2024-04-01"),
            ("2026", "2026-01-01 2027-01-01"),
            ("2026-03", "2026-03-01 2026-04-01"),
            ("2026-W12", "2026-03-16 2026-03-23"),
            ("2026-03-05", "2026-03-05 2026-03-06"),
            ("2026-12", "2026-12-01 2027-01-01"),
            ("2026-03-05T14:30", "2026-03-05T14:30 2026-03-05T14:31"),
            ("2026-03-05T14:30:00Z", "2026-03-05T15:30 2026-03-05T15:30:01+01:00"),
            ("2026-03-05T14+02:00", "2026-03-05T13:00 2026-03-05T14:00"),
            ("7d", "2026-11-15T15:00 2026-11-22T15:00"),
            ("12h", "2026-11-22T03:00 2026-11-22T15:00"),
        ] {
            assert_eq!(read(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "d",
            "soon",
            "2026-13",
            "2026-02-30",
            "26",
            "2026-W60",
            "last",
            "last-fortnight",
            "ma",
            "tt",
            "t",
            "2026-03-05T",
            "5x",
            "99999999999999999999d",
            "9999999999999d",
            "+7d",
            "9999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,12}", date in "[0-9tzw:+-]{0,14}") {
            read(&text);
            read(&date);
        }
    }
}

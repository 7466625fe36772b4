//! Times of day and week.

/// A moment of a week, where the company is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moment {
    /// Days since Monday, 0 to 6.
    pub day: u8,
    /// Minutes since midnight, 0 to 1439.
    pub minute: u16,
}

/// Some hours of some days.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Times {
    /// One bit for each day, the lowest is Monday.
    pub days: u8,
    /// The first minute.
    pub from: u16,
    /// The minute after the last. Not after `from`: the hours go over midnight and belong to the day that they begin on.
    pub to: u16,
}

/// Days as they are written.
pub const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Times {
    /// Whether a moment is in these hours.
    pub fn include(&self, moment: Moment) -> bool {
        let is_day = |day: u8| self.days & (1 << (day % 7)) != 0;
        let Moment { day, minute } = moment;
        if self.from < self.to {
            return is_day(day) && (self.from..self.to).contains(&minute);
        }
        (is_day(day) && minute >= self.from) || (is_day(day + 6) && minute < self.to)
    }

    /// Reads `mon` to `sun`, or a span such as `mon-fri`.
    pub(super) fn days(text: &str) -> Option<u8> {
        let day = |name: &str| DAYS.iter().position(|day| name.trim().eq_ignore_ascii_case(day));
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (day(first)?, day(last)?),
            None => (day(text)?, day(text)?),
        };
        let count = (last + 7 - first) % 7 + 1;
        Some((0..count).fold(0, |days, step| days | 1 << ((first + step) % 7)))
    }

    /// Reads `HH:MM`.
    pub(super) fn minute(text: &str) -> Option<u16> {
        let (hour, minute) = text.split_once(':')?;
        let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = |text: &str| text.parse::<u16>().ok().filter(|_| is_number(text));
        let (hour, minute) = (number(hour)?, number(minute)?);
        (hour < 24 && minute < 60 || (hour, minute) == (24, 0)).then_some(hour * 60 + minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_may_go_over_midnight() {
        let moment = |day, minute| Moment { day, minute };
        let office = Times { days: Times::days("mon-fri").unwrap(), from: 9 * 60, to: 17 * 60 };
        assert!(office.include(moment(0, 540)) && office.include(moment(4, 1019)));
        assert!(!office.include(moment(0, 539)) && !office.include(moment(4, 1020)));
        assert!(!office.include(moment(5, 600)));
        let night = Times { days: Times::days("fri").unwrap(), from: 22 * 60, to: 6 * 60 };
        assert!(night.include(moment(4, 1320)) && night.include(moment(5, 359)));
        assert!(!night.include(moment(4, 359)) && !night.include(moment(5, 1320)));
        let sunday = Times { days: Times::days("sun").unwrap(), from: 22 * 60, to: 6 * 60 };
        assert!(sunday.include(moment(0, 10)));
    }

    #[test]
    fn days_and_hours_are_read_or_refused() {
        assert_eq!(Times::days("mon"), Some(1));
        assert_eq!(Times::days("sat-mon"), Some(0b110_0001));
        assert_eq!(Times::days("someday"), None);
        assert_eq!(Times::minute("24:00"), Some(1440));
        for wrong in ["24:01", "9:00", "12", "ab:cd", "+1:00", "12:60"] {
            assert_eq!(Times::minute(wrong), None, "{wrong}");
        }
    }
}

//! Which part of a file is wanted (RFC 9110 §13.1.2, §14). Pure.

use std::ops::Range;

/// What a `Range` header asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Everything: also where the header makes no sense or asks for several parts, which RFC 9110 §14.2 lets a server ignore.
    Whole,
    /// These bytes; never empty.
    Part(Range<u64>),
    /// Bytes that are not there.
    Nothing,
}

/// Reads a `Range` header for content of `size` bytes.
pub(super) fn read(header: &str, size: u64) -> Wanted {
    let Some((unit, set)) = header.split_once('=') else { return Wanted::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Wanted::Whole;
    }
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Whole };
    let range = match (number(first), number(last)) {
        (Some(Some(first)), Some(None)) => first..size,
        (Some(Some(first)), Some(Some(last))) if first <= last => first..size.min(last.saturating_add(1)),
        (Some(None), Some(Some(suffix))) => size.saturating_sub(suffix)..size,
        _ => return Wanted::Whole,
    };
    match range.is_empty() {
        true => Wanted::Nothing,
        false => Wanted::Part(range),
    }
}

/// Reads a `Content-Range` (RFC 9110 §14.4): which bytes, of how many.
pub(super) fn part(header: &str) -> Option<(Range<u64>, u64)> {
    let (unit, rest) = header.trim().split_once(' ')?;
    let (range, size) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (number(first)??, number(last)??, number(size)??);
    (unit.eq_ignore_ascii_case("bytes") && first <= last && last < size).then(|| (first..last + 1, size))
}

/// Nothing, or digits alone; `None` for what is neither. What is too large for a number is as good as the largest.
fn number(text: &str) -> Option<Option<u64>> {
    match text {
        "" => Some(None),
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    }
}

/// Whether an `If-None-Match` names this entity tag, by the weak comparison.
pub(super) fn matches(header: &str, tag: &str) -> bool {
    header.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_read_when_it_lies_within_the_whole() {
        assert_eq!(part("bytes 0-4/10"), Some((0..5, 10)));
        assert_eq!(part("Bytes 5-9/10"), Some((5..10, 10)));
        for wrong in
            ["bytes 5-10/10", "bytes 5-4/10", "bytes */10", "bytes 0-4/*", "items 0-4/10", "bytes=0-4/10", ""]
        {
            assert_eq!(part(wrong), None, "{wrong}");
        }
        assert_eq!(part("bytes 0-18446744073709551615/18446744073709551615"), None);
    }

    #[test]
    fn one_range_is_cut_to_what_is_there() {
        for (header, wanted) in [
            ("bytes=0-0", 0..1),
            ("bytes=2-5", 2..6),
            ("Bytes= 2-5", 2..6),
            ("bytes=2-", 2..10),
            ("bytes=2-99", 2..10),
            ("bytes=2-99999999999999999999999", 2..10),
            ("bytes=-3", 7..10),
            ("bytes=-99", 0..10),
        ] {
            assert_eq!(read(header, 10), Wanted::Part(wanted), "{header}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_from_what_makes_no_sense() {
        for header in ["bytes=10-", "bytes=10-12", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(read(header, 10), Wanted::Nothing, "{header}");
        }
        for header in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=a-b",
            "bytes=0-1,3-4",
            "lines=1-2",
            "bytes=+1-2",
        ] {
            assert_eq!(read(header, 10), Wanted::Whole, "{header}");
        }
        assert_eq!(read("bytes=0-", 0), Wanted::Nothing);
    }

    #[test]
    fn a_tag_is_found_in_a_list_and_as_a_weak_one() {
        for header in ["\"a\"", "\"b\", \"a\"", "W/\"a\"", "*"] {
            assert!(matches(header, "\"a\""), "{header}");
        }
        assert!(!matches("\"b\"", "\"a\"") && !matches("a", "\"a\""));
    }
}

//! Payment cards (ISO/IEC 7812).

use super::check::{luhn, value};
use super::tokens::Tokens;
use super::{Found, Kind};

/// How numbers are printed. Without gaps, every length goes.
const GROUPINGS: [&[usize]; 8] = [
    &[4, 4, 4, 4],
    &[4, 6, 5],
    &[4, 6, 4],
    &[4, 4, 4, 4, 3],
    &[4, 4, 4, 4, 2],
    &[4, 4, 4, 1],
    &[4, 4, 5],
    &[6, 13],
];

const SEPARATORS: &[u8] = b" -.";

pub(super) fn find(tokens: &Tokens<'_>, at: usize, found: &mut Found) {
    let Some(token) = tokens.token(at) else { return };
    if !found.wants(Kind::Card) || !token.digits {
        return;
    }
    let whole = [token.len()];
    let whole: Option<&[usize]> = (12..=19).contains(&token.len()).then_some(&whole);
    for groups in whole.into_iter().chain(GROUPINGS) {
        let Some((range, number)) = tokens.gather(at, groups, SEPARATORS) else { continue };
        if !number.bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let (digits, length) = number.digits();
        let digits = &digits[..length];
        if is_issued(digits) && luhn(digits) && tokens.stands_alone(at, groups.len()) {
            found.add(Kind::Card, range);
            return;
        }
    }
}

/// Whether some scheme gives out numbers of this beginning and length.
fn is_issued(digits: &[u8]) -> bool {
    let Some(first) = digits.first_chunk::<6>() else { return false };
    let six = value(first);
    let (four, three, two) = (six / 100, six / 1000, six / 10_000);
    let lengths = match six {
        // American Express.
        _ if two == 34 || two == 37 => 15..=15,
        // Diners Club, Discover.
        _ if matches!(three, 300..=305) || four == 3095 => 14..=19,
        _ if matches!(two, 36 | 38 | 39) => 14..=19,
        // JCB.
        _ if matches!(four, 3528..=3589) => 16..=19,
        // Visa.
        _ if two / 10 == 4 => return matches!(digits.len(), 13 | 16 | 19),
        // Mastercard.
        _ if matches!(two, 51..=55) || matches!(four, 2221..=2720) => 16..=16,
        // Mir.
        _ if matches!(four, 2200..=2204) => 16..=19,
        // Maestro.
        _ if matches!(four, 5018 | 5020 | 5038 | 5612 | 5893 | 6304 | 6759 | 6761..=6763) => 12..=19,
        // Discover, UnionPay, RuPay, Troy.
        _ if four == 6011 || matches!(three, 644..=649) || two == 65 || two == 62 || two == 81 => 16..=19,
        _ if matches!(three, 508 | 606 | 607 | 608) || two == 82 || four == 9792 => 16..=16,
        _ => return false,
    };
    lengths.contains(&digits.len())
}

//! National ids that are digits alone.

use super::check::{is_date, luhn, mod_11_10, value, verhoeff, weighted};
use super::tokens::Tokens;
use super::{Found, Kind};

/// How an id is written, and what makes it one.
struct Form {
    kind: Kind,
    groups: &'static [usize],
    separators: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
    /// Too many numbers look like this one, so one of these words must stand before it.
    after: &'static [&'static str],
}

const fn form(
    kind: Kind,
    groups: &'static [usize],
    separators: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
) -> Form {
    Form { kind, groups, separators, is_valid, after: &[] }
}

const BSN: &[&str] = &["bsn", "burgerservice", "sofi", "burger service"];
const SSN: &[&str] = &["ssn", "social security", "soc sec"];
const AADHAAR: &[&str] = &["aadhaar", "aadhar", "uidai"];

const FORMS: [Form; 28] = [
    form(Kind::GermanTaxId, &[11], b"", german),
    form(Kind::GermanTaxId, &[2, 3, 3, 3], b" ", german),
    form(Kind::FrenchNir, &[15], b"", french),
    form(Kind::FrenchNir, &[13, 2], b" ", french),
    form(Kind::FrenchNir, &[1, 2, 2, 2, 3, 3, 2], b" .-", french),
    Form { after: BSN, ..form(Kind::DutchBsn, &[9], b"", dutch) },
    Form { after: BSN, ..form(Kind::DutchBsn, &[4, 2, 3], b" .-", dutch) },
    Form { after: BSN, ..form(Kind::DutchBsn, &[3, 3, 3], b" .-", dutch) },
    form(Kind::BelgianNumber, &[11], b"", belgian),
    form(Kind::BelgianNumber, &[2, 2, 2, 3, 2], b" .-", belgian),
    form(Kind::BelgianNumber, &[6, 3, 2], b" .-", belgian),
    form(Kind::PolishPesel, &[11], b"", polish),
    form(Kind::AmericanSsn, &[3, 2, 4], b" -", american),
    Form { after: SSN, ..form(Kind::AmericanSsn, &[9], b"", american) },
    form(Kind::SwissAhv, &[13], b"", swiss),
    form(Kind::SwissAhv, &[3, 4, 4, 2], b" .-", swiss),
    form(Kind::SwedishPersonnummer, &[6, 4], b"-+", swedish),
    form(Kind::SwedishPersonnummer, &[8, 4], b"-", swedish),
    form(Kind::SwedishPersonnummer, &[10], b"", swedish),
    form(Kind::SwedishPersonnummer, &[12], b"", swedish),
    form(Kind::AustrianSvnr, &[10], b"", austrian),
    form(Kind::AustrianSvnr, &[4, 6], b" -/", austrian),
    form(Kind::BrazilianCpf, &[11], b"", brazilian_person),
    form(Kind::BrazilianCpf, &[3, 3, 3, 2], b".-", brazilian_person),
    form(Kind::BrazilianCnpj, &[14], b"", brazilian_company),
    form(Kind::BrazilianCnpj, &[2, 3, 3, 4, 2], b"./-", brazilian_company),
    Form { after: AADHAAR, ..form(Kind::IndianAadhaar, &[12], b"", indian) },
    form(Kind::IndianAadhaar, &[4, 4, 4], b" -", indian),
];

pub(super) fn find(tokens: &Tokens<'_>, at: usize, found: &mut Found) {
    let Some(token) = tokens.token(at) else { return };
    if !token.digits || token.len() > 15 {
        return;
    }
    for form in &FORMS {
        if form.groups.first() != Some(&token.len()) || !found.wants(form.kind) {
            continue;
        }
        let Some((range, number)) = tokens.gather(at, form.groups, form.separators) else { continue };
        if !number.bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let (digits, length) = number.digits();
        if (form.is_valid)(&digits[..length])
            && tokens.stands_alone(at, form.groups.len())
            && (form.groups.len() == 1 || !tokens.follows_digits(at))
            && (form.after.is_empty() || tokens.follows_word(range.start, form.after))
        {
            found.add(form.kind, range);
        }
    }
}

/// Eleven digits: of the first ten one is there two or three times, and not three in a row.
fn german(digits: &[u8]) -> bool {
    let mut counts = [0; 10];
    for digit in &digits[..10] {
        counts[usize::from(*digit)] += 1;
    }
    let repeated: Vec<i32> = counts.into_iter().filter(|count| *count > 1).collect();
    let in_a_row = digits[..10].windows(3).any(|three| three[0] == three[1] && three[1] == three[2]);
    digits[0] != 0 && matches!(repeated[..], [2 | 3]) && !in_a_row && mod_11_10(digits)
}

/// Sex, year, month, place, number, and a key: 97 less the rest of the others.
fn french(digits: &[u8]) -> bool {
    let month = value(&digits[3..5]);
    matches!(digits[0], 1..=4 | 7 | 8)
        && matches!(month, 1..=12 | 20..=42 | 50..=99)
        && 97 - value(&digits[..13]) % 97 == value(&digits[13..])
}

/// The test of eleven.
fn dutch(digits: &[u8]) -> bool {
    let sum = weighted(&digits[..8], &[9, 8, 7, 6, 5, 4, 3, 2]);
    value(digits) > 0 && sum % 11 == u32::from(digits[8])
}

/// Date of birth, number, and a key: 97 less the rest, since 2000 with a 2 before.
fn belgian(digits: &[u8]) -> bool {
    let (month, number, key) = (value(&digits[2..4]), value(&digits[..9]), value(&digits[9..]));
    // Twenty and forty are added where the sex is unknown or known only to be.
    let is_born = is_date(month % 20, value(&digits[4..6])) && month < 53;
    is_born && [number, 2_000_000_000 + number].iter().any(|number| 97 - number % 97 == key)
}

/// Date of birth, with the century in the month.
fn polish(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    is_date(value(&digits[2..4]) % 20, value(&digits[4..6])) && sum.is_multiple_of(10)
}

/// No checksum: the ranges that were never given out, and the numbers that advertisements made famous.
fn american(digits: &[u8]) -> bool {
    let (area, group, serial) = (value(&digits[..3]), value(&digits[3..5]), value(&digits[5..]));
    !matches!(area, 0 | 666 | 900..)
        && group != 0
        && serial != 0
        && !matches!(value(digits), 78_051_120 | 219_099_999)
}

/// The country's number and the checksum of an EAN-13.
fn swiss(digits: &[u8]) -> bool {
    digits.starts_with(&[7, 5, 6])
        && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Date of birth, three digits and Luhn; the century is no part of the checksum. Sixty is added to the day of who has no
/// number of their own.
fn swedish(digits: &[u8]) -> bool {
    let (century, digits) = digits.split_at(digits.len() - 10);
    let day = value(&digits[4..6]);
    matches!(century, [] | [1, 9] | [2, 0])
        && is_date(value(&digits[2..4]), if day > 60 { day - 60 } else { day })
        && luhn(digits)
}

/// Number, check digit, date of birth with months up to fifteen where the day is not known.
fn austrian(digits: &[u8]) -> bool {
    let (day, month) = (value(&digits[4..6]), value(&digits[6..8]));
    let sum = weighted(digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    let is_born = is_date(month, day) || (matches!(month, 13..=15) && (1..=31).contains(&day));
    digits[0] != 0 && is_born && sum % 11 == u32::from(digits[3])
}

fn brazilian_person(digits: &[u8]) -> bool {
    let is_one_digit = digits.iter().all(|digit| *digit == digits[0]);
    !is_one_digit
        && brazilian_check(&digits[..9], &[10, 9, 8, 7, 6, 5, 4, 3, 2]) == digits[9]
        && brazilian_check(&digits[..10], &[11, 10, 9, 8, 7, 6, 5, 4, 3, 2]) == digits[10]
}

fn brazilian_company(digits: &[u8]) -> bool {
    let is_one_digit = digits.iter().all(|digit| *digit == digits[0]);
    !is_one_digit
        && brazilian_check(&digits[..12], &[5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == digits[12]
        && brazilian_check(&digits[..13], &[6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2]) == digits[13]
}

fn brazilian_check(digits: &[u8], weights: &[u8]) -> u8 {
    match weighted(digits, weights) % 11 {
        0 | 1 => 0,
        rest => 11 - rest as u8,
    }
}

/// The first digit is two or more.
fn indian(digits: &[u8]) -> bool {
    digits[0] > 1 && verhoeff(digits)
}

//! National ids with letters in them.

use super::check::{is_date, value};
use super::tokens::Tokens;
use super::{Found, Kind};

/// How an id is written, and what makes it one. Letters are handed over in upper case.
struct Form {
    kind: Kind,
    groups: &'static [usize],
    separators: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
}

const fn form(
    kind: Kind,
    groups: &'static [usize],
    separators: &'static [u8],
    is_valid: fn(&[u8]) -> bool,
) -> Form {
    Form { kind, groups, separators, is_valid }
}

const FORMS: [Form; 13] = [
    form(Kind::SpanishDni, &[9], b"", spanish),
    form(Kind::SpanishDni, &[8, 1], b"- ", spanish),
    form(Kind::SpanishDni, &[1, 7, 1], b"- ", spanish),
    form(Kind::ItalianCodiceFiscale, &[16], b"", italian),
    form(Kind::ItalianCodiceFiscale, &[3, 3, 5, 5], b" ", italian),
    form(Kind::ItalianCodiceFiscale, &[6, 5, 5], b" ", italian),
    form(Kind::BritishNino, &[9], b"", british),
    form(Kind::BritishNino, &[2, 2, 2, 2, 1], b" -", british),
    form(Kind::BritishNino, &[2, 6, 1], b" -", british),
    form(Kind::FinnishHetu, &[11], b"", finnish),
    form(Kind::FinnishHetu, &[6, 4], b"-+", finnish),
    form(Kind::FrenchNir, &[15], b"", corsican),
    form(Kind::FrenchNir, &[1, 2, 2, 2, 3, 3, 2], b" .-", corsican),
];

pub(super) fn find(tokens: &Tokens<'_>, at: usize, found: &mut Found) {
    let Some(token) = tokens.token(at) else { return };
    for form in &FORMS {
        if form.groups.first() != Some(&token.len()) || !found.wants(form.kind) {
            continue;
        }
        let Some((range, number)) = tokens.gather(at, form.groups, form.separators) else { continue };
        let upper = number.bytes().to_ascii_uppercase();
        if (form.is_valid)(&upper) && tokens.stands_alone(at, form.groups.len()) {
            found.add(form.kind, range);
        }
    }
}

/// The values of digits; `None` if one is none.
fn digits<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    let mut digits = [0; N];
    for (digit, byte) in digits.iter_mut().zip(bytes) {
        *digit = byte.is_ascii_digit().then(|| byte - b'0')?;
    }
    (bytes.len() == N).then_some(digits)
}

/// Eight digits, the first of which is a letter for foreigners, and a letter for the rest of 23.
fn spanish(id: &[u8]) -> bool {
    let [first, body @ .., letter] = id else { return false };
    let first = match first {
        b'X'..=b'Z' => first - b'X',
        b'0'..=b'9' => first - b'0',
        _ => return false,
    };
    let Some(body) = digits::<7>(body) else { return false };
    let rest = (u64::from(first) * 10_000_000 + value(&body)) % 23;
    b"TRWAGMYFPDXBNJZSQVHLCKE".get(rest as usize) == Some(letter)
}

/// Names, year, month as a letter, day (forty more for women), place, and a letter for the rest of 26. Letters stand in for
/// digits where two people would share one.
fn italian(id: &[u8]) -> bool {
    const SUBSTITUTES: &[u8] = b"LMNPQRSTUV";
    const MONTHS: &[u8] = b"ABCDEHLMPRST";
    /// What a letter or digit at an odd place counts.
    const ODD: [u32; 26] =
        [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let [body @ .., letter] = id else { return false };
    if body.len() != 15 || !body[..6].iter().all(u8::is_ascii_uppercase) || !MONTHS.contains(&body[8]) {
        return false;
    }
    let digit = |at: usize| match body[at] {
        byte @ b'0'..=b'9' => Some(byte - b'0'),
        byte => SUBSTITUTES.iter().position(|letter| *letter == byte).map(|digit| digit as u8),
    };
    let Some(day) = digit(9).zip(digit(10)).map(|(tens, ones)| tens * 10 + ones) else { return false };
    let has_digits = [6, 7, 12, 13, 14].into_iter().all(|at| digit(at).is_some());
    if !has_digits || !matches!(day, 1..=31 | 41..=71) || !body[11].is_ascii_uppercase() {
        return false;
    }
    let sum = body.iter().enumerate().map(|(at, byte)| {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            byte => byte - b'A',
        };
        match at % 2 {
            0 => ODD.get(usize::from(value)).copied().unwrap_or_default(),
            _ => u32::from(value),
        }
    });
    u32::from(letter.wrapping_sub(b'A')) == sum.sum::<u32>() % 26
}

/// Two letters, six digits, one letter; some beginnings are never given out.
fn british(id: &[u8]) -> bool {
    let [one, two, body @ .., suffix] = id else { return false };
    one.is_ascii_uppercase()
        && two.is_ascii_uppercase()
        && !b"DFIQUV".contains(one)
        && !b"DFIOQUV".contains(two)
        && ![b"BG", b"GB", b"KN", b"NK", b"NT", b"TN", b"ZZ"].contains(&&[*one, *two])
        && digits::<6>(body).is_some()
        && (b'A'..=b'D').contains(suffix)
}

/// Date of birth, a sign for the century, three digits, and a letter or digit for the rest of 31.
fn finnish(id: &[u8]) -> bool {
    let (date, rest) = id.split_at(6);
    let rest = match rest {
        [b'A'..=b'F' | b'U'..=b'Y', rest @ ..] => rest,
        rest => rest,
    };
    let [number @ .., check] = rest else { return false };
    let (Some(date), Some(number)) = (digits::<6>(date), digits::<3>(number)) else { return false };
    let rest = (value(&date) * 1000 + value(&number)) % 31;
    is_date(value(&date[2..4]), value(&date[..2]))
        && value(&number) >= 2
        && b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(rest as usize) == Some(check)
}

/// Of people born on Corsica: 2A and 2B count as 19 and 18.
fn corsican(id: &[u8]) -> bool {
    let mut id: Vec<u8> = id.to_vec();
    match id.get(5..7) {
        Some(b"2A") => id[5..7].copy_from_slice(b"19"),
        Some(b"2B") => id[5..7].copy_from_slice(b"18"),
        _ => return false,
    }
    let Some(digits) = digits::<15>(&id) else { return false };
    let month = value(&digits[3..5]);
    matches!(digits[0], 1 | 2)
        && matches!(month, 1..=12)
        && 97 - value(&digits[..13]) % 97 == value(&digits[13..])
}

//! Checksums. All take the values of digits, most significant first.

/// ISO/IEC 7812-1, annex B: catches every single wrong digit.
pub(super) fn luhn(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().map(|(at, digit)| match at % 2 {
        0 => u32::from(*digit),
        _ => u32::from(digit * 2 % 10 + digit / 5),
    });
    sum.sum::<u32>() % 10 == 0
}

/// The sum of digits times weights.
pub(super) fn weighted(digits: &[u8], weights: &[u8]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * u32::from(*weight)).sum()
}

/// The number that digits write. At most 18 of them.
pub(super) fn value(digits: &[u8]) -> u64 {
    digits.iter().fold(0, |value: u64, digit| value.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

/// ISO 7064 MOD 11,10.
pub(super) fn mod_11_10(digits: &[u8]) -> bool {
    let Some((last, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10u32, |product, digit| {
        let sum = (product + u32::from(*digit)) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10 == u32::from(*last)
}

/// ISO 7064 MOD 97-10 over letters and digits, letters from A as 10.
pub(super) fn mod_97(bytes: impl Iterator<Item = u8>) -> u32 {
    bytes.fold(0, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        byte => (rest * 100 + u32::from(byte.to_ascii_uppercase().wrapping_sub(b'A')) % 26 + 10) % 97,
    })
}

/// The scheme of Verhoeff, which also catches every swap of neighbours: a product in the dihedral group of ten.
pub(super) fn verhoeff(digits: &[u8]) -> bool {
    let product = |one: u8, other: u8| match (one < 5, other < 5) {
        (true, true) => (one + other) % 5,
        (true, false) => (one + (other - 5)) % 5 + 5,
        (false, true) => (one - 5 + 5 - other) % 5 + 5,
        (false, false) => (one - 5 + 5 - (other - 5)) % 5,
    };
    const STEP: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let permuted = |at: usize, digit: u8| (0..at % 8).fold(digit, |digit, _| STEP[usize::from(digit) % 10]);
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (at, digit)| product(sum, permuted(at, *digit)));
    sum == 0
}

/// Whether a day of a month may exist in some year.
pub(super) fn is_date(month: u64, day: u64) -> bool {
    let days = match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_numbers_check() {
        assert!(luhn(&[7, 9, 9, 2, 7, 3, 9, 8, 7, 1, 3]));
        assert!(verhoeff(&[2, 3, 6, 3]));
        assert!(mod_11_10(&[8, 6, 0, 9, 5, 7, 4, 2, 7, 1, 9]));
        assert_eq!(mod_97(b"3214282912345698765432161182".iter().copied()), 1);
    }

    #[test]
    fn the_group_of_verhoeff_is_one() {
        // No change of one digit goes unnoticed.
        for at in 0..12 {
            let mut digits = [2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 0];
            let right = (0..10).filter(|digit| {
                digits[at] = *digit;
                verhoeff(&digits)
            });
            assert_eq!(right.count(), 1, "{at}");
        }
    }
}

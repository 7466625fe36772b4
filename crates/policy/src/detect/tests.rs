//! Valid numbers are found, wrong ones are not, and nothing breaks the detectors.

use proptest::prelude::*;

use super::*;

/// A sample of each id that has a checksum, as it is commonly written.
const SAMPLES: [(Kind, &str); 34] = [
    (Kind::Card, "4111111111111111"),
    (Kind::Card, "4111 1111 1111 1111"),
    (Kind::Card, "5555-5555-5555-4444"),
    (Kind::Card, "378282246310005"),
    (Kind::Card, "3782 822463 10005"),
    (Kind::Card, "6011111111111117"),
    (Kind::Card, "3530111333300000"),
    (Kind::Card, "3056 930902 5904"),
    (Kind::Card, "2223003122003222"),
    (Kind::Iban, "DE89370400440532013000"),
    (Kind::Iban, "DE89 3704 0044 0532 0130 00"),
    (Kind::Iban, "GB82 WEST 1234 5698 7654 32"),
    (Kind::Iban, "NO9386011117947"),
    (Kind::Iban, "FR14 2004 1010 0505 0001 3M02 606"),
    (Kind::GermanTaxId, "86095742719"),
    (Kind::GermanTaxId, "86 095 742 719"),
    (Kind::FrenchNir, "255081416802538"),
    (Kind::FrenchNir, "2 55 08 14 168 025 38"),
    (Kind::SpanishDni, "12345678Z"),
    (Kind::SpanishDni, "X1234567L"),
    (Kind::SpanishDni, "12345678-Z"),
    (Kind::ItalianCodiceFiscale, "RSSMRA85T10A562S"),
    (Kind::DutchBsn, "BSN 111222333"),
    (Kind::PolishPesel, "44051401359"),
    (Kind::SwissAhv, "756.9217.0769.85"),
    (Kind::SwissAhv, "7569217076985"),
    (Kind::SwedishPersonnummer, "811228-9874"),
    (Kind::SwedishPersonnummer, "19811228-9874"),
    (Kind::FinnishHetu, "131052-308T"),
    (Kind::FinnishHetu, "131052A308T"),
    (Kind::AustrianSvnr, "1237 010180"),
    (Kind::IndianAadhaar, "2345 6789 0124"),
    (Kind::BelgianNumber, "85.07.30-033.28"),
    (Kind::BrazilianCnpj, "11.222.333/0001-81"),
];

/// Ids whose checksum misses some wrong digits, and those without any.
const OTHERS: [(Kind, &str); 8] = [
    (Kind::BrazilianCpf, "529.982.247-25"),
    (Kind::BrazilianCpf, "52998224725"),
    (Kind::AmericanSsn, "123-45-6789"),
    (Kind::AmericanSsn, "SSN: 123456789"),
    (Kind::BritishNino, "AB123456C"),
    (Kind::BritishNino, "ab 12 34 56 c"),
    (Kind::BelgianNumber, "00.01.01-001.05"),
    (Kind::IndianAadhaar, "Aadhaar 234567890124"),
];

fn kinds(text: &str, wanted: Kinds) -> Vec<Kind> {
    detect(text, wanted).into_iter().map(|finding| finding.kind).collect()
}

fn finds(kind: Kind, text: &str) -> bool {
    kinds(text, kind.into()).contains(&kind)
}

#[test]
fn samples_are_found_wherever_they_stand() {
    for (kind, sample) in SAMPLES.into_iter().chain(OTHERS) {
        for text in [
            sample.to_owned(),
            format!("please use {sample}, thanks"),
            format!("({sample})"),
            format!("größer: {sample}.\nBye"),
            format!("カード{sample}です"),
        ] {
            assert!(finds(kind, &text), "{kind:?} in {text}");
        }
    }
}

#[test]
fn a_wrong_digit_is_noticed_at_every_place() {
    for (kind, sample) in SAMPLES {
        let digits = sample.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit());
        for (at, right) in digits {
            for digit in (b'0'..=b'9').filter(|digit| *digit != right) {
                let mut wrong = sample.as_bytes().to_vec();
                wrong[at] = digit;
                let wrong = String::from_utf8(wrong).unwrap();
                assert!(!finds(kind, &wrong), "{kind:?}: {wrong} for {sample}");
            }
        }
    }
}

#[test]
fn nothing_is_found_inside_something_longer() {
    let others = [
        "94111111111111111",
        "41111111111111110",
        "1234 4111 1111 1111 1111",
        "4111 1111 1111 1111 9999 9999",
        "+4111111111111111",
        "+49 4111111111111",
        "id 4111111111111111-22-4",
        "3.4111111111111111",
        "550e8400-e29b-41d4-a716-446655440000",
        "deadbeef-4111111111111111",
        "x4111111111111111",
        "4111111111111111x",
        "0.378282246310005",
    ];
    for text in others {
        assert_eq!(detect(text, Kind::Card.into()), [], "{text}");
    }
    for uuid in ["123e4567-e89b-12d3-a456-426614174000", "00000000-0000-4000-8000-000000000000"] {
        assert_eq!(detect(uuid, Kinds::ALL), [], "{uuid}");
    }
}

#[test]
fn everyday_numbers_are_nothing() {
    for text in [
        "call +49 30 901820 or 0171 2345678, room 4.11, order 2024-11-22",
        "the total is 1,234,567.89 EUR for 1000000 pieces",
        "192.168.178.1:8080 v1.23.456 at 12:34:56.789",
        "tel. 030 2345 6789 0124",
        "timestamp 1700000000 and 1732300000000",
        "https://shop.example/items/12345678?ref=9876543210123",
    ] {
        assert_eq!(detect(text, Kinds::ALL), [], "{text}");
    }
}

#[test]
fn a_date_of_expiry_may_follow_a_card() {
    for text in ["4111 1111 1111 1111 12/27 123", "4111 1111 1111 1111 1227", "4111 1111 1111 1111 123"] {
        assert!(finds(Kind::Card, text), "{text}");
    }
}

#[test]
fn other_digits_spaces_and_dashes_hide_nothing() {
    for text in [
        "４１１１１１１１１１１１１１１１",
        "4111\u{a0}1111\u{202f}1111\u{2003}1111",
        "4111‑1111‑1111–1111",
        "4111\u{200b}1111\u{ad}11111111",
    ] {
        let found = detect(text, Kind::Card.into());
        assert_eq!(found.len(), 1, "{text}");
        assert_eq!(found[0].range, 0..text.len());
    }
}

#[test]
fn secrets_are_found() {
    let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
    let token = format!("ghp_{}", "a1B2".repeat(9));
    let pem = "-----BEGIN RSA PRIVATE KEY-----\nMIIB\n-----END RSA PRIVATE KEY-----";
    for (kind, text) in [
        (Kind::AccessKey, "key AKIAIOSFODNN7EXAMPLE here".to_owned()),
        (Kind::Token, token),
        (Kind::Token, "xoxb-123456789012-abcdefABCDEF".to_owned()),
        (Kind::Jwt, jwt.to_owned()),
        (Kind::PrivateKey, format!("look:\n{pem}\nok")),
        (Kind::PrivateKey, "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl".to_owned()),
        (Kind::Password, "The password is Hunter2!".to_owned()),
        (Kind::Password, "Passwort: geh3im".to_owned()),
        (Kind::Password, "{\"api_key\": \"k9-zzqq\"}".to_owned()),
        (Kind::Password, "contraseña = ole-ole".to_owned()),
    ] {
        assert_eq!(kinds(&text, Kinds::SECRETS), [kind], "{text}");
    }
    for text in [
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "my password is secret",
        "password: please change yours",
        "AKIA is a prefix, ghp_short is no token",
        "eyJ.eyJ.x",
    ] {
        assert_eq!(detect(text, Kinds::SECRETS), [], "{text}");
    }
}

#[test]
fn what_is_masked_cannot_be_used() {
    let masked = |text: &str| detect(text, Kinds::ALL).remove(0).masked;
    assert_eq!(masked("4111 1111 1111 1111"), "•••• •••• •••• 1111");
    assert_eq!(masked("DE89 3704 0044 0532 0130 00"), "DE•• •••• •••• •••• ••30 00");
    assert_eq!(masked("password: Hunter2!"), "••••••••");
    assert_eq!(masked("AKIAIOSFODNN7EXAMPLE"), "AKIA••••••••••••••••");
}

#[test]
fn names_lead_back_to_kinds() {
    for kind in Kind::ALL {
        assert_eq!(Kinds::named(kind.name()), Some(kind.into()));
        assert!(Kinds::ALL.contains(kind));
    }
    assert_eq!(Kinds::named("national-id"), Some(Kinds::NATIONAL));
    assert!(Kinds::NATIONAL.contains(Kind::IndianAadhaar) && !Kinds::NATIONAL.contains(Kind::Iban));
    assert!(Kinds::SECRETS.contains(Kind::Password) && !Kinds::SECRETS.contains(Kind::IndianAadhaar));
    assert_eq!(Kinds::named("cards"), None);
}

#[test]
fn hostile_texts_take_time_in_proportion() {
    // Each would take hours if the time grew with the square.
    let most = 1 << 21;
    for piece in [
        "4111 ",
        "1-",
        "DE89 ",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY-----",
        "eyJ",
        "password: ",
        "a1.",
        "٣",
    ] {
        let text = piece.repeat(most / piece.len());
        assert!(detect(&text, Kinds::ALL).len() <= MOST);
    }
}

fn with_luhn(body: &str) -> String {
    let check = (b'0'..=b'9').find(|digit| {
        let digits: Vec<u8> = body.bytes().chain([*digit]).map(|byte| byte - b'0').collect();
        super::check::luhn(&digits)
    });
    format!("{body}{}", char::from(check.unwrap()))
}

fn with_mod_97(country: &str, body: &str) -> String {
    let rest = super::check::mod_97(body.bytes().chain(country.bytes()).chain(*b"00"));
    format!("{country}{:02}{body}", 98 - rest)
}

proptest! {
    #[test]
    fn every_valid_card_is_found_and_no_wrong_digit_passes(
        body in "4[0-9]{14}|5[1-5][0-9]{13}|37[0-9]{12}|35[3-8][0-9]{12}|6011[0-9]{11}",
        at in 0usize..15,
        add in 1u8..10,
    ) {
        let card = with_luhn(&body);
        let text = format!("pay {card} now");
        prop_assert!(finds(Kind::Card, &text));
        let mut wrong = card.into_bytes();
        wrong[at] = (wrong[at] - b'0' + add) % 10 + b'0';
        let wrong = String::from_utf8(wrong).unwrap();
        let text = format!("pay {wrong} now");
        prop_assert!(!finds(Kind::Card, &text));
    }

    #[test]
    fn every_valid_iban_is_found_and_no_wrong_digit_passes(body in "[0-9]{18}", at in 2usize..22, add in 1u8..10) {
        let iban = with_mod_97("DE", &body);
        prop_assert!(finds(Kind::Iban, &iban));
        let mut wrong = iban.into_bytes();
        wrong[at] = (wrong[at] - b'0' + add) % 10 + b'0';
        prop_assert!(!finds(Kind::Iban, &String::from_utf8(wrong).unwrap()));
    }

    #[test]
    fn nothing_panics_and_every_range_is_of_the_text(text in "(\\PC|[0-9 .-]|4111|password: ){0,80}") {
        for finding in detect(&text, Kinds::ALL) {
            prop_assert!(text.get(finding.range).is_some());
        }
    }
}

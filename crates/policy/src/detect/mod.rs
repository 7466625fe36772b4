//! Numbers and secrets that should not travel, found by their form and their checksum.
//!
//! Everything here takes time in proportion to the text, however hostile. What is found is told as a kind, a range and
//! a masked form; whoever logs uses the last.

mod card;
mod check;
mod iban;
mod identity;
mod lettered;
mod plain;
mod secret;
mod tokens;

use std::ops::Range;

use self::plain::Plain;
use self::tokens::Tokens;

/// What a detector looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Kind {
    /// The number of a payment card: Luhn, and a prefix and length that some scheme uses.
    Card,
    /// An international bank account number: ISO 7064 mod 97-10, and the country's length.
    Iban,
    /// Steueridentifikationsnummer, Germany.
    GermanTaxId,
    /// Numéro d'inscription au répertoire, France.
    FrenchNir,
    /// DNI and NIE, Spain.
    SpanishDni,
    /// Codice fiscale, Italy.
    ItalianCodiceFiscale,
    /// Burgerservicenummer, the Netherlands.
    DutchBsn,
    /// Rijksregisternummer, Belgium.
    BelgianNumber,
    /// PESEL, Poland.
    PolishPesel,
    /// National Insurance number, United Kingdom. It has no checksum.
    BritishNino,
    /// Social Security number, United States. It has no checksum.
    AmericanSsn,
    /// AHV number, Switzerland.
    SwissAhv,
    /// Personnummer, Sweden.
    SwedishPersonnummer,
    /// Henkilötunnus, Finland.
    FinnishHetu,
    /// Sozialversicherungsnummer, Austria.
    AustrianSvnr,
    /// CPF, Brazil.
    BrazilianCpf,
    /// CNPJ, Brazil.
    BrazilianCnpj,
    /// Aadhaar, India.
    IndianAadhaar,
    /// A private key in PEM.
    PrivateKey,
    /// An access key of a cloud.
    AccessKey,
    /// A token of a service that gives its tokens a form.
    Token,
    /// A JSON web token.
    Jwt,
    /// A password that is called so.
    Password,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Card,
        Self::Iban,
        Self::GermanTaxId,
        Self::FrenchNir,
        Self::SpanishDni,
        Self::ItalianCodiceFiscale,
        Self::DutchBsn,
        Self::BelgianNumber,
        Self::PolishPesel,
        Self::BritishNino,
        Self::AmericanSsn,
        Self::SwissAhv,
        Self::SwedishPersonnummer,
        Self::FinnishHetu,
        Self::AustrianSvnr,
        Self::BrazilianCpf,
        Self::BrazilianCnpj,
        Self::IndianAadhaar,
        Self::PrivateKey,
        Self::AccessKey,
        Self::Token,
        Self::Jwt,
        Self::Password,
    ];

    /// How rules and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Card => "card",
            Self::Iban => "iban",
            Self::GermanTaxId => "de-tax-id",
            Self::FrenchNir => "fr-nir",
            Self::SpanishDni => "es-dni",
            Self::ItalianCodiceFiscale => "it-codice-fiscale",
            Self::DutchBsn => "nl-bsn",
            Self::BelgianNumber => "be-number",
            Self::PolishPesel => "pl-pesel",
            Self::BritishNino => "gb-nino",
            Self::AmericanSsn => "us-ssn",
            Self::SwissAhv => "ch-ahv",
            Self::SwedishPersonnummer => "se-personnummer",
            Self::FinnishHetu => "fi-hetu",
            Self::AustrianSvnr => "at-svnr",
            Self::BrazilianCpf => "br-cpf",
            Self::BrazilianCnpj => "br-cnpj",
            Self::IndianAadhaar => "in-aadhaar",
            Self::PrivateKey => "private-key",
            Self::AccessKey => "access-key",
            Self::Token => "token",
            Self::Jwt => "jwt",
            Self::Password => "password",
        }
    }
}

/// Which kinds are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// Everything.
    pub const ALL: Self = Self((1 << Kind::ALL.len()) - 1);
    /// The ids that states give to people and companies.
    pub const NATIONAL: Self = Self(Self::range(Kind::GermanTaxId, Kind::IndianAadhaar));
    /// Keys, tokens and passwords.
    pub const SECRETS: Self = Self(Self::range(Kind::PrivateKey, Kind::Password));

    const fn range(first: Kind, last: Kind) -> u32 {
        ((1 << (last as u32 + 1)) - 1) & !((1 << first as u32) - 1)
    }

    /// The kinds of a name: one kind's own, `national-id`, `secret` or `any`.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "any" => Some(Self::ALL),
            "national-id" => Some(Self::NATIONAL),
            "secret" => Some(Self::SECRETS),
            name => Kind::ALL.into_iter().find(|kind| kind.name() == name).map(Self::from),
        }
    }

    /// Whether it is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether a kind is among them.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & (1 << kind as u32) != 0
    }

    /// Whether any kind is in both.
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Self {
        Self(1 << kind as u32)
    }
}

impl std::ops::BitOr for Kinds {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::default(), |all, kind| all | kind.into())
    }
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Where, in bytes of the text.
    pub range: Range<usize>,
    /// What may be shown of it.
    pub masked: String,
}

/// At most so many findings come of one text.
pub const MOST: usize = 256;

/// Looks for `wanted` in a text. In the order of the text; two kinds may claim the same place.
pub fn detect(text: &str, wanted: Kinds) -> Vec<Finding> {
    let mut found = Found { wanted, spans: Vec::new() };
    if wanted.is_empty() {
        return Vec::new();
    }
    let plain = Plain::of(text);
    let numbers = Kinds(!Kinds::SECRETS.0);
    if wanted.meets(numbers) && plain.text().bytes().any(|byte| byte.is_ascii_digit()) {
        let tokens = Tokens::of(plain.text());
        for at in 0..tokens.len() {
            if found.spans.len() >= MOST {
                break;
            }
            identity::find(&tokens, at, &mut found);
            card::find(&tokens, at, &mut found);
            iban::find(&tokens, at, &mut found);
            lettered::find(&tokens, at, &mut found);
        }
    }
    if wanted.meets(Kinds::SECRETS) {
        secret::find(plain.text(), &mut found);
    }
    let mut spans = found.spans;
    spans.sort_by_key(|(kind, range)| (range.start, range.end, *kind));
    spans.truncate(MOST);
    let finding = |(kind, range): (Kind, Range<usize>)| Finding {
        kind,
        masked: mask(kind, &plain.text()[range.clone()]),
        range: plain.source(range),
    };
    spans.into_iter().map(finding).collect()
}

/// What the detectors have found, in the plain text.
struct Found {
    wanted: Kinds,
    spans: Vec<(Kind, Range<usize>)>,
}

impl Found {
    fn wants(&self, kind: Kind) -> bool {
        self.wanted.contains(kind)
    }

    fn add(&mut self, kind: Kind, range: Range<usize>) {
        self.spans.push((kind, range));
    }
}

/// Enough to recognise what is known, too little to use: the last letters of a number, the first of a secret with a form.
fn mask(kind: Kind, plain: &str) -> String {
    let (head, tail) = match kind {
        Kind::Card => (0, 4),
        Kind::Iban => (2, 4),
        Kind::AccessKey | Kind::Token => (4, 0),
        Kind::PrivateKey | Kind::Jwt | Kind::Password => return "•".repeat(8),
        _ => (0, 2),
    };
    let count = plain.chars().filter(|letter| letter.is_ascii_alphanumeric()).count();
    let mut at = 0;
    let hide = |letter: char| {
        if !letter.is_ascii_alphanumeric() {
            return letter;
        }
        at += 1;
        if at <= head || at > count.saturating_sub(tail) { letter } else { '•' }
    };
    plain.chars().map(hide).collect()
}

#[cfg(test)]
mod tests;

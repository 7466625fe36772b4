//! What was said: the same for every store, made anew wherever it is needed.

use crate::words::Random;

/// Words that people of a company use, names and numbers among them.
const WORDS: usize = 120_000;
/// Mandelbrot's shift and exponent, as English has them.
const SHIFT: f64 = 2.7;
const EXPONENT: f64 = 1.05;

/// A way to make every message from its number alone.
pub(crate) struct Corpus {
    words: Vec<String>,
    /// The sum of the shares of all words up to each.
    shares: Vec<f64>,
    people: usize,
    rooms: usize,
}

/// One message.
pub(crate) struct Said {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) room: Option<usize>,
    /// By rank: the lower, the more common.
    pub(crate) words: Vec<usize>,
}

impl Corpus {
    pub(crate) fn new(people: usize, rooms: usize) -> Self {
        let mut sum = 0.0;
        let shares = (0..WORDS).map(|rank| {
            sum += 1.0 / (rank as f64 + SHIFT).powf(EXPONENT);
            sum
        });
        Self { shares: shares.collect(), words: (0..WORDS).map(spell).collect(), people, rooms }
    }

    pub(crate) fn dice(&self, seed: u64) -> Random {
        Random::seeded(seed)
    }

    pub(crate) fn word(&self, rank: usize) -> &str {
        &self.words[rank]
    }

    pub(crate) fn said(&self, number: usize) -> Said {
        let mut dice = Random::seeded(number as u64 + 1);
        dice.next();
        let below = |dice: &mut Random, most: usize| (dice.next() % most.max(1) as u64) as usize;
        let from = below(&mut dice, self.people);
        // Everybody has some two dozen colleagues, and is in rooms near them.
        let step = 1 + below(&mut dice, 24);
        let to = (from + step * step) % self.people;
        let room = (self.rooms > 0 && below(&mut dice, 3) == 0)
            .then(|| (from % self.rooms + below(&mut dice, 3)) % self.rooms);
        // Most messages are short, few are long.
        let length = 2 + below(&mut dice, 5) + below(&mut dice, 8) * below(&mut dice, 5);
        let total = self.shares.last().copied().unwrap_or_default();
        let draw = |_| {
            let at = (dice.next() >> 11) as f64 / (1u64 << 53) as f64 * total;
            self.shares.partition_point(|share| *share < at).min(WORDS - 1)
        };
        Said { from, to, room, words: (0..length).map(draw).collect() }
    }

    pub(crate) fn text(&self, said: &Said) -> String {
        let words: Vec<&str> = said.words.iter().map(|word| self.word(*word)).collect();
        words.join(" ")
    }
}

/// A word of syllables: the more common, the shorter.
fn spell(rank: usize) -> String {
    const HEADS: [&str; 20] = [
        "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "st", "tr", "pl",
        "ch",
    ];
    const TAILS: [&str; 12] = ["a", "e", "i", "o", "u", "an", "er", "in", "ol", "us", "et", "al"];
    const SYLLABLES: usize = HEADS.len() * TAILS.len();
    let mut word = String::new();
    let mut left = rank;
    loop {
        // Neighbours in rank look nothing alike.
        let syllable = (left * 97 + 31) % SYLLABLES;
        word.push_str(HEADS[syllable / TAILS.len()]);
        word.push_str(TAILS[syllable % TAILS.len()]);
        left /= SYLLABLES;
        if left == 0 {
            return word;
        }
        left -= 1;
    }
}

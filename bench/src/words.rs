//! Message bodies that read like office talk: every one differs, and words repeat as often as words do.

/// Small, fast and repeatable; nothing secret depends on it.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Bodies of one exact length, made once and shared by all senders.
pub(crate) struct Bodies {
    text: Vec<u8>,
    length: usize,
}

/// Enough that the words of a run do not repeat in step.
const BODIES: usize = 8192;

impl Bodies {
    pub(crate) fn of_length(length: usize, seed: u64) -> Bodies {
        let mut random = Random::seeded(seed);
        let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
        let mut text = Vec::with_capacity(BODIES * length);
        for _ in 0..BODIES {
            let end = text.len() + length;
            while text.len() < end {
                // A power of the uniform draw gives the long tail that natural text has.
                let rank = random.unit().powi(3) * words.len() as f64;
                match random.next() % 24 {
                    0 => text.extend_from_slice(format!("{}", random.next() % 100_000).as_bytes()),
                    _ => text.extend_from_slice(words[rank as usize % words.len()].as_bytes()),
                }
                text.push(b' ');
            }
            text.truncate(end);
            if let Some(last) = text.last_mut() {
                *last = b'.';
            }
        }
        Bodies { text, length }
    }

    /// One body for every number; they come again after some thousands.
    pub(crate) fn nth(&self, number: u64) -> &[u8] {
        let index = (number % BODIES as u64) as usize;
        &self.text[index * self.length..][..self.length]
    }
}

/// Ordered by how often people at work write them, roughly.
const WORDS: &str = "the to and a of in is it you that for we on this be with have are will can not at as if but \
    they do please was or so by from our all just one what about there up when out would get me your know like time \
    how no then which some could has more been need them after should who meeting today only new also think now any \
    make see work well thanks go where did were week here team next team project send back call tomorrow report \
    customer first look good want still over because two before day morning office check sure other update done order \
    price list let us review email contract sign draft question answer plan budget numbers invoice open late Monday \
    Tuesday Wednesday Thursday Friday quarter account server system release version change file document folder \
    deadline delivery supplier shipment warehouse factory quality sample test result problem issue solution fix bug \
    ticket support client partner sales market launch campaign design sketch logo colour brand website page link \
    button login password access rights policy security audit finance tax payment bank transfer receipt expense travel \
    flight hotel train taxi visitor guest room floor building kitchen coffee lunch dinner party birthday holiday leave \
    sick doctor family weekend training course workshop slides presentation agenda minutes notes summary decision \
    approve approval reject proposal offer quote discount margin target forecast growth revenue cost risk legal lawyer \
    clause signature notary merger board director manager assistant intern candidate interview hiring salary bonus \
    insurance pension machine engine sensor cable battery prototype drawing tolerance measure calibrate assembly line \
    shift operator maintenance spare part stock inventory scan label carton pallet truck driver route customs import \
    export certificate standard norm inspection complaint refund warranty repair return replace damaged missing wrong \
    urgent asap soon later earlier yesterday tonight afternoon evening noon hour minute moment quick slow long short \
    early ready busy free blocked waiting pending finished started planned cancelled moved postponed confirmed agreed \
    understood perfect great nice fine okay sorry hello hi dear regards best cheers bye welcome congratulations careful \
    attention important private internal public external final preliminary rough exact roughly exactly probably maybe \
    definitely certainly unfortunately luckily honestly personally together alone between without within against \
    towards during since until while although however therefore otherwise instead besides especially mostly nearly \
    almost hardly never always often sometimes seldom again once twice half double percent thousand million";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_differ_and_have_the_length_that_was_asked_for() {
        let bodies = Bodies::of_length(150, 7);
        let mut seen = std::collections::HashSet::new();
        for number in 0..BODIES as u64 {
            let body = bodies.nth(number);
            assert_eq!(body.len(), 150);
            assert!(std::str::from_utf8(body).is_ok_and(|text| !text.contains(['<', '&'])));
            seen.insert(body.to_vec());
        }
        assert_eq!(seen.len(), BODIES);
    }
}

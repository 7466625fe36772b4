//! A stretch of the log's index as bytes: lists of places by token, in blocks that are sealed one by one.
//!
//! Tokens are shortened to 40 bits, so that a rare word costs little. Two that are the same by chance cost a look at an
//! event, and the decrypted text decides.

/// Bytes after which a block is closed. A long list makes a longer one.
const BLOCK: usize = 16 * 1024;

/// A token as segments have it.
pub(super) fn short(token: u64) -> u64 {
    token >> 24
}

/// Writes lists, whose tokens ascend, into blocks.
#[derive(Default)]
pub(super) struct Blocks {
    block: Vec<u8>,
    last: u64,
    /// The first token of each block so far.
    pub(super) directory: Vec<u64>,
    scratch: Vec<u8>,
}

impl Blocks {
    /// Appends a token's places, ascending. Returns a block when one is full.
    pub(super) fn push(&mut self, token: u64, places: &[u32]) -> Option<Vec<u8>> {
        if places.is_empty() {
            return None;
        }
        let full = (self.block.len() >= BLOCK).then(|| std::mem::take(&mut self.block));
        if self.block.is_empty() {
            self.directory.push(token);
            self.last = 0;
        }
        put(&mut self.block, token - self.last);
        self.last = token;
        put(&mut self.block, places.len() as u64);
        if let [place] = places {
            put(&mut self.block, (*place).into());
            return full;
        }
        self.scratch.clear();
        let (first, end) = (places[0], places[places.len() - 1]);
        let mut last = 0;
        for place in places {
            put(&mut self.scratch, (place - last).into());
            last = *place;
        }
        // Where places are dense, a bit for each is shorter.
        let bits = ((end - first) as usize).div_ceil(8) + 1;
        if bits + 5 < self.scratch.len() {
            self.scratch.clear();
            put(&mut self.scratch, first.into());
            let start = self.scratch.len();
            self.scratch.resize(start + bits, 0);
            for place in places {
                let at = (place - first) as usize;
                self.scratch[start + at / 8] |= 1 << (at % 8);
            }
            put(&mut self.block, (self.scratch.len() as u64) << 1 | 1);
        } else {
            put(&mut self.block, (self.scratch.len() as u64) << 1);
        }
        self.block.extend_from_slice(&self.scratch);
        full
    }

    /// The last block.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        (!self.block.is_empty()).then(|| std::mem::take(&mut self.block))
    }
}

/// Reads the lists of a block in order.
pub(super) struct Lists<'a> {
    bytes: &'a [u8],
    last: u64,
}

/// A token's list that is not unpacked yet.
pub(super) enum Packed<'a> {
    One(u32),
    Steps(&'a [u8], usize),
    Bits(&'a [u8], usize),
}

impl<'a> Lists<'a> {
    pub(super) fn new(block: &'a [u8]) -> Self {
        Self { bytes: block, last: 0 }
    }

    /// Bytes that have not been read.
    pub(super) fn rest(&self) -> usize {
        self.bytes.len()
    }

    /// Goes on in a block from where `rest` bytes were left, after this token.
    pub(super) fn resume(block: &'a [u8], rest: usize, last: u64) -> Self {
        Self { bytes: &block[block.len().saturating_sub(rest)..], last }
    }
}

impl<'a> Iterator for Lists<'a> {
    type Item = (u64, Packed<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (step, rest) = take(self.bytes)?;
        let token = self.last.checked_add(step)?;
        let (count, rest) = take(rest)?;
        let (packed, rest) = if count == 1 {
            let (place, rest) = take(rest)?;
            (Packed::One(u32::try_from(place).ok()?), rest)
        } else {
            let (header, rest) = take(rest)?;
            let (list, rest) = rest.split_at_checked(usize::try_from(header >> 1).ok()?)?;
            let count = usize::try_from(count).ok()?;
            let packed = if header & 1 == 1 { Packed::Bits(list, count) } else { Packed::Steps(list, count) };
            (packed, rest)
        };
        (self.bytes, self.last) = (rest, token);
        Some((token, packed))
    }
}

impl Packed<'_> {
    /// The places, each raised by `shift`.
    pub(super) fn unpack(&self, shift: u32, out: &mut Vec<u32>) {
        match *self {
            Self::One(place) => out.push(place.wrapping_add(shift)),
            Self::Steps(mut list, count) => {
                out.reserve(count.min(list.len()));
                let mut last = shift;
                while let Some((step, rest)) = take(list) {
                    last = last.wrapping_add(step as u32);
                    out.push(last);
                    list = rest;
                }
            }
            Self::Bits(list, count) => {
                let Some((first, bits)) = take(list) else { return };
                out.reserve(count.min(bits.len() * 8));
                let first = (first as u32).wrapping_add(shift);
                for (at, byte) in bits.iter().enumerate() {
                    let mut byte = *byte;
                    while byte != 0 {
                        out.push(first.wrapping_add(at as u32 * 8 + byte.trailing_zeros()));
                        byte &= byte - 1;
                    }
                }
            }
        }
    }
}

/// The places of a token in a block.
pub(super) fn find(block: &[u8], token: u64) -> Vec<u32> {
    let mut places = Vec::new();
    if let Some((_, packed)) =
        Lists::new(block).take_while(|(there, _)| *there <= token).find(|(there, _)| *there == token)
    {
        packed.unpack(0, &mut places);
    }
    places
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(10) {
        number |= u64::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(lists: &[(u64, Vec<u32>)]) -> (Vec<Vec<u8>>, Vec<u64>) {
        let mut writer = Blocks::default();
        let mut blocks: Vec<Vec<u8>> =
            lists.iter().filter_map(|(token, places)| writer.push(*token, places)).collect();
        blocks.extend(writer.finish());
        (blocks, writer.directory)
    }

    #[test]
    fn blocks_give_back_each_list() {
        let mut lists: Vec<(u64, Vec<u32>)> =
            vec![(3, vec![1]), (90, vec![1, 2, 300, 70_000]), (1 << 39, (5..9000).collect())];
        lists.extend((0..4000).map(|n| ((1 << 39) + 1000 * (n + 1), vec![n as u32 * 7])));
        lists.push(((1 << 40) - 1, (0..90_000).filter(|n| n % 3 != 0).collect()));
        let (blocks, directory) = blocks(&lists);
        assert!(blocks.len() > 1 && blocks.len() == directory.len());
        for (token, places) in &lists {
            let number = directory.partition_point(|first| first <= token) - 1;
            assert_eq!(find(&blocks[number], *token), *places);
            assert!(find(&blocks[number], token - 1).is_empty());
        }
        let longest = blocks.iter().map(Vec::len).max().unwrap();
        assert!(longest < BLOCK + 12_000, "dense lists take a bit a place: {longest}");
    }

    #[test]
    fn a_damaged_block_gives_less_and_no_panic() {
        let (blocks, _) = blocks(&[(3, vec![1, 5, 9]), (7, (5..900).collect())]);
        for end in 0..blocks[0].len() {
            for (_, packed) in Lists::new(&blocks[0][..end]) {
                packed.unpack(0, &mut Vec::new());
            }
        }
    }
}

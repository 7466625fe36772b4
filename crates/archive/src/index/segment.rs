//! A few thousand events' worth of index, sealed: split by token into buckets, so that a word reads only its own.

use vault::{Expect, Sequence, Vault, Write};

use super::recent::{Recent, intersect};
use crate::Result;

/// The record kind of a bucket: the parent is its number, the key the segment's base in twenty digits.
const KIND: u16 = 0x4101;
const BUCKETS: u64 = 64;

fn bucket(token: u64) -> u64 {
    // The memory's table uses the low bits and the top seven.
    (token >> 32) % BUCKETS
}

/// The changes that store a memory as a segment.
pub(super) fn writes(recent: &Recent) -> Vec<Write> {
    let mut buckets: Vec<Vec<(u64, &[u32])>> = vec![Vec::new(); BUCKETS as usize];
    for entry in recent.iter() {
        buckets[bucket(entry.0) as usize].push(entry);
    }
    let key = format!("{:020}", recent.base().0);
    let mut writes = Vec::with_capacity(buckets.len());
    for (number, mut entries) in buckets.into_iter().enumerate() {
        entries.sort_unstable_by_key(|(token, _)| *token);
        writes.push(Write::put_bytes(KIND, &number.to_string(), &key, encode(&entries), Expect::Any));
    }
    writes
}

/// Events up to `end` that bear all tokens, newest first.
pub(super) async fn find(vault: &Vault, tokens: &[u64], end: Sequence) -> Result<Vec<Sequence>> {
    let mut buckets: Vec<u64> = tokens.iter().map(|token| bucket(*token)).collect();
    buckets.sort_unstable();
    buckets.dedup();
    let mut read = Vec::with_capacity(buckets.len());
    for number in &buckets {
        read.push(vault.list_bytes(KIND, &number.to_string()).await?);
    }
    let mut found = Vec::new();
    let Some(segments) = read.first() else { return Ok(found) };
    for (at, (base, ..)) in segments.iter().enumerate().rev() {
        let Ok(start) = base.parse::<u64>() else { continue };
        if start >= end.0 {
            continue;
        }
        let mut lists = Vec::with_capacity(tokens.len());
        for token in tokens {
            let place = buckets.iter().position(|number| *number == bucket(*token)).unwrap_or(0);
            // All buckets of a segment are written together, so they stand at the same place.
            let list = read[place].get(at).and_then(|(_, bytes, _)| decode(bytes, *token));
            lists.push(list.unwrap_or_default());
        }
        let lists: Vec<&[u32]> = lists.iter().map(Vec::as_slice).collect();
        found.extend(intersect(&lists).map(|at| Sequence(start + u64::from(at))));
    }
    Ok(found)
}

/// Token by token: the token, the bytes of its list, and the list as distances.
fn encode(entries: &[(u64, &[u32])]) -> Vec<u8> {
    let mut out = Vec::with_capacity(entries.len() * 16);
    let mut list = Vec::new();
    for (token, places) in entries {
        list.clear();
        let mut last = 0;
        for at in *places {
            put(&mut list, at - last);
            last = *at;
        }
        out.extend_from_slice(&token.to_le_bytes());
        put(&mut out, list.len() as u32);
        out.extend_from_slice(&list);
    }
    out
}

fn decode(mut bytes: &[u8], wanted: u64) -> Option<Vec<u32>> {
    while let Some((token, rest)) = bytes.split_first_chunk::<8>() {
        let (length, rest) = take(rest)?;
        let (mut list, rest) = rest.split_at_checked(length as usize)?;
        if u64::from_le_bytes(*token) == wanted {
            let (mut places, mut last) = (Vec::new(), 0);
            while let Some((step, rest)) = take(list) {
                last += step;
                places.push(last);
                list = rest;
            }
            return Some(places);
        }
        bytes = rest;
    }
    None
}

fn put(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut number = 0;
    for (at, byte) in bytes.iter().enumerate().take(5) {
        number |= u32::from(byte & 0x7f).checked_shl(7 * at as u32)?;
        if byte & 0x80 == 0 {
            return Some((number, &bytes[at + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_gives_back_each_list() {
        let lists: [(u64, Vec<u32>); 3] =
            [(3, vec![1]), (1 << 60, vec![1, 2, 300, 70_000]), (u64::MAX, (1..9000).collect())];
        let entries: Vec<(u64, &[u32])> = lists.iter().map(|(token, list)| (*token, &list[..])).collect();
        let bytes = encode(&entries);
        for (token, list) in &lists {
            assert_eq!(decode(&bytes, *token).as_ref(), Some(list));
        }
        assert_eq!(decode(&bytes, 4), None);
        assert_eq!(decode(&bytes[..bytes.len() - 1], u64::MAX), None);
    }
}

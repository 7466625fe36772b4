//! How content becomes a blob: a header, then chunks that are sealed one by one.
//!
//! Each chunk's seal authenticates the blob's name, the chunk's number and whether it is the last, so that chunks cannot be
//! changed, moved, left out or cut off and still open. Pure.

use std::ops::Range;

use smallvec::SmallVec;

use super::BlobName;
use crate::seal::OVERHEAD;

/// What every blob begins with: the format's name and version.
pub(super) const HEADER: &[u8; 16] = b"chancery blob 1\n";
/// Bytes of content in a chunk; the last may hold fewer.
pub(super) const CHUNK: usize = 64 * 1024;
/// Bytes of a whole chunk, sealed.
const SEALED: u64 = (CHUNK + OVERHEAD) as u64;

/// What the seal of a chunk also authenticates.
pub(super) fn context(name: BlobName, number: u64, last: bool) -> SmallVec<[u8; 64]> {
    let mut context = SmallVec::new();
    context.extend_from_slice(HEADER);
    context.extend_from_slice(name.as_bytes());
    context.extend_from_slice(&number.to_le_bytes());
    context.push(u8::from(last));
    context
}

/// Where the parts of content of a known size stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// Bytes of content.
    pub(super) size: u64,
}

impl Layout {
    pub(super) fn new(size: u64) -> Self {
        Self { size }
    }

    /// Content without a byte has one chunk, too: nothing can be told from a blob that was cut off.
    pub(super) fn chunks(self) -> u64 {
        self.size.div_ceil(CHUNK as u64).max(1)
    }

    /// Bytes of the whole blob.
    pub(super) fn sealed_size(self) -> u64 {
        HEADER.len() as u64 + self.size + self.chunks() * OVERHEAD as u64
    }

    /// The bytes of a chunk.
    pub(super) fn place(self, chunk: u64) -> Range<u64> {
        let at = |chunk: u64| (HEADER.len() as u64 + chunk * SEALED).min(self.sealed_size());
        at(chunk)..at(chunk + 1)
    }

    /// Whether a chunk is the last.
    pub(super) fn is_last(self, chunk: u64) -> bool {
        chunk + 1 == self.chunks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_lie_side_by_side_and_end_where_the_blob_does() {
        let whole = CHUNK as u64;
        for size in [0, 1, whole - 1, whole, whole + 1, 5 * whole, 5 * whole + 7] {
            let layout = Layout::new(size);
            let mut end = HEADER.len() as u64;
            for chunk in 0..layout.chunks() {
                let place = layout.place(chunk);
                assert_eq!(place.start, end, "{size}");
                assert_eq!(layout.is_last(chunk), place.end == layout.sealed_size(), "{size}");
                end = place.end;
            }
            assert_eq!(end, layout.sealed_size(), "{size}");
        }
    }
}

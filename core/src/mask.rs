//! Masking (RFC 6455 §5.3), without `unsafe` and at the speed of memory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use chacha20::ChaCha12Rng;
use chacha20::rand_core::{Rng, SeedableRng};

/// A masking key, as it stands in the frame header.
pub(crate) type Key = [u8; 4];

/// From here on the widest vectors pay: to ask for them and to call costs about 5 ns.
const LONG: usize = 512;

/// What is masked in registers, and then appended: half of those that AVX2 has.
type Block = [u8; 256];

/// Masks or unmasks `payload`, whose first byte meets the first byte of `key`.
#[inline]
pub(crate) fn apply(payload: &mut [u8], key: Key) {
    if payload.len() < LONG {
        return narrow::apply_short(payload, key);
    }
    #[cfg(feature = "std")]
    wide::apply(payload, key);
    #[cfg(not(feature = "std"))]
    narrow::apply(payload, key);
}

/// Copies `from` to `to`, which is as long, masked or unmasked on the way.
///
/// One pass: masking right behind a copy reads what is still being stored.
#[inline]
pub(crate) fn copy(to: &mut [u8], from: &[u8], key: Key) {
    let _ = copy_text(to, from, key);
}

/// The same, and says whether the copy is ASCII: to look for that by the way is free.
#[inline]
pub(crate) fn copy_text(to: &mut [u8], from: &[u8], key: Key) -> bool {
    debug_assert_eq!(to.len(), from.len());
    #[cfg(feature = "std")]
    if from.len() >= LONG {
        return wide::copy_text(to, from, key);
    }
    narrow::copy_text(to, from, key)
}

/// A masked or unmasked copy in an allocation of its own: with up to 31 bytes to spare.
///
/// One pass, and no zeros to be overwritten.
#[inline]
pub(crate) fn to_vec(from: &[u8], key: Key) -> Vec<u8> {
    #[cfg(feature = "std")]
    if from.len() >= LONG {
        return wide::to_vec(from, key);
    }
    narrow::to_vec(from, key)
}

/// For what the whole build is compiled for.
mod narrow {
    use super::{Block, Key, Vec, advance};

    const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

    #[inline(always)]
    pub(super) fn apply(payload: &mut [u8], key: Key) {
        let wide = widen(key);
        // Whole words: the compiler turns this loop into the widest vectors it may use.
        let (words, rest) = payload.as_chunks_mut::<8>();
        for word in words {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        for (byte, key) in rest.iter_mut().zip(wide.to_ne_bytes()) {
            *byte ^= key;
        }
    }

    /// Without a loop over the last bytes: a last block of 16 overlaps the one before.
    #[inline(always)]
    pub(super) fn apply_short(payload: &mut [u8], key: Key) {
        let Some(last) = payload.last_chunk::<16>() else {
            return apply(payload, key);
        };
        // Before the loop, which changes a part of it, and written over that.
        let last = block(*last, widen(advance(key, payload.len())));
        let wide = widen(key);
        let (pairs, rest) = payload.as_chunks_mut::<32>();
        for pair in pairs {
            for to in pair.as_chunks_mut::<16>().0 {
                *to = block(*to, wide);
            }
        }
        if let Some(to) = rest.first_chunk_mut() {
            *to = block(*to, wide);
        }
        if let Some(to) = payload.last_chunk_mut() {
            *to = last;
        }
    }

    #[inline(always)]
    fn block(block: [u8; 16], wide: u64) -> [u8; 16] {
        let wide = u128::from(wide);
        (u128::from_ne_bytes(block) ^ (wide << 64 | wide)).to_ne_bytes()
    }

    #[inline(always)]
    pub(super) fn copy_text(to: &mut [u8], from: &[u8], key: Key) -> bool {
        let wide = widen(key);
        let mut seen = 0;
        let (to_words, to_rest) = to.as_chunks_mut::<8>();
        let (words, rest) = from.as_chunks::<8>();
        for (to, word) in to_words.iter_mut().zip(words) {
            let word = u64::from_ne_bytes(*word) ^ wide;
            seen |= word;
            *to = word.to_ne_bytes();
        }
        for ((to, byte), key) in to_rest.iter_mut().zip(rest).zip(wide.to_ne_bytes()) {
            let byte = byte ^ key;
            seen |= u64::from(byte);
            *to = byte;
        }
        seen & HIGH_BITS == 0
    }

    #[inline(always)]
    pub(super) fn append(out: &mut Vec<u8>, blocks: &[Block], key: Key) {
        let wide = widen(key);
        for block in blocks {
            out.extend_from_slice(&masked(*block, wide));
        }
    }

    #[inline(always)]
    pub(super) fn to_vec(from: &[u8], key: Key) -> Vec<u8> {
        let Some(last) = from.last_chunk::<32>() else {
            let mut short = from.to_vec();
            apply(&mut short, key);
            return short;
        };
        let wide = widen(key);
        let (blocks, rest) = from.as_chunks::<32>();
        let mut to = Vec::with_capacity(from.len().div_ceil(32));
        // The iterator knows how many they are: room is looked for once.
        to.extend(blocks.iter().map(|block| masked(*block, wide)));
        let mut to = to.into_flattened();
        if !rest.is_empty() {
            // A last block as long, that overlaps the one before.
            to.truncate(from.len() - last.len());
            to.extend_from_slice(&masked(*last, widen(advance(key, from.len()))));
        }
        to
    }

    /// By words of 64 bits: of longer ones the compiler makes no vectors here.
    #[inline(always)]
    fn masked<const LEN: usize>(mut block: [u8; LEN], wide: u64) -> [u8; LEN] {
        for word in block.as_chunks_mut::<8>().0 {
            *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
        }
        block
    }

    #[inline]
    fn widen(key: Key) -> u64 {
        let half = u64::from(u32::from_ne_bytes(key));
        half << 32 | half
    }
}

/// The same loops compiled for what the processor turns out to have.
#[cfg(feature = "std")]
mod wide {
    use super::{Block, Key, Vec, advance, narrow};
    use fearless_simd::{Level, dispatch};
    use std::sync::OnceLock;

    /// What vectors are aligned to: half of the accesses would touch two cache lines.
    const ALIGNMENT: usize = 32;

    fn level() -> Level {
        static LEVEL: OnceLock<Level> = OnceLock::new();
        *LEVEL.get_or_init(Level::new)
    }

    #[inline(never)]
    pub(super) fn apply(payload: &mut [u8], key: Key) {
        let odd = odd(payload);
        let next = advance(key, odd);
        let (odd, aligned) = payload.split_at_mut(odd);
        narrow::apply(odd, key);
        dispatch!(level(), _ => narrow::apply(aligned, next));
    }

    #[inline(never)]
    pub(super) fn copy_text(to: &mut [u8], from: &[u8], key: Key) -> bool {
        // Stores are what costs more when they are cut.
        let odd = odd(to).min(from.len());
        let next = advance(key, odd);
        let (to_odd, to_aligned) = to.split_at_mut(odd);
        let (odd, rest) = from.split_at(odd);
        let is_ascii = narrow::copy_text(to_odd, odd, key);
        is_ascii & dispatch!(level(), _ => narrow::copy_text(to_aligned, rest, next))
    }

    #[inline(never)]
    pub(super) fn append(out: &mut Vec<u8>, blocks: &[Block], key: Key) {
        dispatch!(level(), _ => narrow::append(out, blocks, key));
    }

    #[inline(never)]
    pub(super) fn to_vec(from: &[u8], key: Key) -> Vec<u8> {
        dispatch!(level(), _ => narrow::to_vec(from, key))
    }

    /// How many bytes come before the first that is aligned.
    fn odd(bytes: &[u8]) -> usize {
        bytes.as_ptr().align_offset(ALIGNMENT).min(bytes.len())
    }
}

/// A masked or unmasked copy of a block that fits some registers, in words of little
/// endian.
#[inline(always)]
pub(crate) fn block<const WORDS: usize>(from: &[[u8; 8]; WORDS], key: Key) -> [u64; WORDS] {
    let half = u64::from(u32::from_le_bytes(key));
    from.map(|word| u64::from_le_bytes(word) ^ (half << 32 | half))
}

/// Appends a masked or unmasked copy.
#[inline]
pub(crate) fn append(out: &mut Vec<u8>, payload: &[u8], key: Key) {
    out.reserve(payload.len());
    let rest = if payload.len() < LONG {
        payload
    } else {
        append_blocks(out, payload, key)
    };
    let start = out.len();
    out.resize(start + rest.len(), 0);
    narrow::copy_text(out.get_mut(start..).unwrap_or_default(), rest, key);
}

/// Appends all whole blocks, and returns what is left of `payload`.
///
/// There are no zeros to be written first, as there must be where a slice is filled.
fn append_blocks<'p>(out: &mut Vec<u8>, payload: &'p [u8], key: Key) -> &'p [u8] {
    let (blocks, rest) = payload.as_chunks();
    #[cfg(feature = "std")]
    wide::append(out, blocks, key);
    #[cfg(not(feature = "std"))]
    narrow::append(out, blocks, key);
    rest
}

/// The key for what follows after `len` masked bytes.
#[inline]
pub(crate) fn advance(key: Key, len: usize) -> Key {
    // As a number: a slice is rotated by calls that take longer than short payloads do.
    let bits = 8 * (len % 4) as u32;
    u32::from_le_bytes(key).rotate_right(bits).to_le_bytes()
}

/// A client's masking keys: a new one for each frame, not predictable by the
/// application that chooses the payloads (RFC 6455 §10.3).
pub(crate) struct Keys(Box<ChaCha12Rng>);

impl Keys {
    pub(crate) fn new(seed: &Seed) -> Self {
        Self(Box::new(ChaCha12Rng::from_seed(seed.0)))
    }

    pub(crate) fn next_key(&mut self) -> Key {
        self.0.next_u32().to_ne_bytes()
    }
}

/// The seed of a client's masking keys: 32 unpredictable bytes.
///
/// Take them from the operating system's generator, afresh for each connection.
/// The core has no source of randomness of its own; a fixed seed is for tests.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// From unpredictable bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl core::fmt::Debug for Seed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Seed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use proptest::prelude::*;

    /// RFC 6455 §5.3, to the letter.
    fn by_the_octet(payload: &[u8], key: Key) -> Vec<u8> {
        payload
            .iter()
            .enumerate()
            .map(|(i, octet)| octet ^ key[i % 4])
            .collect()
    }

    #[test]
    fn every_length_masks_as_the_octet_formula_says() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        for len in (0..100).chain([2048, 2049, 5000]) {
            let payload: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
            let mut masked = payload.clone();
            apply(&mut masked, key);
            assert_eq!(masked, by_the_octet(&payload, key), "{len}");
            let mut appended = b"before".to_vec();
            append(&mut appended, &payload, key);
            assert_eq!(appended, [b"before", &*masked].concat(), "{len}");
            let copied = to_vec(&payload, key);
            assert_eq!(copied, masked, "{len}");
            assert!(copied.capacity() < len.max(1) + 32, "{len}");
        }
    }

    proptest! {
        /// The wide loops start at 512 bytes and take care of the alignment first.
        #[test]
        fn any_length_at_any_place_masks_as_the_octet_formula_says(
            payload in proptest::collection::vec(any::<u8>(), 0..3000),
            key in any::<Key>(),
            at in 0..70_usize,
            behind in 0..70_usize,
        ) {
            let expected = by_the_octet(&payload, key);
            let mut around = alloc::vec![7; at + payload.len() + behind];
            let place = at..at + payload.len();
            around[place.clone()].copy_from_slice(&payload);
            prop_assert_eq!(&to_vec(&around[place.clone()], key), &expected);
            apply(&mut around[place.clone()], key);
            prop_assert_eq!(&around[place.clone()], &expected);

            let mut copied = alloc::vec![7; around.len()];
            let is_ascii = copy_text(&mut copied[place.clone()], &payload, key);
            prop_assert_eq!(is_ascii, expected.is_ascii());
            prop_assert_eq!(&copied, &around);

            copied.truncate(at);
            append(&mut copied, &payload, key);
            prop_assert_eq!(&copied, &around[..place.end]);
        }

        #[test]
        fn one_byte_that_is_not_ascii_is_seen_wherever_it_is(
            len in 1..3000_usize,
            place in any::<proptest::sample::Index>(),
            bit in any::<bool>(),
            key in any::<Key>(),
        ) {
            let mut text = alloc::vec![b'x'; len];
            if bit {
                text[place.index(len)] |= 0x80;
            }
            let masked = by_the_octet(&text, key);
            let mut copied = alloc::vec![0; len];
            prop_assert_eq!(copy_text(&mut copied, &masked, key), !bit);
            prop_assert_eq!(copied, text);
        }
    }

    #[test]
    fn a_payload_masked_in_pieces_is_the_same() {
        let key = [1, 2, 3, 4];
        let payload: Vec<u8> = (0..37).collect();
        for cut in 0..=payload.len() {
            let mut masked = payload.clone();
            let (front, back) = masked.split_at_mut(cut);
            apply(front, key);
            apply(back, advance(key, cut));
            assert_eq!(masked, by_the_octet(&payload, key), "{cut}");
        }
    }

    #[test]
    fn ten_thousand_keys_do_not_repeat_and_their_bytes_are_even() {
        let mut keys = Keys::new(&Seed::new([9; 32]));
        let drawn: Vec<Key> = (0..10_000).map(|_| keys.next_key()).collect();
        // Among 10,000 draws of 32 bits a collision has a chance of 1.2 %; this seed has none.
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), drawn.len());
        let mut counts = [0_u32; 256];
        drawn
            .iter()
            .flatten()
            .for_each(|&octet| counts[usize::from(octet)] += 1);
        let expected = 40_000.0 / 256.0;
        let chi_squared: f64 = counts
            .iter()
            .map(|&count| (f64::from(count) - expected).powi(2) / expected)
            .sum();
        // 255 degrees of freedom: 330.5 is the 99.9th percentile.
        assert!(chi_squared < 330.5, "{chi_squared}");
    }

    #[test]
    fn different_seeds_give_different_keys() {
        let first = Keys::new(&Seed::new([1; 32])).next_key();
        assert_ne!(first, Keys::new(&Seed::new([2; 32])).next_key());
    }
}

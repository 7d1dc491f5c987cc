//! Which of sixty-four bytes are quotes, backslashes or brackets, by the widest registers the machine has.
//!
//! Not a scanner of JSON: what the bits mean is `airside-protocols`' to say. The program is built for every x86-64, and
//! finds out when it runs whether it may look at thirty-two or sixty-four bytes in one instruction; only calling what
//! was built for such a machine needs `unsafe` (docs/decisions/0012).

use wide::u8x16;

/// How many bytes are looked at together.
pub const WIDTH: usize = 64;

/// What was seen; bit `n` speaks of byte `n`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// `"`.
    pub quotes: u64,
    /// `\`.
    pub backslashes: u64,
    /// `{`, `}`, `[` and `]`.
    pub brackets: u64,
    /// `t`.
    pub ts: u64,
}

/// A way to look.
pub type Look = fn(&[u8; WIDTH]) -> Seen;

/// The quickest way on this machine.
#[must_use]
pub fn quickest() -> Look {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512bw") {
            return x86::by_sixty_four;
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return x86::by_thirty_two;
        }
    }
    by_sixteen
}

/// Sixteen bytes at a time, which every machine can.
#[must_use]
pub fn by_sixteen(bytes: &[u8; WIDTH]) -> Seen {
    let mut seen = Seen::default();
    let (quarters, _) = bytes.as_chunks::<16>();
    for (number, quarter) in quarters.iter().enumerate() {
        let quarter = u8x16::new(*quarter);
        // With this bit set `[` and `{` are one character, and so are `]` and `}`.
        let folded = quarter | u8x16::splat(0x20);
        let brackets = folded.simd_eq(u8x16::splat(b'{')) | folded.simd_eq(u8x16::splat(b'}'));
        let place = |found: u8x16| u64::from(found.to_bitmask()) << (16 * number);
        seen.quotes |= place(quarter.simd_eq(u8x16::splat(b'"')));
        seen.backslashes |= place(quarter.simd_eq(u8x16::splat(b'\\')));
        seen.ts |= place(quarter.simd_eq(u8x16::splat(b't')));
        seen.brackets |= place(brackets);
    }
    seen
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8,
        _mm512_cmpeq_epi8_mask, _mm512_loadu_epi8, _mm512_or_si512, _mm512_set1_epi8,
    };

    use super::{Seen, WIDTH};

    /// For a machine with AVX2; `quickest` gives it to no other.
    pub(super) fn by_thirty_two(bytes: &[u8; WIDTH]) -> Seen {
        #[expect(unsafe_code, reason = "the compiler does not know the machine")]
        // SAFETY: this is only handed out after AVX2 was found.
        unsafe {
            avx2(bytes)
        }
    }

    /// For a machine with AVX-512BW; `quickest` gives it to no other.
    pub(super) fn by_sixty_four(bytes: &[u8; WIDTH]) -> Seen {
        #[expect(unsafe_code, reason = "the compiler does not know the machine")]
        // SAFETY: this is only handed out after AVX-512BW was found.
        unsafe {
            avx512(bytes)
        }
    }

    #[target_feature(enable = "avx2")]
    fn avx2(bytes: &[u8; WIDTH]) -> Seen {
        let (halves, _) = bytes.as_chunks::<32>();
        let mut seen = Seen::default();
        for (number, half) in halves.iter().enumerate() {
            #[expect(clippy::cast_ptr_alignment, reason = "this load is the one that needs no alignment")]
            let place = half.as_ptr().cast::<__m256i>();
            #[expect(unsafe_code, reason = "a load takes a pointer")]
            // SAFETY: there are thirty-two bytes to read, and they need not be aligned.
            let half = unsafe { _mm256_loadu_si256(place) };
            let folded = _mm256_or_si256(half, all(b' '));
            let brackets = _mm256_or_si256(
                _mm256_cmpeq_epi8(folded, all(b'{')),
                _mm256_cmpeq_epi8(folded, all(b'}')),
            );
            let place = |found| u64::from(_mm256_movemask_epi8(found).cast_unsigned()) << (32 * number);
            seen.quotes |= place(_mm256_cmpeq_epi8(half, all(b'"')));
            seen.backslashes |= place(_mm256_cmpeq_epi8(half, all(b'\\')));
            seen.ts |= place(_mm256_cmpeq_epi8(half, all(b't')));
            seen.brackets |= place(brackets);
        }
        seen
    }

    #[target_feature(enable = "avx2")]
    fn all(byte: u8) -> __m256i {
        _mm256_set1_epi8(byte.cast_signed())
    }

    #[target_feature(enable = "avx512bw")]
    fn avx512(bytes: &[u8; WIDTH]) -> Seen {
        #[expect(unsafe_code, reason = "a load takes a pointer")]
        // SAFETY: there are sixty-four bytes to read, and they need not be aligned.
        let whole = unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast::<i8>()) };
        let is = |byte: u8| _mm512_cmpeq_epi8_mask(whole, _mm512_set1_epi8(byte.cast_signed()));
        let folded = _mm512_or_si512(whole, _mm512_set1_epi8(b' '.cast_signed()));
        let folds_to = |byte: u8| _mm512_cmpeq_epi8_mask(folded, _mm512_set1_epi8(byte.cast_signed()));
        Seen {
            quotes: is(b'"'),
            backslashes: is(b'\\'),
            brackets: folds_to(b'{') | folds_to(b'}'),
            ts: is(b't'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every way that this machine has.
    fn ways() -> Vec<Look> {
        let mut ways: Vec<Look> = vec![by_sixteen, quickest()];
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            ways.push(x86::by_thirty_two);
        }
        ways
    }

    fn one_by_one(bytes: &[u8; WIDTH]) -> Seen {
        let bits = |is: fn(u8) -> bool| {
            let set = bytes.iter().enumerate().filter(|(_, byte)| is(**byte));
            set.fold(0, |bits, (place, _)| bits | 1 << place)
        };
        Seen {
            quotes: bits(|byte| byte == b'"'),
            backslashes: bits(|byte| byte == b'\\'),
            brackets: bits(|byte| matches!(byte, b'{' | b'}' | b'[' | b']')),
            ts: bits(|byte| byte == b't'),
        }
    }

    proptest! {
        #[test]
        fn all_ways_see_what_a_look_at_each_byte_sees(
            bytes in prop::array::uniform32(prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[]t:;"[..])]),
            more in prop::array::uniform32(any::<u8>()),
        ) {
            let mut block = [0; WIDTH];
            block.iter_mut().zip(bytes.iter().chain(&more)).for_each(|(place, byte)| *place = *byte);
            for look in ways() {
                prop_assert_eq!(look(&block), one_by_one(&block));
            }
        }
    }

    #[test]
    fn every_byte_is_seen_alike_in_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..WIDTH {
                let mut block = [b'x'; WIDTH];
                block[place] = byte;
                for look in ways() {
                    assert_eq!(look(&block), one_by_one(&block), "{byte} at {place}");
                }
            }
        }
    }
}

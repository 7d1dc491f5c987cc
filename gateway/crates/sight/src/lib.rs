//! Which of sixty-four bytes are quotes, backslashes or brackets, by the widest registers the machine has.
//!
//! Not a scanner of JSON: what the bits mean is `airside-protocols`' to say. The program is built for every x86-64, and
//! finds out when it runs whether it may look at thirty-two or sixty-four bytes in one instruction; only calling what
//! was built for such a machine needs `unsafe` (docs/decisions/0012). Finding out and calling cost as much as a look, so
//! a whole scan is handed over and built once for each kind of machine.

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
    /// `{` and `[`.
    pub opening: u64,
    /// `}` and `]`.
    pub closing: u64,
    /// All bytes but `t` and `\`, and but `T` and `|`, which differ from those in two bits and are not told apart.
    pub unmarked: u64,
}

/// The bits in which `t` and `\` differ.
const BITS_OF_MARKS: u8 = b't' ^ b'\\';
/// The bit in which a brace differs from its bracket, and a small letter from its capital.
const BIT_OF_BRACES: u8 = b'{' ^ b'[';

/// A way to look. Whoever holds one may use it: a machine that has no such way gives none out.
pub trait Eyes: Copy + std::fmt::Debug {
    /// What these bytes are.
    fn look(self, bytes: &[u8; WIDTH]) -> Seen;

    /// Which of them lack the bit that braces have and square brackets have not.
    fn squares(self, bytes: &[u8; WIDTH]) -> u64;

    /// Bit `n` is set when an odd number of the bits up to `n` is.
    fn running_parity(self, bits: u64) -> u64;
}

/// Something to be done that looks at many bytes.
pub trait Scan {
    /// What comes of it.
    type Outcome;

    /// Do it with these eyes. To be inlined, or it is not built for the machine that the eyes are for.
    fn run(self, eyes: impl Eyes) -> Self::Outcome;
}

/// Do it in the quickest way of this machine.
pub fn scan_with_quickest<S: Scan>(scan: S) -> S::Outcome {
    #[cfg(target_arch = "x86_64")]
    {
        if let Some(eyes) = x86::BySixtyFour::of_this_machine() {
            return eyes.scan(scan);
        }
        if let Some(eyes) = x86::ByThirtyTwo::of_this_machine() {
            return eyes.scan(scan);
        }
    }
    scan.run(BySixteen)
}

/// Sixteen bytes at a time, which every machine can.
#[derive(Debug, Clone, Copy)]
struct BySixteen;

impl Eyes for BySixteen {
    #[inline]
    fn look(self, bytes: &[u8; WIDTH]) -> Seen {
        let mut seen = Seen::default();
        let (quarters, _) = bytes.as_chunks::<16>();
        for (number, quarter) in quarters.iter().enumerate() {
            let quarter = u8x16::new(*quarter);
            let folded = quarter | u8x16::splat(BIT_OF_BRACES);
            let marks = quarter | u8x16::splat(BITS_OF_MARKS);
            let place = |found: u8x16| u64::from(found.to_bitmask()) << (16 * number);
            seen.quotes |= place(quarter.simd_eq(u8x16::splat(b'"')));
            seen.backslashes |= place(quarter.simd_eq(u8x16::splat(b'\\')));
            seen.opening |= place(folded.simd_eq(u8x16::splat(b'{')));
            seen.closing |= place(folded.simd_eq(u8x16::splat(b'}')));
            seen.unmarked |= place(!marks.simd_eq(u8x16::splat(b't' | BITS_OF_MARKS)));
        }
        seen
    }

    #[inline]
    fn squares(self, bytes: &[u8; WIDTH]) -> u64 {
        let (quarters, _) = bytes.as_chunks::<16>();
        let bit = u8x16::splat(BIT_OF_BRACES);
        let lacks = |quarter: &[u8; 16]| (u8x16::new(*quarter) & bit).simd_eq(u8x16::ZERO).to_bitmask();
        let places = quarters.iter().enumerate();
        places.fold(0, |squares, (number, quarter)| {
            squares | u64::from(lacks(quarter)) << (16 * number)
        })
    }

    #[inline]
    fn running_parity(self, bits: u64) -> u64 {
        let mut parity = bits;
        let mut shift = 1;
        while shift < 64 {
            parity ^= parity << shift;
            shift *= 2;
        }
        parity
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm_clmulepi64_si128, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set1_epi8, _mm256_cmpeq_epi8,
        _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set1_epi8, _mm256_slli_epi16,
        _mm512_cmpeq_epi8_mask, _mm512_cmpneq_epi8_mask, _mm512_loadu_epi8, _mm512_or_si512, _mm512_set1_epi8,
        _mm512_testn_epi8_mask,
    };

    use super::{BIT_OF_BRACES, BITS_OF_MARKS, Eyes, Scan, Seen, WIDTH};

    /// Two looks, for a machine with AVX2.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct ByThirtyTwo(());

    impl ByThirtyTwo {
        pub(super) fn of_this_machine() -> Option<Self> {
            let can = std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("bmi1")
                && std::arch::is_x86_feature_detected!("bmi2")
                && std::arch::is_x86_feature_detected!("popcnt")
                && std::arch::is_x86_feature_detected!("pclmulqdq");
            can.then_some(Self(()))
        }

        pub(super) fn scan<S: Scan>(self, scan: S) -> S::Outcome {
            #[target_feature(enable = "avx2,bmi1,bmi2,popcnt,pclmulqdq")]
            fn built<S: Scan>(scan: S, eyes: ByThirtyTwo) -> S::Outcome {
                scan.run(eyes)
            }
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where these features were found.
            unsafe {
                built(scan, self)
            }
        }
    }

    #[expect(clippy::inline_always, reason = "as `Scan::run`")]
    impl Eyes for ByThirtyTwo {
        #[inline(always)]
        fn look(self, bytes: &[u8; WIDTH]) -> Seen {
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where AVX2 was found.
            unsafe {
                avx2(bytes)
            }
        }

        #[inline(always)]
        fn squares(self, bytes: &[u8; WIDTH]) -> u64 {
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where AVX2 was found.
            unsafe {
                squares_avx2(bytes)
            }
        }

        #[inline(always)]
        fn running_parity(self, bits: u64) -> u64 {
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where PCLMULQDQ was found.
            unsafe {
                multiplied(bits)
            }
        }
    }

    /// One look, for a machine with AVX-512BW.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct BySixtyFour(ByThirtyTwo);

    impl BySixtyFour {
        pub(super) fn of_this_machine() -> Option<Self> {
            let narrower = ByThirtyTwo::of_this_machine()?;
            std::arch::is_x86_feature_detected!("avx512bw").then_some(Self(narrower))
        }

        pub(super) fn scan<S: Scan>(self, scan: S) -> S::Outcome {
            #[target_feature(enable = "avx512bw,bmi1,bmi2,popcnt,pclmulqdq")]
            fn built<S: Scan>(scan: S, eyes: BySixtyFour) -> S::Outcome {
                scan.run(eyes)
            }
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where these features were found.
            unsafe {
                built(scan, self)
            }
        }
    }

    #[expect(clippy::inline_always, reason = "as `Scan::run`")]
    impl Eyes for BySixtyFour {
        #[inline(always)]
        fn look(self, bytes: &[u8; WIDTH]) -> Seen {
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where AVX-512BW was found.
            unsafe {
                avx512(bytes)
            }
        }

        #[inline(always)]
        fn squares(self, bytes: &[u8; WIDTH]) -> u64 {
            #[expect(unsafe_code, reason = "the compiler does not know the machine")]
            // SAFETY: there are no such eyes but on a machine where AVX-512BW was found.
            unsafe {
                squares_avx512(bytes)
            }
        }

        #[inline(always)]
        fn running_parity(self, bits: u64) -> u64 {
            self.0.running_parity(bits)
        }
    }

    /// A product without carries by all ones: each bit of it is the parity of the bits up to there.
    #[inline]
    #[target_feature(enable = "pclmulqdq")]
    fn multiplied(bits: u64) -> u64 {
        let product = _mm_clmulepi64_si128::<0>(_mm_cvtsi64_si128(bits.cast_signed()), _mm_set1_epi8(-1));
        _mm_cvtsi128_si64(product).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn avx2(bytes: &[u8; WIDTH]) -> Seen {
        let mut seen = Seen::default();
        for (half, up) in halves(bytes) {
            let folded = _mm256_or_si256(half, all(BIT_OF_BRACES));
            let marks = _mm256_or_si256(half, all(BITS_OF_MARKS));
            let place = |found| u64::from(_mm256_movemask_epi8(found).cast_unsigned()) << up;
            seen.quotes |= place(_mm256_cmpeq_epi8(half, all(b'"')));
            seen.backslashes |= place(_mm256_cmpeq_epi8(half, all(b'\\')));
            seen.opening |= place(_mm256_cmpeq_epi8(folded, all(b'{')));
            seen.closing |= place(_mm256_cmpeq_epi8(folded, all(b'}')));
            seen.unmarked |= place(_mm256_cmpeq_epi8(marks, all(b't' | BITS_OF_MARKS)));
        }
        seen.unmarked = !seen.unmarked;
        seen
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn squares_avx2(bytes: &[u8; WIDTH]) -> u64 {
        // Two places further up the bit is the one that a mask is made of.
        const UP: i32 = BIT_OF_BRACES.leading_zeros().cast_signed();
        let mut squares = u64::MAX;
        for (half, up) in halves(bytes) {
            let bits = _mm256_movemask_epi8(_mm256_slli_epi16::<UP>(half));
            squares ^= u64::from(bits.cast_unsigned()) << up;
        }
        squares
    }

    /// The two halves, lower first, and how far up the bits of each belong.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn halves(bytes: &[u8; WIDTH]) -> impl Iterator<Item = (__m256i, usize)> {
        let (halves, _) = bytes.as_chunks::<32>();
        halves.iter().zip([0, 32]).map(|(half, up)| {
            #[expect(clippy::cast_ptr_alignment, reason = "this load is the one that needs no alignment")]
            let place = half.as_ptr().cast::<__m256i>();
            #[expect(unsafe_code, reason = "a load takes a pointer")]
            // SAFETY: there are thirty-two bytes to read, and they need not be aligned.
            let half = unsafe { _mm256_loadu_si256(place) };
            (half, up)
        })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn all(byte: u8) -> __m256i {
        _mm256_set1_epi8(byte.cast_signed())
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    fn avx512(bytes: &[u8; WIDTH]) -> Seen {
        let whole = whole(bytes);
        let all = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
        let folded = _mm512_or_si512(whole, all(BIT_OF_BRACES));
        let marks = _mm512_or_si512(whole, all(BITS_OF_MARKS));
        Seen {
            quotes: _mm512_cmpeq_epi8_mask(whole, all(b'"')),
            backslashes: _mm512_cmpeq_epi8_mask(whole, all(b'\\')),
            opening: _mm512_cmpeq_epi8_mask(folded, all(b'{')),
            closing: _mm512_cmpeq_epi8_mask(folded, all(b'}')),
            unmarked: _mm512_cmpneq_epi8_mask(marks, all(b't' | BITS_OF_MARKS)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    fn squares_avx512(bytes: &[u8; WIDTH]) -> u64 {
        _mm512_testn_epi8_mask(whole(bytes), _mm512_set1_epi8(BIT_OF_BRACES.cast_signed()))
    }

    #[inline]
    #[target_feature(enable = "avx512bw")]
    fn whole(bytes: &[u8; WIDTH]) -> __m512i {
        #[expect(unsafe_code, reason = "a load takes a pointer")]
        // SAFETY: there are sixty-four bytes to read, and they need not be aligned.
        unsafe {
            _mm512_loadu_epi8(bytes.as_ptr().cast::<i8>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A block looked at, and the parity of some bits.
    #[derive(Clone, Copy)]
    struct Glance<'a>(&'a [u8; WIDTH], u64);

    impl Scan for Glance<'_> {
        type Outcome = (Seen, u64, u64);

        fn run(self, eyes: impl Eyes) -> Self::Outcome {
            (eyes.look(self.0), eyes.squares(self.0), eyes.running_parity(self.1))
        }
    }

    /// The same in every way that this machine has.
    fn glances(bytes: &[u8; WIDTH], bits: u64) -> Vec<(Seen, u64, u64)> {
        let glance = Glance(bytes, bits);
        let mut ways = vec![glance.run(BySixteen), scan_with_quickest(glance)];
        #[cfg(target_arch = "x86_64")]
        ways.extend(x86::ByThirtyTwo::of_this_machine().map(|eyes| eyes.scan(glance)));
        ways
    }

    fn one_by_one(bytes: &[u8; WIDTH]) -> (Seen, u64) {
        let bits = |is: fn(u8) -> bool| {
            let set = bytes.iter().enumerate().filter(|(_, byte)| is(**byte));
            set.fold(0, |bits, (place, _)| bits | 1 << place)
        };
        let seen = Seen {
            quotes: bits(|byte| byte == b'"'),
            backslashes: bits(|byte| byte == b'\\'),
            opening: bits(|byte| matches!(byte, b'{' | b'[')),
            closing: bits(|byte| matches!(byte, b'}' | b']')),
            unmarked: bits(|byte| !matches!(byte, b't' | b'T' | b'\\' | b'|')),
        };
        (seen, bits(|byte| byte & b' ' == 0))
    }

    fn counted(bits: u64) -> u64 {
        let is_odd = |place: u32| (bits << (63 - place)).count_ones() % 2 == 1;
        (0..64)
            .filter(|place| is_odd(*place))
            .fold(0, |parity, place| parity | 1 << place)
    }

    proptest! {
        #[test]
        fn all_ways_see_what_a_look_at_each_byte_sees(
            bytes in prop::array::uniform32(prop_oneof![any::<u8>(), prop::sample::select(&b"\"\\{}[]tT|:;"[..])]),
            more in prop::array::uniform32(any::<u8>()),
            bits in any::<u64>(),
        ) {
            let mut block = [0; WIDTH];
            block.iter_mut().zip(bytes.iter().chain(&more)).for_each(|(place, byte)| *place = *byte);
            for (seen, squares, parity) in glances(&block, bits) {
                prop_assert_eq!((seen, squares), one_by_one(&block));
                prop_assert_eq!(parity, counted(bits));
            }
        }
    }

    #[test]
    fn every_byte_is_seen_alike_in_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..WIDTH {
                let mut block = [b'x'; WIDTH];
                block[place] = byte;
                for (seen, squares, parity) in glances(&block, 1 << place) {
                    assert_eq!((seen, squares), one_by_one(&block), "{byte} at {place}");
                    assert_eq!(parity, u64::MAX << place);
                }
            }
        }
    }
}

//! New ids, in the layout of the control plane's: a prefix, 48 bits of milliseconds and 80 random bits in Crockford's
//! base32, so that ids of one kind sort by age.

use std::sync::{Mutex, PoisonError};

use airside_snapshot::Moment;
use ring::rand::{SecureRandom, SystemRandom};

/// Ten bytes for each id.
const RESERVOIR: usize = 2560;

const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A source of ids.
#[derive(Debug)]
pub(crate) struct Identifiers {
    random: SystemRandom,
    /// Random bytes drawn ahead: one call of the system fills a few hundred ids.
    reservoir: Mutex<Reservoir>,
}

#[derive(Debug)]
struct Reservoir {
    bytes: [u8; RESERVOIR],
    used: usize,
}

impl Default for Identifiers {
    fn default() -> Self {
        Self {
            random: SystemRandom::new(),
            reservoir: Mutex::new(Reservoir {
                bytes: [0; RESERVOIR],
                used: RESERVOIR,
            }),
        }
    }
}

/// All digits of a number. They are made of twelve at a time, so that the shifts are of one word.
fn base32(mut number: u128) -> [u8; 26] {
    let mut digits = [0; 26];
    for part in digits.rchunks_mut(12) {
        let mut word = u64::try_from(number & ((1 << 60) - 1)).unwrap_or(0);
        for digit in part.iter_mut().rev() {
            *digit = DIGITS.get((word & 31) as usize).copied().unwrap_or(b'0');
            word >>= 5;
        }
        number >>= 60;
    }
    digits
}

impl Identifiers {
    /// A new id with this prefix.
    pub(crate) fn new_id(&self, prefix: &str, now: Moment) -> String {
        let mut bytes = [0; 16];
        let millis = (now.micros / 1000).unsigned_abs().to_be_bytes();
        let (_, tail) = bytes.split_at_mut(6);
        self.draw(tail);
        for (place, byte) in bytes.iter_mut().zip(millis.iter().skip(2)) {
            *place = *byte;
        }
        let digits = base32(u128::from_be_bytes(bytes));
        let mut id = String::with_capacity(prefix.len() + 27);
        id.push_str(prefix);
        id.push('_');
        id.push_str(std::str::from_utf8(&digits).unwrap_or_default());
        id
    }

    /// Fill with random bytes that nobody was given before.
    pub(crate) fn draw(&self, into: &mut [u8]) {
        let mut reservoir = self.reservoir.lock().unwrap_or_else(PoisonError::into_inner);
        if reservoir.used + into.len() > RESERVOIR {
            // Without randomness ids would still differ by time; the system's generator does not fail once it is up.
            if self.random.fill(&mut reservoir.bytes).is_err() {
                reservoir.bytes.fill(0);
            }
            reservoir.used = 0;
        }
        let start = reservoir.used;
        reservoir.used += into.len();
        if let Some(fresh) = reservoir.bytes.get(start..start + into.len()) {
            into.copy_from_slice(fresh);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_spelled_with_all_its_digits() {
        for number in [
            0,
            1,
            31,
            32,
            1 << 60,
            (1 << 60) - 1,
            1 << 120,
            u128::MAX,
            0x0123_4567_89AB_CDEF << 61,
        ] {
            let value = |digit: &u8| DIGITS.iter().position(|known| known == digit).unwrap() as u128;
            let read = base32(number).iter().fold(0, |sum, digit| (sum << 5) | value(digit));
            assert_eq!(read, number);
        }
    }

    #[test]
    fn ids_sort_by_age_and_differ() {
        let ids = Identifiers::default();
        let early = ids.new_id("call", Moment::from_seconds(1_700_000_000));
        let late = ids.new_id("call", Moment::from_seconds(1_800_000_000));
        assert!(early < late && early.len() == 31, "{early} {late}");
        assert_ne!(late, ids.new_id("call", Moment::from_seconds(1_800_000_000)));
    }
}

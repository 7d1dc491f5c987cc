//! Each target over the corpus and seeded mutations of it: the same bytes on every run, in a few seconds.
#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use airside_hostile::TARGETS;

/// Mutations of each piece of the corpus.
const MUTATIONS: usize = 800;

/// A small generator, so that a failure can be met again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        // The steps of Marsaglia's xorshift64.
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (bound.max(1) as u64)).unwrap()
    }
}

const SPICE: [&[u8]; 12] = [
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\n\n",
    b"\r\n",
    b"\xff\xfe",
    b"\\ud800",
    b"1e999",
    b"null",
];

fn mutated(seed: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.below(4) {
        let at = dice.below(bytes.len() + 1);
        match dice.below(6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.splice(at..at, SPICE.get(dice.below(SPICE.len())).unwrap().iter().copied())),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => {
                let tail = bytes.split_off(at);
                bytes.extend(tail.iter().rev());
            }
            4 => {
                let other = others.get(dice.below(others.len())).unwrap();
                let from = dice.below(other.len() + 1);
                bytes.extend(other.iter().skip(from).take(200));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = u8::try_from(dice.below(256)).unwrap();
                }
            }
        }
    }
    bytes
}

#[test]
fn no_target_is_upset_by_anything() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let corpus: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    assert!(corpus.len() >= 8, "the corpus is there");
    let mut dice = Dice(0x5eed_0fa1);
    for seed in &corpus {
        for (_, target) in TARGETS {
            target(seed);
        }
        for _ in 0..MUTATIONS {
            let bytes = mutated(seed, &corpus, &mut dice);
            for (_, target) in TARGETS {
                target(&bytes);
            }
        }
    }
}

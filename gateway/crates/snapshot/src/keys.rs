//! Long-lived keys: `air_<env>_<43 base62 characters><6 base62 characters of CRC-32>`.
//!
//! The checksum is CRC-32 (ISO-HDLC, as in zlib) over every ASCII byte before it, written in base 62 with the digits
//! 0-9, A-Z, a-z, most significant first, padded with 0. It keeps a mistyped key from ever being looked up, and lets a
//! scanner tell a key from noise; it keeps no secret.

use ring::digest;

/// What every long-lived key begins with.
pub const KEY_PREFIX: &str = "air_";

const RANDOM_CHARACTERS: usize = 43;
const CHECKSUM_CHARACTERS: usize = 6;
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Whether a text can be a long-lived key at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyShape {
    /// It has the form and its checksum is right.
    WellFormed,
    /// It has the form, and its checksum is wrong: mistyped or cut.
    WrongChecksum,
    /// Something else.
    NotAKey,
}

/// Judge a text by its form alone.
#[must_use]
pub fn key_shape(text: &str) -> KeyShape {
    let Some((environment, tail)) = text.strip_prefix(KEY_PREFIX).and_then(|rest| rest.rsplit_once('_')) else {
        return KeyShape::NotAKey;
    };
    let environment_fits = !environment.is_empty()
        && environment.len() <= 32
        && environment
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let tail_fits =
        tail.len() == RANDOM_CHARACTERS + CHECKSUM_CHARACTERS && tail.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !environment_fits || !tail_fits {
        return KeyShape::NotAKey;
    }
    let (body, checksum) = text.split_at(text.len() - CHECKSUM_CHARACTERS);
    if checksum.as_bytes() == base62(crc32fast::hash(body.as_bytes())) {
        KeyShape::WellFormed
    } else {
        KeyShape::WrongChecksum
    }
}

/// SHA-256 of a key or token, by which it is looked up.
#[must_use]
pub fn key_digest(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
    bytes
}

fn base62(mut number: u32) -> [u8; CHECKSUM_CHARACTERS] {
    let mut digits = [b'0'; CHECKSUM_CHARACTERS];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS.get((number % 62) as usize).copied().unwrap_or(b'0');
        number /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> serde_json::Value {
        let text = include_str!("../../../../contracts/vectors/keys.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_shared_vectors_agree() {
        for vector in vectors()["keys"].as_array().unwrap() {
            let key = vector["key"].as_str().unwrap();
            let expected = match vector["shape"].as_str().unwrap() {
                "well_formed" => KeyShape::WellFormed,
                "wrong_checksum" => KeyShape::WrongChecksum,
                _ => KeyShape::NotAKey,
            };
            assert_eq!(key_shape(key), expected, "{key}");
            if let Some(sha256) = vector["sha256"].as_str() {
                let digest = (0..32).map(|at| u8::from_str_radix(&sha256[2 * at..2 * at + 2], 16).unwrap());
                assert!(digest.eq(key_digest(key)), "{key}");
            }
        }
    }
}

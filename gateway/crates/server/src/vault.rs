//! The last good snapshot on disk, unreadable without the join token: it holds providers' credentials.
//!
//! AES-256-GCM under a key derived by HKDF-SHA256 from the join token and a random salt. The file is salt, nonce,
//! sealed text; the gateway's id is bound in, so a file of another gateway does not open.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use ring::rand::{SecureRandom, SystemRandom};

const SALT_LEN: usize = 16;
const PURPOSE: &[u8] = b"airside gateway last good snapshot v1";

/// Write a file whole or not at all, readable by its owner only.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)?;
    file.write_all(content)?;
    file.sync_data()?;
    fs::rename(&part, path)
}

/// Seal a snapshot for this gateway.
pub(crate) fn seal(join_token: &str, gateway_id: &str, text: &[u8]) -> io::Result<Vec<u8>> {
    let failed = |_| io::Error::other("sealing failed");
    let random = SystemRandom::new();
    let mut sealed = vec![0; SALT_LEN + NONCE_LEN];
    random.fill(&mut sealed).map_err(failed)?;
    let (salt, nonce) = sealed.split_at(SALT_LEN);
    let key = derive(join_token, salt).map_err(failed)?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(failed)?;
    let mut body = text.to_vec();
    key.seal_in_place_append_tag(nonce, Aad::from(gateway_id.as_bytes()), &mut body)
        .map_err(failed)?;
    sealed.append(&mut body);
    Ok(sealed)
}

/// Open what `seal` made; `None` when the token or the gateway is another, or the file was changed.
pub(crate) fn unseal(join_token: &str, gateway_id: &str, sealed: &[u8]) -> Option<Vec<u8>> {
    let (salt, rest) = sealed.split_at_checked(SALT_LEN)?;
    let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
    let key = derive(join_token, salt).ok()?;
    let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
    let mut body = body.to_vec();
    let length = key
        .open_in_place(nonce, Aad::from(gateway_id.as_bytes()), &mut body)
        .ok()?
        .len();
    body.truncate(length);
    Some(body)
}

fn derive(join_token: &str, salt: &[u8]) -> Result<LessSafeKey, ring::error::Unspecified> {
    let secret = Salt::new(HKDF_SHA256, salt).extract(join_token.as_bytes());
    let okm = secret.expand(&[PURPOSE], &AES_256_GCM)?;
    Ok(LessSafeKey::new(UnboundKey::from(okm)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_token_and_gateway_open_it() {
        let sealed = seal("token", "gw_1", b"secret snapshot").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(
            unseal("token", "gw_1", &sealed).as_deref(),
            Some(&b"secret snapshot"[..])
        );
        assert_eq!(unseal("other", "gw_1", &sealed), None);
        assert_eq!(unseal("token", "gw_2", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(unseal("token", "gw_1", &changed), None, "byte {at}");
            assert_eq!(unseal("token", "gw_1", &sealed[..at]), None);
        }
    }
}

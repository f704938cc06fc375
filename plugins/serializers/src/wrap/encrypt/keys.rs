//! Keys of ciphers, from the text of a config.

use std::fmt;

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER_PERMISSIVE};
use larder_core::{CacheError, ErrorKind, KeyPath, Problem, Problems, Result, Secret};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub(super) const ID_LEN: usize = 8;

/// What stands in front of an entry to say under which key it is.
pub(super) type KeyId = [u8; ID_LEN];

const KEY_LEN: usize = 32;

/// What is hashed before a key, so that its id is of no use elsewhere.
const DOMAIN: &[u8] = b"larder key id 1\0";

/// A key. Wiped when it is dropped.
pub(super) struct Key(Zeroizing<[u8; KEY_LEN]>);

/// Why a text is no key. Never shows it.
#[derive(Debug, PartialEq, Eq)]
enum NoKey {
    Empty,
    Length(usize),
    Text,
}

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("is empty"),
            Self::Length(length) => {
                write!(f, "has `{length}` bytes, and must have `{KEY_LEN}`")
            }
            Self::Text => f.write_str("is neither base64 nor hex"),
        }
    }
}

impl Key {
    /// Reads base64 of either alphabet, with or without padding, or hex. Blanks around it do not
    /// count: files end with a line break.
    fn read(text: &str) -> Result<Self, NoKey> {
        let text = text.trim();
        if text.is_empty() {
            return Err(NoKey::Empty);
        }
        let is_hex = text.len() == 2 * KEY_LEN && text.bytes().all(|c| c.is_ascii_hexdigit());
        let encoding = if is_hex {
            HEXLOWER_PERMISSIVE
        } else if text.contains(['-', '_']) {
            BASE64URL_NOPAD
        } else {
            BASE64_NOPAD
        };
        let digits = text.trim_end_matches('=').as_bytes();
        let bytes = encoding.decode(digits).map(Zeroizing::new).map_err(|_| NoKey::Text)?;
        let length = bytes.len();
        let mut key = Zeroizing::new([0; KEY_LEN]);
        if length != KEY_LEN {
            return Err(NoKey::Length(length));
        }
        key.copy_from_slice(&bytes);
        Ok(Self(key))
    }

    pub(super) fn bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The start of a hash of the key, which tells nothing of it.
    pub(super) fn id(&self) -> KeyId {
        let hash = Sha256::new().chain_update(DOMAIN).chain_update(&self.0[..]).finalize();
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&hash[..ID_LEN]);
        id
    }
}

/// Says what is wrong with keys, by their number and never by their text.
pub(super) fn check_keys(secrets: &[Secret], at: &KeyPath) -> Result<(), Problems> {
    let mut problems = Problems::new();
    // All at the table: what stands at a secret is not shown.
    let mut refuse = |message: String| {
        problems.push(Problem::new(at.clone(), message).help(
            "a key is 32 random bytes in base64 or hex, such as `openssl rand -base64 32` makes; \
             keep it in a file and name that: `keys = [\"${file:/run/secrets/cache-key}\"]`",
        ));
    };
    if secrets.is_empty() {
        refuse("`keys` has no key".to_owned());
    }
    let mut known: Vec<(usize, KeyId)> = Vec::new();
    for (number, secret) in (1..).zip(secrets) {
        match Key::read(secret.expose()) {
            Err(why) => refuse(format!("key {number} of `keys` {why}")),
            Ok(key) => match known.iter().find(|(_, id)| *id == key.id()) {
                Some((first, _)) => {
                    refuse(format!("key {number} of `keys` is the same as key {first}"));
                }
                None => known.push((number, key.id())),
            },
        }
    }
    problems.into_result()
}

/// The keys of a config that was checked.
pub(super) fn read_keys(kind: &'static str, secrets: &[Secret]) -> Result<Vec<Key>> {
    let refused = |why: String| {
        CacheError::new(ErrorKind::Config, "the keys of the wrapper cannot be used")
            .with("wrapper", kind)
            .caused_by(std::io::Error::other(why))
    };
    check_keys(secrets, &KeyPath::root()).map_err(|problems| {
        let messages: Vec<String> =
            problems.iter().map(|problem| problem.message.clone()).collect();
        refused(messages.join("; "))
    })?;
    let keys = secrets.iter().map(|secret| Key::read(secret.expose()));
    keys.collect::<Result<_, _>>().map_err(|why| refused(why.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_and_hex_of_one_key_are_one_key() {
        let hex = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1dfeff";
        let ids = [
            hex.to_owned(),
            format!("{}\n", hex.to_uppercase()),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd/v8=".to_owned(),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd_v8".to_owned(),
        ]
        .map(|text| Key::read(&text).expect("a key").id());
        // Frozen: entries carry it.
        assert_eq!(ids, [[185, 179, 193, 165, 65, 255, 144, 162]; 4]);
    }

    #[test]
    fn what_is_no_key_is_refused_without_showing_it() {
        let secrets = ["", "c2hvcnQ=", "hunter2 hunter2", &"AB".repeat(32), &"ab".repeat(32)];
        let secrets = secrets.map(Secret::new);
        let problems = check_keys(&secrets, &KeyPath::root()).expect_err("four are wrong");
        let messages: Vec<&str> = problems.iter().map(|one| one.message.as_str()).collect();
        assert_eq!(
            messages,
            [
                "key 1 of `keys` is empty",
                "key 2 of `keys` has `5` bytes, and must have `32`",
                "key 3 of `keys` is neither base64 nor hex",
                "key 5 of `keys` is the same as key 4",
            ]
        );
        let error = read_keys("test", &[]).err().expect("no key");
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
}

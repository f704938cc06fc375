//! Authenticated encryption: who does not have a key can neither read an entry nor change it
//! without being noticed.
//!
//! Each entry is sealed under the first key with a nonce of its own from the operating system, and
//! looks like this:
//!
//! | bytes | what |
//! |---|---|
//! | 8 | id of the key: the start of a hash of it |
//! | 12 (`aes-256-gcm`), 24 (`xchacha20-poly1305`) | nonce |
//! | as many as the value | ciphertext |
//! | 16 | tag |
//!
//! The tag also covers where the entry belongs ([`WrapContext`]): its cache, its key, its
//! serializer and the wrappers further in. An entry that is copied to another key is refused.
//!
//! # Which cipher
//!
//! Two entries that get the same nonce under one key give their secrets away. With the random
//! nonces of `aes-256-gcm`, 96 bits, that is to be feared from 2³² entries on: rotate the key long
//! before. The nonces of `xchacha20-poly1305`, 192 bits, never meet, so take that one unless a rule
//! asks for AES.
//!
//! # What it does not do
//!
//! Keys of entries, names of caches, tags, deadlines and sizes stay readable. Whoever can write to
//! the store can take entries away, bring back older ones of the same key, change how long they
//! live, or claim that there is none.

mod keys;

use std::fmt;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit, Nonce, Tag};
use chacha20poly1305::XChaCha20Poly1305;
use larder_core::wrapper::numbers;
use larder_core::{
    BuildContext, Descriptor, KeyPath, PluginConfig, Problems, Result, Role, Secret, WrapContext,
    Wrapper, WrapperConfig, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;

use self::keys::{ID_LEN, Key, KeyId, check_keys, read_keys};
use super::{not_undone, not_wrapped};

const TAG_LEN: usize = 16;

/// What the additional data of every entry begins with, so that a key that also serves elsewhere
/// makes nothing there that would pass here.
const DOMAIN: &[u8] = b"larder entry 1\0";

macro_rules! cipher {
    (
        $config:ident, $cipher:ty, $nonce_len:literal, $kind:literal, $number:ident,
        $summary:literal
    ) => {
        #[doc = concat!("Options of the `", $kind, "` wrapper.")]
        #[derive(Clone, Debug, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[non_exhaustive]
        pub struct $config {
            /// The keys, each 32 random bytes in base64 or hex (`openssl rand -base64 32`), from
            /// files or variables: `["${file:/run/secrets/cache-key}"]`. The first one writes, all
            /// read; an entry under a key that is not among them is a miss.
            #[schemars(extend("x-secret" = true))]
            pub keys: Vec<Secret>,
        }

        impl $config {
            /// Options with these keys.
            #[must_use]
            pub const fn new(keys: Vec<Secret>) -> Self {
                Self { keys }
            }
        }

        #[async_trait]
        impl PluginConfig for $config {
            const KIND: &'static str = $kind;
            const SUMMARY: &'static str = $summary;
            type Plugin = Encryption;

            fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
                check_keys(&self.keys, at)
            }

            async fn build(self, _context: &BuildContext) -> Result<Encryption> {
                let keys = read_keys($kind, &self.keys)?;
                let seal = |key: &Key| -> (KeyId, Box<dyn Seal>) {
                    (key.id(), Box::new(<$cipher>::new(key.bytes().into())))
                };
                Ok(Encryption {
                    kind: $kind,
                    number: numbers::$number,
                    nonce_len: $nonce_len,
                    keys: keys.iter().map(seal).collect(),
                })
            }
        }

        impl WrapperConfig for $config {
            const ROLE: Role = Role::Encrypt;
        }

        register!(wrapper: $config);
    };
}

cipher! {
    Aes256GcmConfig, Aes256Gcm, 12, "aes-256-gcm", AES_256_GCM,
    "encrypts; for fewer than 2^32 entries per key"
}

cipher! {
    XChaCha20Poly1305Config, XChaCha20Poly1305, 24, "xchacha20-poly1305", XCHACHA20_POLY1305,
    "encrypts; for any number of entries"
}

/// A cipher and its keys.
pub struct Encryption {
    kind: &'static str,
    number: u16,
    nonce_len: usize,
    /// The first one writes. Never empty.
    keys: Vec<(KeyId, Box<dyn Seal>)>,
}

impl fmt::Debug for Encryption {
    /// Without the keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encryption({}, {} keys)", self.kind, self.keys.len())
    }
}

impl Wrapper for Encryption {
    fn number(&self) -> u16 {
        self.number
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let (id, key) = self.keys.first().ok_or_else(|| not_wrapped(self.kind, "it has no key"))?;
        let value_at = ID_LEN + self.nonce_len;
        let mut sealed = Vec::with_capacity(value_at + bytes.len() + TAG_LEN);
        sealed.extend_from_slice(id);
        sealed.resize(value_at, 0);
        getrandom::fill(&mut sealed[ID_LEN..]).map_err(|error| not_wrapped(self.kind, error))?;
        sealed.extend_from_slice(bytes);
        let (head, value) = sealed.split_at_mut(value_at);
        let tag = key
            .seal(&head[ID_LEN..], &additional_data(context), value)
            .ok_or_else(|| not_wrapped(self.kind, "it is too large for the cipher"))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        let Sealed { id, nonce, value, tag } = self
            .parts(bytes)
            .ok_or_else(|| not_undone(self.kind, "they are too few for an encrypted value"))?;
        if value.len() > context.max_size {
            return Err(not_undone(self.kind, "they stand for more than is allowed"));
        }
        let additional = additional_data(context);
        let mut is_known = false;
        for (_, key) in self.keys.iter().filter(|(own, _)| *own == id) {
            is_known = true;
            let mut value = value.to_vec();
            if key.open(nonce, &additional, &mut value, &tag) {
                return Ok(value);
            }
        }
        let why = match is_known {
            true => "they were changed, or belong to another key or cache",
            false => "they were encrypted under a key that is not configured",
        };
        Err(not_undone(self.kind, why).with("key_id", u64::from_be_bytes(id)))
    }
}

impl Encryption {
    fn parts<'a>(&self, bytes: &'a [u8]) -> Option<Sealed<'a>> {
        let (id, rest) = bytes.split_first_chunk::<ID_LEN>()?;
        let (nonce, rest) = rest.split_at_checked(self.nonce_len)?;
        let (value, tag) = rest.split_last_chunk::<TAG_LEN>()?;
        Some(Sealed { id: *id, nonce, value, tag: *tag })
    }
}

/// The parts of an encrypted value.
struct Sealed<'a> {
    id: KeyId,
    nonce: &'a [u8],
    value: &'a [u8],
    tag: [u8; TAG_LEN],
}

/// What the tag covers beside the value. Lengths stand in front, so that no two contexts make the
/// same bytes.
fn additional_data(context: &WrapContext<'_>) -> Vec<u8> {
    let mut data = DOMAIN.to_vec();
    for text in [context.cache, context.key] {
        data.extend_from_slice(&(text.len() as u64).to_be_bytes());
        data.extend_from_slice(text.as_bytes());
    }
    data.extend_from_slice(&context.format.to_be_bytes());
    for number in context.inner {
        data.extend_from_slice(&number.to_be_bytes());
    }
    data
}

/// A cipher under a key.
trait Seal: Send + Sync {
    /// Encrypts in place; `None` when it is too much for the cipher.
    fn seal(&self, nonce: &[u8], additional: &[u8], value: &mut [u8]) -> Option<[u8; TAG_LEN]>;

    /// Decrypts in place; whether the tag fits.
    fn open(&self, nonce: &[u8], additional: &[u8], value: &mut [u8], tag: &[u8; TAG_LEN]) -> bool;
}

impl<C: AeadInOut + Send + Sync> Seal for C {
    fn seal(&self, nonce: &[u8], additional: &[u8], value: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let nonce = <&Nonce<C>>::try_from(nonce).ok()?;
        let tag = self.encrypt_inout_detached(nonce, additional, value.into()).ok()?;
        tag.as_slice().try_into().ok()
    }

    fn open(&self, nonce: &[u8], additional: &[u8], value: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        let (Ok(nonce), Ok(tag)) =
            (<&Nonce<C>>::try_from(nonce), <&Tag<C>>::try_from(tag.as_slice()))
        else {
            return false;
        };
        self.decrypt_inout_detached(nonce, additional, value.into(), tag).is_ok()
    }
}

/// For explicit registration.
pub const AES_256_GCM: Descriptor = descriptor!(wrapper: Aes256GcmConfig);

/// For explicit registration.
pub const XCHACHA20_POLY1305: Descriptor = descriptor!(wrapper: XChaCha20Poly1305Config);

#[cfg(test)]
mod tests;

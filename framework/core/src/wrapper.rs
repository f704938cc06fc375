//! [`Wrapper`], serialized values to other bytes and back: compression, encryption, encoding.

use std::sync::Arc;

use crate::error::Result;

/// Turns the bytes that a serializer wrote into others, and back.
///
/// The config names wrappers at a serializer, each in the option of its [`Role`]. They are applied
/// in the order of the roles, and every entry says which it went through, so that it stays
/// readable after the config changed, for as long as its wrappers are linked and, where they have
/// keys, configured.
///
/// # Behaviour
///
/// * What `wrap` wrote, `undo` reads back equal under an equal [`WrapContext`], in any later
///   version of the plugin and with any options, but for keys and limits.
/// * `undo` of any other bytes is an error: no panic, no memory beyond
///   [`WrapContext::max_size`] and what the input takes, no code that runs because of what the
///   bytes say.
/// * Both keep no state between calls, and may be called from several threads at a time.
pub trait Wrapper: Send + Sync + std::fmt::Debug + 'static {
    /// The number that marks the wrapper in every stored entry. Never 0; below `0x8000` for
    /// first-party wrappers (see the table in [`numbers`]); third parties use [`number_of`] with
    /// their kind.
    fn number(&self) -> u16;

    /// The bytes to store in the place of these.
    ///
    /// # Behaviour
    ///
    /// A wrapper that encrypts binds its output to all of the context but `max_size`: under
    /// another one `undo` fails.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) when they cannot be wrapped;
    /// the value is then not stored.
    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>>;

    /// The bytes that were given to `wrap`.
    ///
    /// # Behaviour
    ///
    /// A result of more than [`WrapContext::max_size`] bytes is an error, found before the memory
    /// for it is taken: a few stored bytes may claim to stand for a great many.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Serialization`](crate::ErrorKind::Serialization) when the bytes are not what
    /// this wrapper writes, are too large undone, or were wrapped under another key or context.
    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>>;
}

impl<W: Wrapper + ?Sized> Wrapper for Arc<W> {
    fn number(&self) -> u16 {
        (**self).number()
    }

    fn wrap(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        (**self).wrap(bytes, context)
    }

    fn undo(&self, bytes: &[u8], context: &WrapContext<'_>) -> Result<Vec<u8>> {
        (**self).undo(bytes, context)
    }
}

/// What a wrapper does to bytes. In the order in which wrappers are applied when a value is
/// written: encrypted bytes do not compress, and text stays text only if nothing comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the config language has these three options")]
pub enum Role {
    /// Makes them fewer: option `compress`.
    Compress,
    /// Makes them unreadable and unchangeable without a key: option `encrypt`.
    Encrypt,
    /// Writes them in other characters: option `encode`.
    Encode,
}

impl Role {
    /// All roles in the order in which wrappers are applied.
    pub const ALL: [Self; 3] = [Self::Compress, Self::Encrypt, Self::Encode];

    /// The option of a serializer that takes wrappers of this role.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compress => "compress",
            Self::Encrypt => "encrypt",
            Self::Encode => "encode",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// Where the bytes belong: the same when they are wrapped and when that is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WrapContext<'a> {
    /// The cache whose backend keeps the entry.
    pub cache: &'a str,
    /// The key of the entry.
    pub key: &'a str,
    /// The number of the serializer.
    pub format: u16,
    /// The numbers of the wrappers further in, the outermost of them first.
    pub inner: &'a [u16],
    /// The most bytes that `undo` may return.
    pub max_size: usize,
}

impl<'a> WrapContext<'a> {
    /// The context of an entry that a serializer of this format wrote, without wrappers further
    /// in and without a limit.
    #[must_use]
    pub const fn new(cache: &'a str, key: &'a str, format: u16) -> Self {
        Self { cache, key, format, inner: &[], max_size: usize::MAX }
    }

    /// Sets the wrappers further in.
    #[must_use]
    pub const fn inner(mut self, numbers: &'a [u16]) -> Self {
        self.inner = numbers;
        self
    }

    /// Sets the most bytes that `undo` may return.
    #[must_use]
    pub const fn max_size(mut self, bytes: usize) -> Self {
        self.max_size = bytes;
        self
    }
}

/// The numbers of the first-party wrappers. Numbers are never reused.
pub mod numbers {
    /// Zstandard frames.
    pub const ZSTD: u16 = 1;
    /// LZ4 blocks behind their length.
    pub const LZ4: u16 = 2;
    /// zlib streams, RFC 1950, behind their length.
    pub const ZLIB: u16 = 3;
    /// base64 with padding, RFC 4648.
    pub const BASE64: u16 = 4;
    /// AES-256-GCM behind key id and nonce.
    pub const AES_256_GCM: u16 = 5;
    /// XChaCha20-Poly1305 behind key id and nonce.
    pub const XCHACHA20_POLY1305: u16 = 6;
}

/// The number of a third-party wrapper: `0x8000` plus 15 bits of a hash of its kind.
#[must_use]
pub const fn number_of(kind: &str) -> u16 {
    crate::serializer::format_of(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_sorted_as_they_are_applied() {
        assert!(Role::ALL.is_sorted());
        assert_eq!(Role::ALL.map(Role::as_str), ["compress", "encrypt", "encode"]);
    }

    #[test]
    fn third_party_numbers_do_not_meet_ours() {
        assert!(number_of("acme.brotli") > 0x8000);
        assert_ne!(number_of("acme.brotli"), number_of("acme.snappy"));
    }
}

//! Keys: [`CacheKey`], the text form that every tier below the store uses.

use std::borrow::Cow;
use std::sync::Arc;

use crate::error::{CacheError, ErrorKind, Result};

/// The longest key, in bytes of its text form.
pub const MAX_KEY_BYTES: usize = 1024;

/// Texts that start with this belong to Larder; no key of an application may.
pub const RESERVED: char = '\u{1}';

/// A key of a cache.
///
/// The in-process store uses `Hash` and `Eq`. Every other tier, patterns such as `user:*` and the
/// `larder` command use the *text*, so two keys are equal exactly when their texts are. Integers,
/// `bool`, `char`, strings and pairs and triples of keys (joined with `:`) are keys already; for a
/// type of your own say how it reads:
///
/// ```
/// use std::borrow::Cow;
/// use larder_core::CacheKey;
///
/// #[derive(Clone, PartialEq, Eq, Hash)]
/// struct SessionId([u8; 2]);
///
/// impl CacheKey for SessionId {
///     fn text(&self) -> Cow<'_, str> {
///         format!("{:02x}{:02x}", self.0[0], self.0[1]).into()
///     }
/// }
/// assert_eq!(SessionId([10, 255]).text(), "0aff");
/// assert_eq!(("user", 42_u64).text(), "user:42");
/// ```
pub trait CacheKey {
    /// The key as text. Must be the same for equal keys and different for different ones.
    fn text(&self) -> Cow<'_, str>;

    /// Whether the key may be used: not empty, at most [`MAX_KEY_BYTES`] long, and not
    /// [`RESERVED`].
    ///
    /// Override it only to skip work for types that cannot fail.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] when it may not.
    fn check(&self) -> Result<()> {
        let text = self.text();
        check_text(&text)?;
        check_reserved(&text)
    }
}

/// Whether a text may be used as a key.
///
/// # Errors
///
/// [`ErrorKind::Key`] when it is empty or longer than [`MAX_KEY_BYTES`].
pub fn check_text(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(CacheError::new(ErrorKind::Key, "the key is empty")
            .hint("skip the cache for entries that have no identity"));
    }
    if text.len() > MAX_KEY_BYTES {
        let mut end = 40;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        return Err(CacheError::new(ErrorKind::Key, "the key is too long")
            .with("key", format_args!("{}…", &text[..end]))
            .with("length", text.len())
            .with("max_length", MAX_KEY_BYTES)
            .hint("use a hash of the long part as the key"));
    }
    Ok(())
}

/// Whether a text is free for applications to use as a key.
///
/// # Errors
///
/// [`ErrorKind::Key`] when it begins with [`RESERVED`].
pub fn check_reserved(text: &str) -> Result<()> {
    if text.starts_with(RESERVED) {
        return Err(CacheError::new(ErrorKind::Key, "the key begins with the reserved U+0001")
            .hint("strip control characters from keys"));
    }
    Ok(())
}

/// Whether a glob matches a whole key: `*` is any number of characters, `?` exactly one, every
/// other character itself. Cost: at most `pattern.len() * key.len()` steps, no recursion.
#[must_use]
pub fn glob_matches(pattern: &str, key: &str) -> bool {
    let (pattern, key): (Vec<char>, Vec<char>) = (pattern.chars().collect(), key.chars().collect());
    let (mut p, mut k) = (0, 0);
    // Where to go on after the last `*` when what followed it did not match: one key further.
    let mut star: Option<(usize, usize)> = None;
    while k < key.len() {
        if p < pattern.len() && pattern[p] == '*' {
            star = Some((p, k));
            p += 1;
        } else if p < pattern.len() && (pattern[p] == '?' || pattern[p] == key[k]) {
            p += 1;
            k += 1;
        } else if let Some((star_p, star_k)) = star {
            star = Some((star_p, star_k + 1));
            p = star_p + 1;
            k = star_k + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

macro_rules! text_keys {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self.as_ref())
            }
        }
    )*};
}

text_keys!(str, String, Box<str>, Arc<str>, Cow<'_, str>);

macro_rules! display_keys {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn check(&self) -> Result<()> {
                Ok(())
            }
        }
    )*};
}

display_keys!(bool, i8, i16, i32, i64, i128, isize, u8, u16, u32, u64, u128, usize);

impl CacheKey for char {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn check(&self) -> Result<()> {
        check_reserved(self.encode_utf8(&mut [0; 4]))
    }
}

impl<T: CacheKey + ?Sized> CacheKey for &T {
    fn text(&self) -> Cow<'_, str> {
        (**self).text()
    }

    fn check(&self) -> Result<()> {
        (**self).check()
    }
}

/// Joins parts with `:`; a `:` or `%` inside a part is percent-encoded, so that different keys
/// never read the same.
fn join(parts: &[Cow<'_, str>]) -> String {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        for c in part.chars() {
            match c {
                ':' => text.push_str("%3A"),
                '%' => text.push_str("%25"),
                other => text.push(other),
            }
        }
    }
    text
}

impl<A: CacheKey, B: CacheKey> CacheKey for (A, B) {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(join(&[self.0.text(), self.1.text()]))
    }
}

impl<A: CacheKey, B: CacheKey, C: CacheKey> CacheKey for (A, B, C) {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(join(&[self.0.text(), self.1.text(), self.2.text()]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_tuples_never_read_the_same() {
        assert_ne!(("a:b", "c").text(), ("a", "b:c").text());
        assert_ne!(("a%3Ab", "c").text(), ("a:b", "c").text());
        assert_eq!(("a", 1_u8, 'x').text(), "a:1:x");
    }

    #[test]
    fn globs_match_whole_keys() {
        for (pattern, key) in
            [("user:*", "user:42"), ("*", ""), ("a*b*c", "aXbYbZc"), ("?é", "xé"), ("", "")]
        {
            assert!(glob_matches(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [("user:*", "users"), ("a*b", "abc"), ("?", ""), ("", "x")] {
            assert!(!glob_matches(pattern, key), "{pattern} {key}");
        }
    }

    #[test]
    fn empty_and_long_keys_are_refused() {
        assert_eq!("".check().unwrap_err().kind(), ErrorKind::Key);
        assert!("k".repeat(MAX_KEY_BYTES).check().is_ok());
        let error = "é".repeat(MAX_KEY_BYTES).check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Key);
        assert_eq!(error.context("length"), Some("2048"));
        assert!(error.to_string().len() < 300, "the key itself is shortened");
    }
}

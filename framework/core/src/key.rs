//! Keys: [`CacheKey`], the text form that every tier below the store uses.

use std::borrow::Cow;
use std::str::FromStr;
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

    /// The key that reads like this; `None` when keys of this type cannot be made from text, which
    /// is the default and must not depend on the text.
    ///
    /// Snapshots hold keys as text, so a cache with `persist` needs it. Integers, `bool`, `char`,
    /// owned strings and pairs and triples of those can.
    ///
    /// ```
    /// use std::borrow::Cow;
    /// use larder_core::{CacheError, CacheKey, ErrorKind, Result};
    ///
    /// #[derive(Clone, Debug, PartialEq, Eq, Hash)]
    /// struct UserId(u64);
    ///
    /// impl CacheKey for UserId {
    ///     fn text(&self) -> Cow<'_, str> {
    ///         format!("u{}", self.0).into()
    ///     }
    ///
    ///     fn from_text(text: &str) -> Option<Result<Self>> {
    ///         let number = text.strip_prefix('u').and_then(|number| number.parse().ok());
    ///         let unreadable = || CacheError::new(ErrorKind::Key, "the text is no user id");
    ///         Some(number.map(Self).ok_or_else(unreadable))
    ///     }
    /// }
    /// assert_eq!(UserId::from_text("u42").unwrap()?, UserId(42));
    /// # Ok::<(), CacheError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] when no key reads like this.
    #[must_use]
    fn from_text(text: &str) -> Option<Result<Self>>
    where
        Self: Sized,
    {
        let _ = text;
        None
    }
}

/// A text of which there is no key of this type.
fn unreadable<K: ?Sized>() -> CacheError {
    CacheError::new(ErrorKind::Key, "the text is not that of a key")
        .with("key_type", std::any::type_name::<K>())
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
/// other character itself. Cost: at most `pattern.len() * key.len()` steps, no recursion and no
/// allocation.
#[must_use]
pub fn glob_matches(pattern: &str, key: &str) -> bool {
    let (glob, text) = (pattern.as_bytes(), key.as_bytes());
    // How many bytes the character at a place of the key takes.
    let width = |at: usize| key[at..].chars().next().map_or(1, char::len_utf8);
    let (mut g, mut t) = (0, 0);
    // Where to go on after the last `*` when what followed it did not match: one character further.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some(b'*') if g + 1 == glob.len() => return true,
            Some(b'*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(b'?') => {
                g += 1;
                t += width(t);
            }
            // Both are UTF-8: a character matches when its bytes do, so that `?` and `*` are only
            // met between characters.
            Some(byte) if *byte == text[t] => {
                g += 1;
                t += 1;
            }
            _ => {
                let Some((star_g, star_t)) = star else { return false };
                g = star_g + 1;
                t = star_t + width(star_t);
                star = Some((star_g, t));
            }
        }
    }
    glob[g..].iter().all(|byte| *byte == b'*')
}

impl CacheKey for str {
    fn text(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

macro_rules! text_keys {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn text(&self) -> Cow<'_, str> {
                Cow::Borrowed(self.as_ref())
            }

            fn from_text(text: &str) -> Option<Result<Self>> {
                Some(Ok(text.to_owned().into()))
            }
        }
    )*};
}

text_keys!(String, Box<str>, Arc<str>, Cow<'_, str>);

/// Reads a key that has only one text, such as `42` and not `+42`.
fn parsed<K: FromStr + CacheKey>(text: &str) -> Result<K> {
    let key = K::from_str(text).ok().filter(|key| key.text() == text);
    key.ok_or_else(unreadable::<K>)
}

macro_rules! display_keys {
    ($($type:ty),*) => {$(
        impl CacheKey for $type {
            fn text(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn check(&self) -> Result<()> {
                Ok(())
            }

            fn from_text(text: &str) -> Option<Result<Self>> {
                Some(parsed(text))
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

    fn from_text(text: &str) -> Option<Result<Self>> {
        Some(parsed(text))
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

/// The parts of a text that [`join`] made; `None` if it did not.
fn split<const N: usize>(text: &str) -> Option<[String; N]> {
    let part = |part: &str| {
        let plain = part.replace("%3A", ":").replace("%25", "%");
        (join(&[Cow::Borrowed(plain.as_str())]) == part).then_some(plain)
    };
    let parts: Option<Vec<String>> = text.split(':').map(part).collect();
    parts?.try_into().ok()
}

impl<A: CacheKey, B: CacheKey> CacheKey for (A, B) {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(join(&[self.0.text(), self.1.text()]))
    }

    fn from_text(text: &str) -> Option<Result<Self>> {
        let parts = split::<2>(text);
        let [a, b] = parts.clone().unwrap_or_default();
        let (a, b) = (A::from_text(&a)?, B::from_text(&b)?);
        Some(parts.ok_or_else(unreadable::<Self>).and_then(|_| Ok((a?, b?))))
    }
}

impl<A: CacheKey, B: CacheKey, C: CacheKey> CacheKey for (A, B, C) {
    fn text(&self) -> Cow<'_, str> {
        Cow::Owned(join(&[self.0.text(), self.1.text(), self.2.text()]))
    }

    fn from_text(text: &str) -> Option<Result<Self>> {
        let parts = split::<3>(text);
        let [a, b, c] = parts.clone().unwrap_or_default();
        let (a, b, c) = (A::from_text(&a)?, B::from_text(&b)?, C::from_text(&c)?);
        Some(parts.ok_or_else(unreadable::<Self>).and_then(|_| Ok((a?, b?, c?))))
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

    /// Whether a key is read back from its text.
    fn comes_back<K: CacheKey + PartialEq>(key: &K) -> bool {
        K::from_text(&key.text()).is_some_and(|read| read.is_ok_and(|read| read == *key))
    }

    #[test]
    fn keys_are_read_back_from_their_text() {
        assert!(comes_back(&u64::MAX) && comes_back(&i8::MIN) && comes_back(&true));
        assert!(
            comes_back(&'ß')
                && comes_back(&"%3A:".to_owned())
                && comes_back::<Arc<str>>(&"".into())
        );
        for part in ["", ":", "%", "%3A", "%253A", "a:b%", "é"] {
            let part = part.to_owned();
            assert!(comes_back(&(part.clone(), 7_u8)), "{part}");
            assert!(comes_back(&((1_u8, part.clone()), part.clone(), 'x')), "{part}");
        }
    }

    #[test]
    fn a_text_that_no_key_has_is_refused() {
        for text in ["", "+1", "01", "256", "-0", "1 ", "x"] {
            assert_eq!(u8::from_text(text).unwrap().unwrap_err().kind(), ErrorKind::Key, "{text}");
        }
        for text in ["", "1", "1:2:3", "%3a:1", "%:1", "1:%2525%:"] {
            assert!(<(String, String)>::from_text(text).unwrap().is_err(), "{text}");
        }
    }

    #[test]
    fn whether_keys_can_be_read_does_not_depend_on_the_text() {
        for text in ["", "a:b", "a:b:c"] {
            assert!(<(String, &str)>::from_text(text).is_none(), "{text}");
            assert!(<(&str, u8, u8)>::from_text(text).is_none(), "{text}");
        }
    }

    #[test]
    fn globs_match_whole_keys() {
        for (pattern, key) in
            [("user:*", "user:42"), ("*", ""), ("a*b*c", "aXbYbZc"), ("?é", "xé"), ("", "")]
        {
            assert!(glob_matches(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in [("ü?*", "üß"), ("*é", "èé"), ("a*?b*", "aßb"), ("*ab", "aab")]
        {
            assert!(glob_matches(pattern, key), "{pattern} {key}");
        }
        for (pattern, key) in
            [("user:*", "users"), ("a*b", "abc"), ("?", ""), ("", "x"), ("??", "ß"), ("é", "è")]
        {
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

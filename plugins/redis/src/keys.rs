//! [`Keys`]: how the entries of a cache are named on the server, and [`Generation`], which a clear
//! changes.
//!
//! | key | holds |
//! |---|---|
//! | `ldr1:e:<prefix><generation>:{<key>}` | an entry, as an envelope |
//! | `ldr1:l:<prefix><generation>:{<key>}` | the lease of a key |
//! | `ldr1:c:{<prefix>}` | the generation of the cache |
//! | `ldr1:g:{<prefix>}` | that entries of other generations are left to be removed |
//! | `ldr1:s:{<prefix>}` | who removes them |
//! | `ldr1:d:{<prefix>}` | when they were removed, if that has to be done a second time |
//!
//! The generation is a part of the name, so nobody who knows the one of after a clear can find an
//! entry of before it. The braces make an entry and its lease, and all keys of the cache itself,
//! neighbours in a cluster; `%`, `{` and `}` are escaped in prefixes and keys, so no two names are
//! the same. The `1` is the version of this layout.

use std::fmt;
use std::sync::Arc;

use larder_core::Stamp;

/// Which entries are those of the cache. It rises with every clear, for ever: it is a time in
/// microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Generation(u64);

impl Generation {
    /// How long it is as text.
    pub(crate) const LENGTH: usize = 14;

    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub(crate) const fn number(self) -> u64 {
        self.0
    }

    /// Writes it as text behind what is there.
    fn write(self, out: &mut String) {
        let digits: [u8; Self::LENGTH] = std::array::from_fn(|at| {
            let digit = (self.0 >> (4 * (Self::LENGTH - 1 - at)) & 0xf) as u8;
            digit + if digit < 10 { b'0' } else { b'a' - 10 }
        });
        out.push_str(std::str::from_utf8(&digits).expect("digits are text"));
    }

    /// Reads what [`Display`](fmt::Display) writes, and nothing else.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let digits: &[u8; Self::LENGTH] = text.try_into().ok()?;
        let mut number = 0;
        for digit in digits {
            let digit = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            number = number << 4 | u64::from(digit);
        }
        (1..=Stamp::MAX_MICROS).contains(&number).then_some(Self(number))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(Self::LENGTH);
        self.write(&mut text);
        f.pad(&text)
    }
}

/// The names of everything that a cache keeps on a server.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    entries: String,
    leases: String,
    /// The generation of the cache.
    pub(crate) control: Arc<str>,
    /// That entries of other generations are left.
    pub(crate) garbage: String,
    /// Who removes them.
    pub(crate) sweeper: String,
    /// When they were removed.
    pub(crate) swept: String,
}

impl Keys {
    /// The names of the cache with this prefix.
    pub(crate) fn new(prefix: &str) -> Self {
        let mut escaped = String::with_capacity(prefix.len());
        escape(&mut escaped, prefix);
        Self {
            entries: format!("ldr1:e:{escaped}"),
            leases: format!("ldr1:l:{escaped}"),
            control: format!("ldr1:c:{{{escaped}}}").into(),
            garbage: format!("ldr1:g:{{{escaped}}}"),
            sweeper: format!("ldr1:s:{{{escaped}}}"),
            swept: format!("ldr1:d:{{{escaped}}}"),
        }
    }

    /// The name of an entry.
    pub(crate) fn entry(&self, generation: Generation, key: &str) -> String {
        let mut name = String::new();
        write_name(&mut name, &self.entries, generation, key);
        name
    }

    /// Writes the name of an entry behind what is there.
    pub(crate) fn write_entry(&self, out: &mut String, generation: Generation, key: &str) {
        write_name(out, &self.entries, generation, key);
    }

    /// The name of a lease.
    pub(crate) fn lease(&self, generation: Generation, key: &str) -> String {
        let mut name = String::new();
        write_name(&mut name, &self.leases, generation, key);
        name
    }

    /// The generation and the key of an entry; `None` for the names of others.
    pub(crate) fn read_entry(&self, name: &[u8]) -> Option<(Generation, String)> {
        read_name(&self.entries, name)
    }

    /// The generation and the key of a lease; `None` for the names of others.
    pub(crate) fn read_lease(&self, name: &[u8]) -> Option<(Generation, String)> {
        read_name(&self.leases, name)
    }

    /// The pattern of all entries of a generation whose keys begin with `prefix`.
    pub(crate) fn pattern(&self, generation: Generation, prefix: &str) -> String {
        pattern(&self.entries, generation, prefix)
    }

    /// The pattern of all leases of a generation of keys that begin with `prefix`.
    pub(crate) fn pattern_of_leases(&self, generation: Generation, prefix: &str) -> String {
        pattern(&self.leases, generation, prefix)
    }

    /// The pattern of the entries of all generations, and perhaps of others.
    pub(crate) fn pattern_of_all(&self) -> String {
        format!("{}*", glob_escaped(&self.entries))
    }
}

fn write_name(name: &mut String, kind: &str, generation: Generation, key: &str) {
    name.reserve(kind.len() + Generation::LENGTH + key.len() + ":{}".len());
    name.push_str(kind);
    generation.write(name);
    name.push_str(":{");
    escape(name, key);
    name.push('}');
}

fn read_name(kind: &str, name: &[u8]) -> Option<(Generation, String)> {
    let rest = name.strip_prefix(kind.as_bytes())?;
    let (generation, rest) = rest.split_at_checked(Generation::LENGTH)?;
    let key = rest.strip_prefix(b":{")?.strip_suffix(b"}")?;
    Some((Generation::read(generation)?, unescape(std::str::from_utf8(key).ok()?)?))
}

/// The pattern of all names of a generation whose keys begin with `prefix`.
fn pattern(kind: &str, generation: Generation, prefix: &str) -> String {
    let mut name = String::new();
    write_name(&mut name, kind, generation, prefix);
    // Without the brace at the end.
    name.pop();
    let mut pattern = glob_escaped(&name);
    pattern.push('*');
    pattern
}

/// Appends a text in which no brace is left.
fn escape(out: &mut String, text: &str) {
    let mut rest = text;
    let is_special = |byte: u8| matches!(byte, b'%' | b'{' | b'}');
    while let Some(at) = rest.bytes().position(is_special) {
        out.push_str(&rest[..at]);
        out.push_str(match rest.as_bytes()[at] {
            b'%' => "%25",
            b'{' => "%7B",
            _ => "%7D",
        });
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
}

/// What was escaped; `None` when [`escape`] never writes this.
fn unescape(text: &str) -> Option<String> {
    if text.contains(['{', '}']) {
        return None;
    }
    let mut parts = text.split('%');
    let mut out = String::with_capacity(text.len());
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        out.push(match code {
            "25" => '%',
            "7B" => '{',
            "7D" => '}',
            _ => return None,
        });
        out.push_str(rest);
    }
    Some(out)
}

/// A pattern of `SCAN … MATCH` that matches exactly this text.
fn glob_escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len() + 1);
    for char in text.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATION: Generation = Generation::from_number(0x6_47d8_4620_4001);

    #[test]
    fn entry_and_lease_of_a_key_are_neighbours_and_different() {
        let keys = Keys::new("shop:");
        assert_eq!(keys.entry(GENERATION, "42"), "ldr1:e:shop:0647d846204001:{42}");
        assert_eq!(keys.lease(GENERATION, "42"), "ldr1:l:shop:0647d846204001:{42}");
        assert_eq!(&*keys.control, "ldr1:c:{shop:}");
    }

    #[test]
    fn every_key_can_be_read_back_from_its_name() {
        let keys = Keys::new("a{b}%:");
        for key in ["42", "{", "}", "%", "%25", "{}{}", "a*[b]?\\", "ä\u{1}\0\n", "100 %"] {
            let name = keys.entry(GENERATION, key);
            let tag = name.split(['{', '}']).nth(1).unwrap();
            assert_eq!(name.matches(['{', '}']).count(), 2, "{name}");
            assert!(!tag.is_empty(), "{name}");
            assert_eq!(keys.read_entry(name.as_bytes()), Some((GENERATION, key.to_owned())));
        }
    }

    #[test]
    fn names_of_others_are_not_read() {
        let keys = Keys::new("a:");
        let longer = Keys::new("a:b:").entry(GENERATION, "42");
        let lookalike = Keys::new("a:0647d846204001:").entry(GENERATION, "42");
        let own = keys.lease(GENERATION, "42");
        assert_eq!(keys.read_lease(own.as_bytes()), Some((GENERATION, "42".to_owned())));
        assert_eq!(keys.read_lease(keys.entry(GENERATION, "42").as_bytes()), None);
        for name in [&*longer, &lookalike, &own, "a:", "", "ldr1:e:a:0647D846204001:{42}"] {
            assert_eq!(keys.read_entry(name.as_bytes()), None, "{name}");
        }
        for name in ["{4{2}", "{4%2}", "{%7b}", "42", "{42}x"] {
            let name = format!("ldr1:e:a:0647d846204001:{name}");
            assert_eq!(keys.read_entry(name.as_bytes()), None, "{name}");
        }
        let not_text = [&b"ldr1:e:a:0647d846204001:{"[..], b"\xff", b"}"].concat();
        assert_eq!(keys.read_entry(&not_text), None);
    }

    #[test]
    fn patterns_match_what_is_written_and_escape_the_rest() {
        let keys = Keys::new("s*p:");
        assert_eq!(keys.pattern_of_all(), "ldr1:e:s\\*p:*");
        let pattern = keys.pattern(GENERATION, "us[e]r{?\\");
        assert_eq!(pattern, "ldr1:e:s\\*p:0647d846204001:{us\\[e\\]r%7B\\?\\\\*");
        let pattern = keys.pattern_of_leases(GENERATION, "user");
        assert_eq!(pattern, "ldr1:l:s\\*p:0647d846204001:{user*");
    }

    #[test]
    fn only_what_a_generation_looks_like_is_one() {
        assert_eq!(Generation::read(b"0647d846204001"), Some(GENERATION));
        for text in ["", "647d846204001", "00000000000000", "ffffffffffffff", "0647D846204001"] {
            assert_eq!(Generation::read(text.as_bytes()), None, "{text}");
        }
        let greatest = Generation::from_number(Stamp::MAX_MICROS);
        assert_eq!(Generation::read(greatest.to_string().as_bytes()), Some(greatest));
    }
}

//! What a plugin can do, so that the framework asks before it uses.

use std::fmt;

use bitflags::bitflags;

bitflags! {
    /// What a plugin can do. The framework never calls what is not declared, and the conformance
    /// kit proves all that is.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Capabilities: u32 {
        /// Takes an eviction policy.
        const POLICY = 1 << 0;
        /// Expires entries by itself at their hard deadline.
        const TTL = 1 << 1;
        /// Changes the deadlines of an entry without rewriting its value.
        const TOUCH = 1 << 2;
        /// Keeps the tags of entries.
        const TAGS = 1 << 3;
        /// Lists its keys.
        const SCAN = 1 << 4;
        /// Does many keys in fewer round trips than one each.
        const BATCH = 1 << 5;
        /// Entries survive the end of the process.
        const PERSIST = 1 << 6;
        /// Several processes may use the same entries at the same time.
        const SHARED = 1 << 7;
        /// Changes its size while it runs.
        const RESIZE = 1 << 8;
        /// Writes only what is newer than what is there.
        const PUT_IF_NEWER = 1 << 9;
        /// Grants leases, so that one process of many loads.
        const LEASE = 1 << 10;
        /// Reads the header of an entry without its value.
        const HEADER_READ = 1 << 11;
        /// Keeps a log of changes that can be read from a position.
        const LOG = 1 << 12;
        /// Holds values of the application as they are, without a serializer.
        const TYPED = 1 << 13;
        /// Lists the keys that are under a lease.
        const LEASE_SCAN = 1 << 14;
    }
}

impl fmt::Display for Capabilities {
    /// The names in lower case, separated by blanks; `-` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        for (index, (name, _)) in self.iter_names().enumerate() {
            let lead = if index > 0 { " " } else { "" };
            write!(f, "{lead}{}", name.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_lists_names_in_lower_case() {
        let capabilities = Capabilities::TTL | Capabilities::PUT_IF_NEWER;
        assert_eq!(capabilities.to_string(), "ttl put_if_newer");
        assert_eq!(Capabilities::empty().to_string(), "-");
    }
}

//! The scripts that the server runs where one step has to look and to write.
//!
//! They are called by their hash. A server that does not have one, for it was restarted or told to
//! forget all, answers `NOSCRIPT`, and is then sent the text; so nothing has to be loaded before.

use std::sync::LazyLock;

use redis::{Cmd, Script, ToRedisArgs};

macro_rules! scripts {
    ($($(#[doc = $doc:literal])+ $name:ident: $($part:literal)+;)*) => {
        $($(#[doc = $doc])+
        pub(crate) static $name: ServerScript = ServerScript {
            text: concat!($(include_str!(concat!("scripts/", $part, ".lua")), "\n"),+),
            script: LazyLock::new(|| {
                Script::new(concat!($(include_str!(concat!("scripts/", $part, ".lua")), "\n"),+))
            }),
        };)*

        /// Every script.
        #[cfg(test)]
        pub(crate) const ALL: &[&ServerScript] = &[$(&$name),*];
    };
}

scripts! {
    /// The generation of the cache, which it makes anew when it has to.
    ADVANCE: "advance";
    /// Stores an entry under a lease.
    FILL: "store" "fill";
    /// Stores an entry unless a newer one is there.
    PUT_IF_NEWER: "header" "store" "put_if_newer";
    /// Ends a lease.
    RELEASE: "release";
    /// Removes a key if it still begins as it did.
    REMOVE: "remove";
    /// Puts a lease in place of another one.
    REPLACE: "replace";
    /// Stores an entry and ends the lease of its key.
    SET: "store" "set";
    /// Moves the deadlines of an entry.
    TOUCH: "header" "touch";
}

/// A script and its hash.
pub(crate) struct ServerScript {
    text: &'static str,
    script: LazyLock<Script>,
}

/// How a script is named to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// By its hash.
    Hash,
    /// By its text, for a server that does not have it.
    Text,
}

impl ServerScript {
    /// The command that runs it with these keys; the arguments follow.
    pub(crate) fn command(&self, by: By, keys: &[&str]) -> Cmd {
        let mut command = Cmd::new();
        match by {
            By::Hash => command.arg("EVALSHA").arg(self.script.get_hash()),
            By::Text => command.arg("EVAL").arg(self.text),
        };
        command.arg(keys.len());
        for key in keys {
            command.arg(key.as_bytes());
        }
        command
    }
}

/// A command with one more argument.
pub(crate) fn with(mut command: Cmd, argument: impl ToRedisArgs) -> Cmd {
    command.arg(argument);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_has_a_hash_of_its_own() {
        let hashes: std::collections::BTreeSet<_> =
            ALL.iter().map(|script| script.script.get_hash()).collect();
        assert_eq!(hashes.len(), ALL.len());
    }
}

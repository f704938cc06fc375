//! What to do about what the system says when it does not load a library.

/// Parts of messages of the systems that we know, with what helps.
const HINTS: [(&str, &str); 8] = [
    (
        "static TLS",
        "the plugin, or a library below it such as jemalloc or mimalloc, wants thread-local \
         memory that is handed out at the start: build it without `initial-exec` \
         (`disable_initial_exec_tls`), or link it into the program",
    ),
    (
        "version `GLIBC",
        "it was built on a system with a newer C library: build it on the oldest system that it \
         is to run on",
    ),
    (
        "version `",
        "a library below it is older than the one it was built with: install the newer one, or \
         build the plugin here",
    ),
    (
        "undefined symbol",
        "it uses a function that no library here has: link it with `-Wl,--no-undefined` to find \
         out which one it has to be linked with",
    ),
    (
        "cannot open shared object file",
        "it needs a library that is not there: install it, and see `ldd` for what is missing; \
         `$ORIGIN` does not work, since a copy in memory is loaded",
    ),
    (
        "Error loading shared library",
        "it needs a library that is not there: install it, or build the plugin for musl",
    ),
    ("Error relocating", "it was built for another C library: build it for musl"),
    ("failed to map segment", NO_PLACE),
];

/// What helps where no place is to the liking of the system, or to ours.
pub(super) const NO_PLACE: &str = "the system does not let this process run code from memory or \
     from a directory for temporary files: set `TMPDIR` to a directory without `noexec` to which, \
     and to those above, only root and this user can write";

/// What helps against an error of the system.
pub(super) fn hint(text: &str) -> &'static str {
    let known = HINTS.iter().find(|(part, _)| text.contains(part));
    known.map_or("see what `ldd -r` says about the library", |(_, hint)| hint)
}

/// Whether another place may help: the system does not run, or does not see, files in memory.
pub(super) fn is_about_the_place(text: &str) -> bool {
    let is_the_file = text.starts_with("cannot open shared object file");
    is_the_file
        || [
            "failed to map segment",
            "ermission denied",
            "not permitted",
            "not implemented",
            "unsupported",
        ]
        .iter()
        .any(|part| text.contains(part))
}

#[cfg(test)]
mod tests {
    use super::{hint, is_about_the_place};

    #[test]
    fn known_errors_have_a_hint() {
        let glibc = "/lib/libc.so.6: version `GLIBC_2.99' not found (required by plugin)";
        assert!(hint(glibc).contains("oldest system"));
        assert!(hint("cannot allocate memory in static TLS block").contains("initial-exec"));
        let missing = "libmissing.so: cannot open shared object file: No such file or directory";
        assert!(hint(missing).contains("install it"));
        assert!(!is_about_the_place(missing));
        assert!(hint("something else").contains("ldd"));
    }

    #[test]
    fn a_system_that_does_not_run_memory_is_known() {
        assert!(is_about_the_place("failed to map segment from shared object"));
        assert!(is_about_the_place("cannot open shared object file: No such file or directory"));
        assert!(is_about_the_place("Operation not permitted (os error 1)"));
    }
}

//! What bytes from a disk, a server or an operator go through, as targets of a fuzzer.
//!
//! `tests/fuzz.sh` builds them for libFuzzer, which looks for inputs that take new paths, and runs
//! each for some seconds; with `--seconds N` for longer. A target returns for every input, and
//! says by a panic that a promise is broken. The tests of this crate run all targets on their
//! seeds and on changed ones, without a fuzzer.

pub mod targets;

use targets::{config, envelope, file_entry, serializers, wrappers};

/// One decoder.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Target {
    /// What it is called on the command line.
    pub name: &'static str,
    /// Inputs that are well-formed, for the fuzzer to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Decodes an input.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target::new("envelope", envelope::seeds, envelope::run),
    Target::new("file-entry", file_entry::seeds, file_entry::run),
    Target::new("config-toml", config::toml_seeds, config::toml),
    Target::new("config-yaml", config::yaml_seeds, config::yaml),
    Target::new("cbor", serializers::cbor_seeds, serializers::cbor),
    Target::new("json", serializers::json_seeds, serializers::json),
    Target::new("messagepack", serializers::messagepack_seeds, serializers::messagepack),
    Target::new("pickle", serializers::pickle_seeds, serializers::pickle),
    Target::new("postcard", serializers::postcard_seeds, serializers::postcard),
    Target::new("typed", serializers::typed_seeds, serializers::typed),
    Target::new("base64", wrappers::base64_seeds, wrappers::base64),
    Target::new("encrypt", wrappers::encrypt_seeds, wrappers::encrypt),
    Target::new("lz4", wrappers::lz4_seeds, wrappers::lz4),
    Target::new("zlib", wrappers::zlib_seeds, wrappers::zlib),
    Target::new("zstd", wrappers::zstd_seeds, wrappers::zstd),
];

impl Target {
    const fn new(name: &'static str, seeds: fn() -> Vec<Vec<u8>>, run: fn(&[u8])) -> Self {
        Self { name, seeds, run }
    }
}

/// The target of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_and_what_is_a_little_other_are_taken_without_a_panic() {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut random = fastrand::Rng::with_seed(seed);
        for target in TARGETS {
            let seeds = (target.seeds)();
            assert!(!seeds.is_empty(), "{} has no seeds", target.name);
            for whole in &seeds {
                (target.run)(whole);
                for _ in 0..300 {
                    let mut bytes = whole.clone();
                    match random.u8(..3) {
                        0 => bytes.truncate(random.usize(..=bytes.len())),
                        1 => bytes.insert(random.usize(..=bytes.len()), random.u8(..)),
                        _ if !bytes.is_empty() => {
                            let at = random.usize(..bytes.len());
                            bytes[at] = random.u8(..);
                        }
                        _ => {}
                    }
                    (target.run)(&bytes);
                }
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TARGETS.len());
    }
}

//! What bytes from a disk, a server or an operator go through, as targets of a fuzzer.
//!
//! `tests/fuzz.sh` builds them for libFuzzer, which looks for inputs that take new paths, and runs
//! each for some seconds; with `--seconds N` for longer. A target returns for every input, and
//! says by a panic that a promise is broken. The tests of this crate run all targets on their
//! seeds and on changed ones, without a fuzzer.

pub mod targets;

use targets::{envelope, serializers, wrappers};

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
    Target { name: "base64", seeds: wrappers::base64_seeds, run: wrappers::base64 },
    Target { name: "cbor", seeds: serializers::cbor_seeds, run: serializers::cbor },
    Target { name: "envelope", seeds: envelope::seeds, run: envelope::run },
    Target { name: "json", seeds: serializers::json_seeds, run: serializers::json },
    Target { name: "lz4", seeds: wrappers::lz4_seeds, run: wrappers::lz4 },
    Target {
        name: "messagepack",
        seeds: serializers::messagepack_seeds,
        run: serializers::messagepack,
    },
    Target { name: "pickle", seeds: serializers::pickle_seeds, run: serializers::pickle },
    Target { name: "postcard", seeds: serializers::postcard_seeds, run: serializers::postcard },
    Target { name: "typed", seeds: serializers::typed_seeds, run: serializers::typed },
    Target { name: "zlib", seeds: wrappers::zlib_seeds, run: wrappers::zlib },
    Target { name: "zstd", seeds: wrappers::zstd_seeds, run: wrappers::zstd },
];

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

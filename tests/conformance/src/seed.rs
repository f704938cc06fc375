//! Where chance comes from.

use fastrand::Rng;

/// What names the seed of a run that is to be repeated.
const VARIABLE: &str = "LARDER_SEED";

/// A source of chance whose seed is in the output of a test that fails.
#[expect(clippy::print_stdout, reason = "a test shows its output when it fails")]
pub(crate) fn random() -> Rng {
    let seed = match std::env::var(VARIABLE) {
        Ok(text) => text.parse().expect("`LARDER_SEED` is a number"),
        Err(_) => fastrand::u64(..),
    };
    println!("{VARIABLE}={seed}");
    Rng::with_seed(seed)
}

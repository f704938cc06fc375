//! Where the library of this crate is.

use std::env::consts::{DLL_PREFIX, DLL_SUFFIX};
use std::path::PathBuf;

/// The file of the library, which is beside that of the test.
pub(crate) fn file() -> PathBuf {
    let test = std::env::current_exe().and_then(|path| path.canonicalize());
    let test = test.expect("a test has a path");
    test.with_file_name(format!("{DLL_PREFIX}acme_library{DLL_SUFFIX}"))
}

//! The command line of the quick start.

use std::ffi::OsString;
use std::path::PathBuf;

const USAGE: &str = "usage: quickstart [--config FILE] [DIRECTORY]";

/// What to analyse, and with which caches.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) config: PathBuf,
    pub(crate) directory: PathBuf,
}

impl Arguments {
    /// Reads the arguments; the error is what to tell the user.
    ///
    /// Without arguments it is the repository that this program belongs to, wherever it is run.
    pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Self, String> {
        let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut parsed =
            Self { config: package.join("caches.toml"), directory: package.join("..") };
        let mut arguments = arguments.into_iter();
        let mut has_directory = false;
        while let Some(argument) = arguments.next() {
            if argument == "--config" {
                let file = arguments.next().ok_or("`--config` needs a file")?;
                parsed.config = file.into();
            } else if has_directory || argument.to_string_lossy().starts_with('-') {
                return Err(format!("what is `{}`?\n{USAGE}", argument.to_string_lossy()));
            } else {
                parsed.directory = argument.into();
                has_directory = true;
            }
        }
        Ok(parsed)
    }
}

//! [`Exit`], what the command answers with, and [`Failure`], why it could not do its work.

use std::error::Error;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use larder::config::render::Report;
use larder::{CacheError, ConfigError, ErrorKind};

use crate::output::Output;

/// What the command answers with. The numbers above 2 are those of `sysexits.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// Done, or the answer is yes.
    Success = 0,
    /// The answer is no, or the work failed while it ran.
    No = 1,
    /// The arguments make no sense.
    Usage = 2,
    /// The config file is missing.
    NoInput = 66,
    /// A backend cannot be reached.
    Unavailable = 69,
    /// A file cannot be read or written.
    Io = 74,
    /// The system does not permit it.
    NoPermission = 77,
    /// The config cannot be used.
    Config = 78,
}

impl Exit {
    /// `Success` for yes, `No` for no.
    pub(crate) const fn answer(yes: bool) -> Self {
        if yes { Self::Success } else { Self::No }
    }

    fn of_io(error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        match error.kind() {
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Self::NoPermission,
            Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::NotConnected
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::TimedOut => Self::Unavailable,
            _ => Self::Io,
        }
    }

    fn of_cache(error: &CacheError) -> Self {
        match error.kind() {
            ErrorKind::Config => Self::Config,
            ErrorKind::Connection | ErrorKind::Timeout => {
                io_cause(error).map_or(Self::Unavailable, Self::of_io)
            }
            _ => io_cause(error).map_or(Self::No, Self::of_io),
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// The error of the system that is behind an error, if one is.
fn io_cause(error: &CacheError) -> Option<&io::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = error.source();
    }
    None
}

/// An error of the system in words that do not depend on the system.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        kind => kind.to_string(),
    }
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// One sentence for stderr.
    Because(Exit, String),
    /// A config with errors.
    Config(Box<Report>),
}

impl Failure {
    /// A failure with a sentence: lower case, no full stop.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self::Because(exit, message.into())
    }

    /// A file that cannot be read.
    pub(crate) fn reading(path: &Path, error: &io::Error) -> Self {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NoInput,
            _ => Exit::of_io(error),
        };
        Self::new(exit, format!("cannot read `{}`: {}", path.display(), reason(error)))
    }

    /// A file that cannot be written.
    pub(crate) fn writing(path: &Path, error: &io::Error) -> Self {
        let message = format!("cannot write `{}`: {}", path.display(), reason(error));
        Self::new(Exit::of_io(error), message)
    }

    /// Says on stderr why, and what to exit with.
    pub(crate) fn report(&self, output: &mut Output) -> Exit {
        match self {
            Self::Because(exit, message) => {
                output.error(message);
                *exit
            }
            Self::Config(report) => {
                output.note(&report.render(output.render_options()));
                output.note(&format!("\n{}\n", report.summary()));
                Exit::Config
            }
        }
    }
}

impl From<CacheError> for Failure {
    fn from(error: CacheError) -> Self {
        let config = error.source().and_then(|source| source.downcast_ref::<ConfigError>());
        match config {
            Some(config) => Self::Config(Box::new(config.report().clone())),
            None => Self::Because(Exit::of_cache(&error), error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cause_decides_between_permission_input_output_and_reachability() {
        let exit = |kind, cause: Option<io::ErrorKind>| {
            let error = CacheError::new(kind, "failed");
            Exit::of_cache(&match cause {
                Some(cause) => error.caused_by(io::Error::from(cause)),
                None => error,
            })
        };
        assert_eq!(exit(ErrorKind::Connection, None), Exit::Unavailable);
        let denied = Some(io::ErrorKind::PermissionDenied);
        assert_eq!(exit(ErrorKind::Connection, denied), Exit::NoPermission);
        let full = Some(io::ErrorKind::StorageFull);
        assert_eq!(exit(ErrorKind::Connection, full), Exit::Io);
        let refused = Some(io::ErrorKind::ConnectionRefused);
        assert_eq!(exit(ErrorKind::Plugin, refused), Exit::Unavailable);
        assert_eq!(exit(ErrorKind::Timeout, None), Exit::Unavailable);
        assert_eq!(exit(ErrorKind::Config, denied), Exit::Config);
        assert_eq!(exit(ErrorKind::Key, None), Exit::No);
    }
}

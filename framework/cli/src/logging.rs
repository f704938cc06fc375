//! What the framework logs while a command runs, on stderr.

use tracing_subscriber::filter::LevelFilter;

use crate::args::Common;
use crate::output::Output;

/// Starts logging as `-q` and `-v` say, unless the program that ships the command has its own.
pub(crate) fn start(common: &Common, output: &mut Output) {
    output.quiet(common.quiet);
    let level = match (common.quiet, common.verbose) {
        (true, _) => LevelFilter::OFF,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_ansi(output.are_notes_coloured())
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false);
    // An error means that there is a subscriber already, and that one is fine.
    subscriber.try_init().ok();
}

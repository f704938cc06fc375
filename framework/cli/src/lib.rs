//! The `larder` command: check, show and explain configs, look into caches and copy them, simulate
//! policies.
//!
//! The command knows the plugins that are linked into it. An application ships it with its own:
//!
//! ```no_run
//! // use acme_cache as _; // links the plugins of that crate
//! fn main() -> std::process::ExitCode {
//!     larder_cli::main()
//! }
//! ```
//!
//! Data goes to stdout, everything else to stderr. What exit codes mean stands at [`Exit`].

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

mod args;
mod commands;
mod context;
mod exit;
mod logging;
mod output;
mod simulate;
mod transfer;

use args::Arguments;
use context::Context;

pub use exit::Exit;
pub use output::Output;

/// Runs the command with the arguments and the environment of this process. The whole `main` of a
/// program that ships it.
#[must_use]
pub fn main() -> ExitCode {
    let utf8 = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let variables = std::env::vars_os().filter_map(utf8).collect();
    let mut output = Output::standard();
    run(std::env::args_os(), variables, &mut output).into()
}

/// Runs the command with these arguments, the first being the name of the program, and these
/// environment variables.
pub fn run<I>(arguments: I, variables: BTreeMap<String, String>, output: &mut Output) -> Exit
where
    I: IntoIterator<Item = OsString>,
{
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => return usage(&error, output),
    };
    logging::start(&arguments.common, output);
    let mut context = Context::new(arguments.common, variables, output);
    match commands::run(arguments.command, &mut context) {
        Ok(exit) => exit,
        Err(failure) => failure.report(context.output),
    }
}

/// Help and the version are asked for and go to stdout; everything else is a mistake.
fn usage(error: &clap::Error, output: &mut Output) -> Exit {
    let text = error.render().ansi().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => match output.data(&text) {
            Ok(()) => Exit::Success,
            Err(failure) => failure.report(output),
        },
        _ => {
            output.note(&text);
            Exit::Usage
        }
    }
}

//! `larder completions`: a script that completes commands and options in a shell.

use clap::CommandFactory as _;
use clap_complete::{Shell, generate};

use crate::args::Arguments;
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) fn run(shell: Shell, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    generate(shell, &mut Arguments::command(), "larder", &mut script);
    context.output.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Success)
}

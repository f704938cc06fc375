//! One file per command.

use crate::args::{Command, Plugins};
use crate::context::Context;
use crate::exit::{Exit, Failure};

mod cache;
mod check;
mod completions;
mod explain;
mod fix;
mod online;
mod outliving;
mod plugins;
mod schema;
mod show;
mod simulate;
mod snapshot;
mod stages;
mod stats;

fn plugins(command: Plugins, context: &mut Context<'_>) -> Result<Exit, Failure> {
    match command {
        Plugins::List(answer) => plugins::list(answer, context),
        Plugins::Info { library, answer } => plugins::library::info(&library, answer, context),
        Plugins::Verify { libraries, answer } => {
            plugins::library::verify(&libraries, answer, context)
        }
        Plugins::New(arguments) => plugins::new::run(&arguments, context),
        Plugins::Pin { library } => plugins::library::pin(&library, context),
    }
}

/// Runs a command.
pub(crate) fn run(command: Command, context: &mut Context<'_>) -> Result<Exit, Failure> {
    match command {
        Command::Check(arguments) => check::run(&arguments, context),
        Command::Show(arguments) => show::run(&arguments, context),
        Command::Explain(arguments) => explain::run(&arguments, context),
        Command::Schema(arguments) => schema::run(&arguments, context),
        Command::Reference(arguments) => schema::reference(&arguments, context),
        Command::Plugins(command) => plugins(command, context),
        Command::Entry(command) => cache::entry(command, context),
        Command::Export(arguments) => snapshot::export(&arguments, context),
        Command::Import(arguments) => snapshot::import(&arguments, context),
        Command::Clear(arguments) => cache::clear(&arguments, context),
        Command::Stats(arguments) => stats::run(&arguments, context),
        Command::Simulate(arguments) => simulate::run(&arguments, context),
        Command::Completions { shell } => completions::run(shell, context),
    }
}

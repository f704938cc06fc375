//! `larder schema` and `larder reference`: files that are generated from the plugins' options.

use std::fs;
use std::path::Path;

use larder::Registry;
use larder::config::{reference, schema};

use crate::args::Generated;
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) fn run(arguments: &Generated, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let text = format!("{:#}\n", schema::schema(&complete(context)?));
    deliver(&text, "schema", arguments, context)
}

pub(super) fn reference(arguments: &Generated, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let text = reference::reference(&complete(context)?);
    deliver(&text, "reference", arguments, context)
}

/// All plugins that the config may name. A file without those of a library that is refused today
/// would call what the config says of them a mistake.
fn complete(context: &mut Context<'_>) -> Result<Registry, Failure> {
    let (registry, are_all_loaded) = context.plugins()?;
    if are_all_loaded {
        return Ok(registry);
    }
    let message = "a library of the config was refused, so its options are not known; \
                   hint: mend that first, or name a config without it with `--config`";
    Err(Failure::new(Exit::Config, message))
}

fn deliver(
    text: &str,
    command: &str,
    arguments: &Generated,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    if let Some(file) = &arguments.check {
        return compare(text, command, file, context);
    }
    match &arguments.output {
        Some(file) => {
            fs::write(file, text).map_err(|error| Failure::writing(file, &error))?;
            context.output.done(format_args!("wrote {}", file.display()));
        }
        None => context.output.data(text)?,
    }
    Ok(Exit::Success)
}

fn compare(
    text: &str,
    command: &str,
    file: &Path,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    let found = fs::read(file).map_err(|error| Failure::reading(file, &error))?;
    let file = file.display();
    if found == text.as_bytes() {
        context.output.done(format_args!("{file} is up to date"));
        return Ok(Exit::Success);
    }
    let message = format!("`{file}` is out of date; hint: run `larder {command} -o {file}`");
    Err(Failure::new(Exit::No, message))
}

//! `larder export` and `larder import`: entries of a cache to a snapshot and back.
//!
//! Nothing is decoded on the way: what is encrypted in the cache is encrypted in the snapshot.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::Path;

use larder::{CacheError, DynamicCache, ErrorKind, ImportMode, Imported, SnapshotFile};
use serde_json::json;

use super::{cache, outliving};
use crate::args::{Export, Format, Import};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::counted;
use crate::transfer::Transfer;

/// `larder export`.
pub(super) fn export(arguments: &Export, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let is_stream = is_stream(&arguments.output);
    if is_stream {
        check_stdout(arguments.answer.format, context)?;
    }
    with_cache(&arguments.cache, context, async |cache, context| {
        let exported = if is_stream {
            let (exported, mut stdout) = pass_out(cache, arguments, io::stdout(), context).await?;
            stdout.flush().map_err(|error| Failure::writing(Path::new("stdout"), &error))?;
            exported
        } else {
            let file = SnapshotFile::create(&arguments.output)?;
            let (exported, file) = pass_out(cache, arguments, file, context).await?;
            file.commit()?;
            exported
        };
        let name = cache.name();
        if arguments.answer.format == Format::Json {
            let (entries, skipped) = (exported.entries, exported.skipped);
            let file = arguments.output.display().to_string();
            let document =
                json!({ "cache": name, "entries": entries, "skipped": skipped, "file": file });
            context.output.json(&document)?;
            return Ok(Exit::Success);
        }
        let mut text = format!("exported {} of `{name}`", counted(exported.entries, "entry"));
        if !is_stream {
            text += &format!(" to `{}`", arguments.output.display());
        }
        if exported.skipped > 0 {
            text += &format!("; {} could not be written", exported.skipped);
        }
        context.output.done(text);
        Ok(Exit::Success)
    })
}

/// Where a snapshot would do harm or be lost.
fn check_stdout(format: Format, context: &Context<'_>) -> Result<(), Failure> {
    let because = if format == Format::Json {
        "`--format json` needs stdout for its answer"
    } else if !context.output.is_stdout() || io::stdout().is_terminal() {
        "a snapshot is bytes, not for a terminal"
    } else {
        return Ok(());
    };
    Err(Failure::new(Exit::Usage, format!("{because}; hint: name a file with `--output`")))
}

async fn pass_out<W: Write + Send + 'static>(
    cache: &DynamicCache,
    arguments: &Export,
    writer: W,
    context: &Context<'_>,
) -> Result<(larder::Exported, W), Failure> {
    let message = format!("exporting `{}`", cache.name());
    let writer = Transfer::new(writer, message, None, context.output.shows_progress());
    let (exported, writer) = cache.export_matching(&arguments.pattern, writer).await?;
    Ok((exported, writer.into_inner()))
}

/// `larder import`.
pub(super) fn import(arguments: &Import, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let reader = open(&arguments.file)?;
    with_cache(&arguments.cache, context, async |cache, context| {
        let mode = if arguments.replace { ImportMode::Replace } else { ImportMode::KeepNewer };
        let message = format!("importing into `{}`", cache.name());
        let (reader, length) = reader;
        let reader = Transfer::new(reader, message, length, context.output.shows_progress());
        let imported = cache.import(reader, mode).await;
        let imported = imported.map_err(|error| stopped(&arguments.file, error))?;
        if imported.cache != cache.name() {
            let note = format!("note: the snapshot was taken of cache `{}`", imported.cache);
            context.output.done(note);
        }
        match arguments.answer.format {
            Format::Human => context.output.done(summary(cache.name(), &imported)),
            Format::Json => {
                let document = serde_json::to_value(&imported);
                let document = document.expect("numbers and a text are JSON");
                context.output.json(&document)?;
            }
        }
        Ok(Exit::Success)
    })
}

/// The snapshot, and how long it is.
fn open(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>), Failure> {
    if is_stream(path) {
        if io::stdin().is_terminal() {
            let message = "a snapshot is bytes, not from a terminal; hint: name a file";
            return Err(Failure::new(Exit::Usage, message));
        }
        return Ok((Box::new(io::stdin()), None));
    }
    let open = || {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if found.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok((file, found.is_file().then_some(found.len())))
    };
    let (file, length) = open().map_err(|error| Failure::reading(path, &error))?;
    Ok((Box::new(file), length))
}

fn is_stream(path: &Path) -> bool {
    path == Path::new("-")
}

/// Why an import ended before the snapshot did, and what was imported before.
fn stopped(path: &Path, error: CacheError) -> Failure {
    let path = if is_stream(path) { "stdin".into() } else { path.display().to_string() };
    let imported = error.context("imported").and_then(|count| count.parse().ok()).unwrap_or(0);
    let before = format!("{} imported before", counted(imported, "entry"));
    match (error.kind(), error.context("record"), error.context("reason")) {
        (ErrorKind::Serialization, Some("0"), Some(reason)) => {
            Failure::new(Exit::Io, format!("`{path}` is damaged: {reason}; nothing was imported"))
        }
        (ErrorKind::Serialization, Some(record), Some(reason)) => Failure::new(
            Exit::Io,
            format!("`{path}` is damaged at record {record}: {reason}; {before}"),
        ),
        (ErrorKind::Serialization, ..) => Failure::new(Exit::Io, format!("`{path}`: {error}")),
        _ => Failure::from(error),
    }
}

fn summary(name: &str, imported: &Imported) -> String {
    let mut text = format!("imported {} into `{name}`", counted(imported.entries, "entry"));
    for (count, what) in [
        (imported.expired, "whose life is over"),
        (imported.older, "not newer than what is there"),
        (imported.invalidated, "of an invalidated tag"),
        (imported.refused, "that the cache cannot take"),
    ] {
        if count > 0 {
            text += &format!("; left out {count} {what}");
        }
    }
    text
}

/// Works with one cache that outlives the process.
fn with_cache<F>(name: &str, context: &mut Context<'_>, work: F) -> Result<Exit, Failure>
where
    F: AsyncFnOnce(&DynamicCache, &mut Context<'_>) -> Result<Exit, Failure>,
{
    let (file, config, registry) = context.config()?;
    outliving::require_to_copy(&config, name, &registry)?;
    cache::with_caches(&file, &[name.to_owned()], context, async |caches, context| {
        let cache = caches.dynamic(name)?;
        work(&cache, context).await
    })
}

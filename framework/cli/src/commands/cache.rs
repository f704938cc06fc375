//! Commands about the entries of caches that outlive the process.
//!
//! They build the caches of the config like an application does, so that they see what an
//! application sees: the same keys, serializers, lives and checks.

use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::time::Duration;

use larder::{CacheManager, DynamicCache, Life, SetOptions};
use serde_json::{Value, json};

use super::outliving;
use crate::args::{Answer, Clear, Entry, Format};
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::counted;

/// Does one of the commands about entries.
pub(super) fn entry(command: Entry, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let name = command.cache().to_owned();
    with_cache(&name, context, async |cache, context| match command {
        Entry::Get { key, answer, .. } => get(cache, &key, answer, context).await,
        Entry::Set { key, value, ttl, json, .. } => {
            let value = parsed(value, json)?;
            let options = SetOptions::new();
            let options = match ttl {
                Some(ttl) => options.ttl(ttl),
                None => options,
            };
            cache.set_with(key.as_str(), value, &options).await?;
            require_all_tiers(cache)?;
            context.output.done(format_args!("stored `{key}` in `{}`", cache.name()));
            Ok(Exit::Success)
        }
        Entry::Del { keys, answer, .. } => {
            let removed = cache.delete_many(keys.iter().map(String::as_str)).await?;
            require_all_tiers(cache)?;
            let text = format!("{} removed", counted(removed, "entry"));
            say(answer, &text, &json!({ "removed": removed }), context)?;
            Ok(Exit::Success)
        }
        Entry::Exists { key, answer, .. } => {
            let exists = cache.exists(key.as_str()).await?;
            if !exists {
                require_all_tiers(cache)?;
            }
            let text = if exists { "yes" } else { "no" };
            say(answer, text, &json!({ "exists": exists }), context)?;
            Ok(Exit::answer(exists))
        }
        Entry::Ttl { key, answer, .. } => {
            let Some(life) = cache.ttl(key.as_str()).await? else {
                return Err(missing(cache, &key));
            };
            let seconds = life.duration().map(|duration| duration.as_secs_f64());
            let text = readable(life).to_string();
            say(answer, &text, &json!({ "ttl": text, "seconds": seconds }), context)?;
            Ok(Exit::Success)
        }
        Entry::Scan { pattern, answer, .. } => {
            let keys = cache.keys(&pattern).await?;
            let text = keys.join("\n");
            if keys.is_empty() && answer.format == Format::Human {
                context.output.done(format_args!("no key of `{}` matches", cache.name()));
            } else {
                say(answer, &text, &json!({ "keys": keys }), context)?;
            }
            Ok(Exit::Success)
        }
    })
}

/// `larder clear`, which asks before it removes anything.
pub(super) fn clear(arguments: &Clear, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let name = arguments.cache.as_str();
    with_cache(name, context, async |cache, context| {
        if !arguments.yes && !is_confirmed(name, context)? {
            context.output.done("nothing was removed");
            return Ok(Exit::No);
        }
        cache.clear().await?;
        require_all_tiers(cache)?;
        context.output.done(format_args!("cleared `{name}`"));
        Ok(Exit::Success)
    })
}

/// Works with one cache that outlives the process.
fn with_cache<F>(name: &str, context: &mut Context<'_>, work: F) -> Result<Exit, Failure>
where
    F: AsyncFnOnce(&DynamicCache, &mut Context<'_>) -> Result<Exit, Failure>,
{
    let (file, config, registry) = context.config()?;
    outliving::require(&config, name, &registry)?;
    with_caches(&file, &[name.to_owned()], context, async |caches, context| {
        let cache = caches.dynamic(name)?;
        work(&cache, context).await
    })
}

/// Builds some caches of a config, works with them, and closes them whatever happened.
pub(super) fn with_caches<F>(
    file: &Path,
    names: &[String],
    context: &mut Context<'_>,
    work: F,
) -> Result<Exit, Failure>
where
    F: AsyncFnOnce(&CacheManager, &mut Context<'_>) -> Result<Exit, Failure>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Failure::new(Exit::No, format!("cannot start the runtime: {}", error.kind()))
    })?;
    runtime.block_on(async {
        let caches = context.caches(file, names).await?;
        let outcome = work(&caches, context).await;
        let closed = caches.close().await;
        let exit = outcome?;
        closed?;
        Ok(exit)
    })
}

async fn get(
    cache: &DynamicCache,
    key: &str,
    answer: Answer,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    let Some(value) = cache.get(key).await? else { return Err(missing(cache, key)) };
    match (answer.format, &value) {
        (Format::Human, Value::String(text)) => context.output.stored(text)?,
        _ => context.output.json(&value)?,
    }
    Ok(Exit::Success)
}

/// Without parts of a second where there are whole ones.
fn readable(life: Life) -> Life {
    match life {
        Life::For(left) if left.as_secs() > 0 => Life::For(Duration::from_secs(left.as_secs())),
        other => other,
    }
}

/// An application goes on when a tier fails, for the next one may do. Here the answer would be
/// wrong: not there, although it may be, or stored or removed, although it is not.
fn require_all_tiers(cache: &DynamicCache) -> Result<(), Failure> {
    let tiers = cache.stats().snapshot().tiers;
    let Some(failed) = tiers.iter().find(|tier| tier.failures > 0) else { return Ok(()) };
    let message = format!(
        "tier `{}` (`{}`) of cache `{}` failed; hint: without `-q` a warning says why",
        failed.tier,
        failed.backend,
        cache.name()
    );
    Err(Failure::new(Exit::Unavailable, message))
}

/// That there is no such entry, unless nobody can know.
fn missing(cache: &DynamicCache, key: &str) -> Failure {
    if let Err(failure) = require_all_tiers(cache) {
        return failure;
    }
    Failure::new(Exit::No, format!("there is no `{key}` in cache `{}`", cache.name()))
}

/// The value of an argument: JSON if it is, else a text, unless only JSON will do.
fn parsed(text: String, must_be_json: bool) -> Result<Value, Failure> {
    match serde_json::from_str(&text) {
        Ok(value) => Ok(value),
        Err(error) if must_be_json => {
            let message = format!("the value is not JSON: {error}; hint: leave out `--json`");
            Err(Failure::new(Exit::Usage, message))
        }
        Err(_) => Ok(Value::String(text)),
    }
}

fn say(
    answer: Answer,
    text: &str,
    document: &Value,
    context: &mut Context<'_>,
) -> Result<(), Failure> {
    match answer.format {
        Format::Human => context.output.line(text),
        Format::Json => context.output.json(document),
    }
}

/// Asks on the terminal. Where nobody can answer, `--yes` has to say it.
fn is_confirmed(name: &str, context: &mut Context<'_>) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let message = format!(
            "`larder clear` removes every entry of `{name}` and cannot ask here; \
             hint: add `--yes`"
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    context.output.note(&format!("Remove every entry of `{name}`? [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer);
    read.map_err(|error| Failure::new(Exit::Io, format!("cannot read: {}", error.kind())))?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

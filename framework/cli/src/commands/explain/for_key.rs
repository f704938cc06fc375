//! `larder explain caches.users --key user:42`: what holds for one key, and what sets it.

use larder::config::effective::{KeyOptions, for_key};
use larder::config::loader::Resolved;
use larder::config::suggest::closest;
use larder::plugin::key::check_text;
use serde_json::{Value, json};

use crate::args::{Explain, Format};
use crate::commands::show::segments;
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) fn run(
    arguments: &Explain,
    key: &str,
    context: &mut Context<'_>,
) -> Result<Exit, Failure> {
    check_text(key)?;
    let (_, resolved) = context.resolved()?;
    if let Err(error) = context.check(&resolved).into_config() {
        return Err(Failure::Config(Box::new(error.report().clone())));
    }
    let Some(found) = for_key(&resolved, &segments(&arguments.subject), key) else {
        return Err(unknown(&arguments.subject, &resolved));
    };
    match arguments.answer.format {
        Format::Human => human(&found, key, context)?,
        Format::Json => context.output.json(&object(&found, key))?,
    }
    Ok(Exit::Success)
}

fn human(found: &KeyOptions, key: &str, context: &mut Context<'_>) -> Result<(), Failure> {
    let rule = match &found.rule {
        Some(rule) => format!("rule {} counts, `{}` at {}", rule.number, rule.pattern, rule.at),
        None => "no rule matches".to_owned(),
    };
    context.output.line(format_args!("key `{key}` of {}: {rule}\n", found.cache))?;
    let rows = found.options.iter().map(|option| {
        [
            option.name.clone(),
            option.value.clone().unwrap_or_else(|| "-".to_owned()),
            option.from.clone(),
            option.at.clone().unwrap_or_default(),
        ]
    });
    context.output.table(["OPTION", "VALUE", "FROM", "AT"], rows)
}

fn object(found: &KeyOptions, key: &str) -> Value {
    let rule = found
        .rule
        .as_ref()
        .map(|rule| json!({ "number": rule.number, "pattern": rule.pattern, "at": rule.at }));
    let options = found.options.iter().map(|option| {
        json!({
            "name": option.name,
            "value": option.value,
            "from": option.from,
            "at": option.at,
        })
    });
    json!({
        "cache": found.cache,
        "key": key,
        "rule": rule,
        "options": options.collect::<Vec<_>>(),
    })
}

fn unknown(subject: &str, resolved: &Resolved) -> Failure {
    let caches = resolved.root.find(&["caches".to_owned()]).and_then(|node| node.as_table());
    let names = caches.into_iter().flatten().map(|item| format!("caches.{}", item.key));
    let names: Vec<String> = names.collect();
    let hint = match closest(subject, names.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`--key` goes with a cache, such as `caches.users`".to_owned(),
    };
    let message = format!("the config has no cache `{subject}`; hint: {hint}");
    Failure::new(Exit::No, message)
}

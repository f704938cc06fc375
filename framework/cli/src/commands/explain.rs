//! `larder explain`: the long text of a code, an option or a plugin; or, with `--key`, what holds
//! for one key.

use larder::Registry;
use larder::config::explain::{OptionDoc, codes, describe, explain};
use larder::config::suggest::closest;
use serde_json::json;

use crate::args::{Explain, Format};
use crate::context::Context;
use crate::exit::{Exit, Failure};

mod for_key;

pub(super) fn run(arguments: &Explain, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let subject = arguments.subject.as_str();
    if let Some(key) = &arguments.key {
        return for_key::run(arguments, key, context);
    }
    let is_json = arguments.answer.format == Format::Json;
    if let Some(text) = explain(subject) {
        let code = subject.to_ascii_uppercase();
        if is_json {
            context.output.json(&json!({ "code": code, "text": text.trim_end() }))?;
        } else {
            context.output.line(text.trim_end())?;
        }
        return Ok(Exit::Success);
    }
    let doc = match describe(&context.registry, subject) {
        Some(doc) => doc,
        None => of_library(subject, context)?,
    };
    if is_json {
        let document = json!({
            "title": doc.title,
            "description": doc.description,
            "facts": doc.facts,
            "options": doc.options,
            "see_also": doc.see_also,
        });
        context.output.json(&document)?;
    } else {
        context.output.data(&text(&doc))?;
    }
    Ok(Exit::Success)
}

fn text(doc: &OptionDoc) -> String {
    let mut text = format!("{}\n", doc.title);
    if let Some(description) = &doc.description {
        text += &format!("\n{description}\n");
    }
    text + &options(doc)
}

/// What follows the title: facts, and the options that it contains.
pub(super) fn options(doc: &OptionDoc) -> String {
    let mut text = String::new();
    for (head, lines) in [("", &doc.facts), ("contains:\n", &doc.options)] {
        if lines.is_empty() {
            continue;
        }
        text += "\n";
        text += head;
        for line in lines {
            text += &format!("  {line}\n");
        }
    }
    if !doc.see_also.is_empty() {
        let others: Vec<String> = doc.see_also.iter().map(|name| format!("`{name}`")).collect();
        text += &format!("\nsee also {}\n", others.join(", "));
    }
    text
}

/// What only the libraries know that the config names; they are loaded for nothing else.
fn of_library(subject: &str, context: &mut Context<'_>) -> Result<OptionDoc, Failure> {
    let (registry, _) = context.plugins()?;
    describe(&registry, subject).ok_or_else(|| unknown(subject, &registry))
}

fn unknown(subject: &str, registry: &Registry) -> Failure {
    let kinds = registry.iter().map(|plugin| plugin.descriptor.kind);
    let hint = match closest(subject, codes().chain(kinds)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "name a code such as `C0203`, an option such as `caches.users.ttl`, or a kind of \
                 `larder plugins list`"
            .to_owned(),
    };
    let message = format!("there is no code, option or plugin `{subject}`; hint: {hint}");
    Failure::new(Exit::No, message)
}

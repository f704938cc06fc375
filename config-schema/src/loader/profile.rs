//! `[profile.NAME]`: the sections that a profile lays over the others.

use super::merge::set_layer;
use crate::diagnostic::{Diagnostic, Label};
use crate::suggest::closest;
use crate::tree::{Layer, Location, Table, Value};

/// Takes all profiles out of the root and returns the chosen one.
///
/// `named_at` is where the choice was made, when that was a variable.
pub(super) fn take(
    files: &mut Table,
    chosen: Option<&str>,
    named_at: Option<Location>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Table> {
    let mut profiles = match files.remove("profile").map(|item| item.node) {
        Some(node) => match node.value {
            Value::Table(profiles) => profiles,
            other => {
                diagnostics.push(
                    Diagnostic::error("C0306", "`profile` must be a table")
                        .at(node.at, other.describe())
                        .help("write `[profile.dev.caches.users]` and the options below"),
                );
                return None;
            }
        },
        None => Table::default(),
    };
    let chosen = chosen?;
    let Some(mut item) = profiles.remove(chosen) else {
        diagnostics.push(unknown(chosen, named_at, &profiles));
        return None;
    };
    set_layer(&mut item.node, &Layer::Profile(chosen.to_owned()));
    match item.node.value {
        Value::Table(sections) => Some(sections),
        other => {
            diagnostics.push(
                Diagnostic::error("C0306", format!("profile `{chosen}` must be a table"))
                    .at(item.node.at, other.describe()),
            );
            None
        }
    }
}

fn unknown(chosen: &str, named_at: Option<Location>, profiles: &Table) -> Diagnostic {
    let mut diagnostic = Diagnostic::error("C0305", format!("unknown profile `{chosen}`"));
    diagnostic.primary = named_at.map(|at| Label::new(at, ""));
    let help = format!(
        "add `[profile.{chosen}.…]`, or choose another with `--profile` or `LARDER_PROFILE`"
    );
    let names: Vec<&str> = profiles.iter().map(|item| item.key.as_str()).collect();
    if names.is_empty() {
        return diagnostic.note("the config has no profiles").help(help);
    }
    diagnostic = diagnostic.note(format!("profiles: {}", names.join(", ")));
    match closest(chosen, names) {
        Some(similar) => diagnostic.help(format!("did you mean `{similar}`?")),
        None => diagnostic.help(help),
    }
}

//! Required options that nobody set.

use serde_json::Value as Json;

use super::options::{Checker, Owner, Spot};
use crate::diagnostic::{Diagnostic, Fix};
use crate::shape;
use crate::tree::{Item, Location};

impl<'a> Checker<'a> {
    /// Reports every required option that is missing.
    pub(super) fn is_missing_any(
        &mut self,
        spot: Spot<'a, '_>,
        items: &[&'a Item],
        schema: &Json,
        owner: &Owner,
    ) -> bool {
        let mut is_missing = false;
        for name in shape::texts(schema, "required") {
            if items.iter().any(|item| item.key == name) {
                continue;
            }
            is_missing = true;
            let option = &schema["properties"][name];
            let at = spot.key_at.unwrap_or(&spot.node.at).clone();
            let message = format!("{} needs option `{name}`", owner.label);
            // An element of a list inherits nothing.
            let inherited = spot.key_at.map_or("", |_| " and in everything it inherits");
            let label = format!("`{name}` missing in this table{inherited}");
            let mut diagnostic = Diagnostic::error("C0208", message)
                .at(at, label)
                .path(spot.path.join(name))
                .note(shape::summary(name, option, true));
            if let Some(fix) = self.addition(items, name, option, owner) {
                diagnostic = diagnostic.fix(fix);
            }
            self.diagnostics.push(diagnostic);
        }
        is_missing
    }

    /// Adds an option with its example value, after `kind` and in the style of the table.
    fn addition(
        &self,
        items: &[&'a Item],
        name: &str,
        option: &Json,
        owner: &Owner,
    ) -> Option<Fix> {
        let example = option.get("examples")?.get(0)?;
        let (_, kind_at) = owner.kind.as_ref()?;
        let source = self.sources.get(kind_at.source);
        let text = &source.text;
        let line_start = text.get(..kind_at.span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..)?.lines().next()?;
        let is_yaml = !line.contains('=');
        let indent = &line[..line.len() - line.trim_start().len()];
        // The table must be a block, one option per line, or the new line would not belong to it.
        if !line.trim_start().starts_with("kind") {
            return None;
        }
        items.iter().find(|item| item.key_at.source == kind_at.source)?;
        let (key, sign) = if is_yaml {
            (format!("{name}: "), "")
        } else {
            let width = line.find('=')?.saturating_sub(indent.len() + 1);
            (format!("{name:width$} "), "= ")
        };
        let line_end = line_start + line.len();
        let at = text.get(line_end..)?.find('\n').map(|newline| line_end + newline + 1)?;
        let edit = Location::new(kind_at.source, at..at);
        Some(Fix::replace("add it", edit, format!("{indent}{key}{sign}{example}\n")))
    }
}

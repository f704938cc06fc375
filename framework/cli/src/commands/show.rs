//! `larder show`: the config with all layers applied, without secrets.

use larder::config::show::{Row, rows};
use larder::plugin::KeyPath;
use serde_json::{Value, json};

use crate::args::{Format, Show};
use crate::context::Context;
use crate::exit::{Exit, Failure};

pub(super) fn run(arguments: &Show, context: &mut Context<'_>) -> Result<Exit, Failure> {
    let (_, resolved) = context.resolved()?;
    if let Err(error) = context.check(&resolved).into_config() {
        return Err(Failure::Config(Box::new(error.report().clone())));
    }
    let asked = segments(arguments.path.as_deref().unwrap_or_default());
    let mut rows = rows(&resolved, &context.registry, &asked);
    let path = KeyPath::from_segments(asked).to_string();
    if rows.is_empty() && !path.is_empty() {
        let message =
            format!("the config has nothing at `{path}`; hint: `larder show` lists all there is");
        return Err(Failure::new(Exit::No, message));
    }
    match (arguments.answer.format, rows.as_slice()) {
        (Format::Human, [row]) if row.path.is_empty() && !arguments.origin => {
            context.output.line(&row.value)?;
        }
        (Format::Human, _) => human(&rows, arguments.origin, context)?,
        (Format::Json, _) => {
            for row in &mut rows {
                row.path = joined(&path, &row.path);
            }
            let rows = rows.iter().map(|row| object(row, arguments.origin));
            context.output.json(&rows.collect())?;
        }
    }
    Ok(Exit::Success)
}

/// The whole path of a value below a path.
fn joined(above: &str, below: &str) -> String {
    let dot = if above.is_empty() || below.is_empty() { "" } else { "." };
    format!("{above}{dot}{below}")
}

/// Columns as wide as they must be: these lines are searched and compared, so none is wrapped.
fn human(rows: &[Row], with_origin: bool, context: &mut Context<'_>) -> Result<(), Failure> {
    let width = |column: fn(&Row) -> &str| {
        let widths = rows.iter().map(|row| column(row).chars().count());
        widths.max().unwrap_or_default()
    };
    let (path, value, origin) =
        (width(|row| &row.path), width(|row| &row.value), width(|row| &row.origin));
    let mut text = String::new();
    for row in rows {
        let line = if with_origin {
            let beside = match (row.layer.as_str(), row.note.as_str()) {
                (layer, "") => layer.to_owned(),
                ("", note) => format!("({note})"),
                (layer, note) => format!("{layer} ({note})"),
            };
            format!("{:path$}  {:value$}  {:origin$}  {beside}", row.path, row.value, row.origin)
        } else {
            format!("{:path$}  {}", row.path, row.value)
        };
        text += line.trim_end();
        text.push('\n');
    }
    context.output.data(&text)
}

fn object(row: &Row, with_origin: bool) -> Value {
    let mut object = json!({ "path": row.path, "value": row.value });
    if with_origin {
        object["origin"] = json!(row.origin);
        object["layer"] = json!(row.layer);
        object["note"] = json!(row.note);
    }
    object
}

/// The segments of `caches."api.users".ttl`: dots inside of quotes do not split.
pub(super) fn segments(path: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut is_quoted = false;
    for char in path.chars() {
        match (char, segments.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            ('.', _) if !is_quoted => segments.push(String::new()),
            (char, Some(last)) => last.push(char),
            (_, None) => {}
        }
    }
    segments.retain(|segment| !segment.is_empty());
    segments
}

#[cfg(test)]
mod tests {
    use super::segments;

    #[test]
    fn quotes_keep_dots_together() {
        assert_eq!(segments(""), [""; 0]);
        assert_eq!(segments("caches.users.ttl"), ["caches", "users", "ttl"]);
        assert_eq!(segments("caches.\"api.users\".ttl"), ["caches", "api.users", "ttl"]);
    }
}

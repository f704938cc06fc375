//! Secrets that no schema names: in sections and plugins that are unknown, in addresses, and in
//! files that could not be parsed.

use crate::loader::{has_credentials, looks_secret};
use crate::tree::{Location, Node, SourceId, SourceKind, Sources, Value};

/// Literal values below keys with the name of a secret, and addresses with a password.
pub(super) fn by_key(node: &Node, is_secret: bool, found: &mut Vec<Location>) {
    match &node.value {
        Value::Table(table) => {
            for item in table {
                by_key(&item.node, is_secret || looks_secret(&item.key), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                by_key(item, is_secret, found);
            }
        }
        Value::String(text) if is_secret || has_credentials(text) => {
            if node.reference.is_none() {
                found.push(node.at.clone());
            }
            found.extend(node.replaced.iter().cloned());
        }
        Value::Integer(_) | Value::Float(_) if is_secret => found.push(node.at.clone()),
        _ => {}
    }
}

/// The rest of every line that gives a value to something with the name of a secret.
pub(super) fn by_name(sources: &Sources) -> Vec<Location> {
    let files = sources.iter();
    let files = files.filter(|(_, source)| source.kind == SourceKind::File);
    files.flat_map(|(id, source)| in_text(id, &source.text)).collect()
}

fn in_text(id: SourceId, text: &str) -> Vec<Location> {
    let mut secrets = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let end = start + line.trim_end().len();
        // A line may have several keys: `{ user = "a", password = "b" }`.
        let mut from = 0;
        while let Some(sign) = line[from..].find(['=', ':']).map(|at| from + at) {
            let key = line[from..sign].trim_end().trim_end_matches(['"', '\'']);
            let word = key.rfind(|c: char| !c.is_alphanumeric() && c != '_' && c != '-');
            let word =
                word.map_or(key, |at| key[at..].trim_start_matches(|c: char| !c.is_alphanumeric()));
            let value = line[sign + 1..].trim_start();
            if looks_secret(word) && !value.trim_matches(['"', '\'']).starts_with("${") {
                secrets.push(Location::new(id, (start + sign + 1).min(end)..end));
                break;
            }
            from = sign + 1;
        }
        start += line.len();
    }
    secrets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_secret_name_is_hidden_and_references_are_not() {
        let text = "url = \"a\"\npassword = \"x\nm = { user = \"u\", token = \"y\" }\n\
                    password = \"${env:P}\"\n  \"api_key\": z\n";
        let shown: Vec<&str> =
            in_text(SourceId(0), text).into_iter().map(|secret| &text[secret.span]).collect();
        assert_eq!(shown, [" \"x", " \"y\" }", " z"]);
    }
}

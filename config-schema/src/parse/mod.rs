//! From text to the spanned tree.
//!
//! The parsers of the formats are other people's; what is ours is that every key and value keeps
//! its place, that all mistakes come out at once, and that their texts help.

use std::path::Path;

use crate::diagnostic::Diagnostic;
use crate::tree::{Location, Node, SourceId};

mod json_errors;
mod text;
mod toml;
mod toml_errors;
mod yaml;
mod yaml_errors;

pub(crate) use self::text::quoted_like;

#[cfg(test)]
mod tests;

/// In which language a config is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// `.json`
    Json,
    /// `.toml`
    Toml,
    /// `.yaml` and `.yml`
    Yaml,
}

impl Format {
    /// The format that the extension of a path stands for.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" => Some(Self::Json),
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// The tree of a text, or `None` after adding what is wrong with it to `diagnostics`.
///
/// The root is always a table, also that of an empty text. Texts above 4 MiB are refused, and so
/// are values nested deeper than 80 levels in TOML and 24 in YAML and JSON.
pub fn parse(
    source: SourceId,
    text: &str,
    format: Format,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<Node> {
    if text.len() > MAX_BYTES {
        let at = Location::new(source, 0..0);
        diagnostics.push(
            Diagnostic::error("C0103", "the config is larger than 4 MiB")
                .at(at, "")
                .help("is this the right file? split it with `include` if it is"),
        );
        return None;
    }
    match format {
        Format::Toml => toml::parse(source, text, diagnostics),
        Format::Json => yaml::parse_json(source, text, diagnostics),
        Format::Yaml => yaml::parse(source, text, diagnostics),
    }
}

/// Nobody writes a config of this size; a core dump or a log file handed over by mistake is.
pub(crate) const MAX_BYTES: usize = 4 << 20;

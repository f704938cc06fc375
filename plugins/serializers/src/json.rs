//! JSON: readable by people and by every language.
//!
//! What JSON cannot express is bent by `serde_json`, which an application has to know:
//!
//! * Not-a-number and the infinities are written as `null`. They are refused when an `f64` is
//!   read (the entry is then a miss each time), and read as `None` where the type is an
//!   `Option<f64>`. Use `messagepack` for such values.
//! * Bytes become arrays of numbers, three to four times as large.
//! * Keys of maps become strings and are read back as what they were; keys that are neither
//!   strings, numbers, `bool` nor `char` are refused when written.

mod depth;

use larder_core::erased_serde;
use larder_core::serializer::{Visit, formats};
use larder_core::{
    BuildContext, Descriptor, PluginConfig, Result, Serializer, async_trait, descriptor, register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::ser::{CompactFormatter, PrettyFormatter};

use crate::{not_read, not_written};
use depth::Limited;

/// Options of the `json` serializer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct JsonConfig {
    /// Whether to indent, for people who look into the store. Costs room and time. Entries that
    /// were written the other way stay readable. Default `false`.
    #[serde(default)]
    pub pretty: bool,
}

#[async_trait]
impl PluginConfig for JsonConfig {
    const KIND: &'static str = "json";
    const SUMMARY: &'static str = "JSON text, readable by people and other languages";
    type Plugin = Json;

    async fn build(self, _context: &BuildContext) -> Result<Json> {
        Ok(Json::new(self))
    }
}

/// Writes and reads JSON.
#[derive(Clone, Debug, Default)]
pub struct Json {
    config: JsonConfig,
}

impl Json {
    /// A serializer with these options.
    #[must_use]
    pub const fn new(config: JsonConfig) -> Self {
        Self { config }
    }
}

impl Serializer for Json {
    fn format(&self) -> u16 {
        formats::JSON
    }

    fn serialize(&self, value: &dyn erased_serde::Serialize, out: &mut Vec<u8>) -> Result<()> {
        let written = if self.config.pretty {
            write(value, out, PrettyFormatter::new())
        } else {
            write(value, out, CompactFormatter)
        };
        written.map_err(|error| not_written(JsonConfig::KIND, error))
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        // The deserializer has a limit of its own, which is the same as ours.
        let mut json = serde_json::Deserializer::from_slice(bytes);
        visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(&mut json))
            .map_err(|error| not_read(JsonConfig::KIND, error))?;
        json.end().map_err(|error| not_read(JsonConfig::KIND, error))
    }
}

fn write<F: serde_json::ser::Formatter>(
    value: &dyn erased_serde::Serialize,
    out: &mut Vec<u8>,
    formatter: F,
) -> serde_json::Result<()> {
    let mut json = serde_json::Serializer::with_formatter(out, Limited::new(formatter));
    erased_serde::serialize(value, &mut json)
}

/// The plugin, for explicit registration.
pub const JSON: Descriptor = descriptor!(serializer: JsonConfig);

register!(serializer: JsonConfig);

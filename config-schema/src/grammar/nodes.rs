//! Values of the grammar that are more than one type: plugins, names or lists of them.

use std::borrow::Cow;

use larder_core::ByteSize;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;

/// A plugin as the config names it, after the checks.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Picked {
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) options: Value,
}

/// A serializer as the config names it, after the checks.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PickedSerializer {
    #[serde(flatten)]
    pub(crate) picked: Picked,
    pub(crate) wrapping: WrapSection,
}

/// What every serializer takes beside its own options: where its output goes through.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct WrapSection {
    /// What makes values smaller. A value that does not get smaller is stored as it is.
    pub(crate) compress: Option<CompressNode>,
    /// The least size of a serialized value that is compressed; `1KiB` when absent. Most shorter
    /// values hardly get smaller, and all of them take time.
    pub(crate) compress_min: Option<ByteSize>,
    /// What makes values unreadable, and unchangeable, for who does not have the key. Keys of
    /// entries, names of caches, times and sizes stay readable.
    pub(crate) encrypt: Option<EncryptNode>,
    /// What writes values in other characters, for stores that only take text.
    pub(crate) encode: Option<EncodeNode>,
}

macro_rules! plugin_node {
    ($($name:ident($picked:ident) = $schema:tt),* $(,)?) => {$(
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) $picked);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

plugin_node! {
    BackendNode(Picked) = { "x-plugin": "backend" },
    CompressNode(Picked) = { "x-plugin": "wrapper", "x-role": "compress" },
    ConnectionNode(Picked) = { "x-plugin": "connection" },
    EncodeNode(Picked) = { "x-plugin": "wrapper", "x-role": "encode" },
    EncryptNode(Picked) = { "x-plugin": "wrapper", "x-role": "encrypt" },
    PolicyNode(Picked) = { "x-plugin": "policy" },
    SerializerNode(PickedSerializer) = { "x-plugin": "serializer" },
}

/// A backplane; ignored in this release.
#[derive(Debug)]
pub(crate) struct InvalidatorNode;

/// A replicator; ignored in this release.
#[derive(Debug)]
pub(crate) struct ReplicatorNode;

/// A warmer; ignored in this release.
#[derive(Debug)]
pub(crate) struct WarmerNode;

/// A name or a list of names.
#[derive(Debug)]
pub(crate) struct OneOrMany;

/// A glob or a list of globs.
#[derive(Debug)]
pub(crate) struct Globs;

/// A text, or one per operating system.
#[derive(Debug)]
pub(crate) struct OnePerSystem;

macro_rules! schema_only {
    ($($name:ident = $schema:tt),* $(,)?) => {$(
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                serde::de::IgnoredAny::deserialize(deserializer).map(|_| Self)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

schema_only! {
    InvalidatorNode = { "x-plugin": "invalidator" },
    ReplicatorNode = { "x-plugin": "replicator" },
    WarmerNode = { "x-plugin": "warmer" },
    OneOrMany = { "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" } },
    ] },
    Globs = { "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" }, "minItems": 1 },
    ] },
    OnePerSystem = { "anyOf": [
        { "type": "string" },
        {
            "type": "object",
            "properties": {
                "linux": { "type": "string" },
                "macos": { "type": "string" },
                "windows": { "type": "string" },
            },
            "additionalProperties": false,
        },
    ] },
}

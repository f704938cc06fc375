//! Values of the grammar that are more than one type: plugins, names or lists of them.

use std::borrow::Cow;

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

macro_rules! plugin_node {
    ($($name:ident = $slot:literal),* $(,)?) => {$(
        #[derive(Clone, Debug, Deserialize)]
        #[serde(transparent)]
        pub(crate) struct $name(pub(crate) Picked);

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "x-plugin": $slot })
            }
        }
    )*};
}

plugin_node! {
    BackendNode = "backend",
    ConnectionNode = "connection",
    PolicyNode = "policy",
    SerializerNode = "serializer",
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

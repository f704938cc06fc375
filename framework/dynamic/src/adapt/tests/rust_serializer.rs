//! Serializers in Rust behind their own table: what they should not do is an error of the call.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::FutureExt;
use larder_core::erased_serde;
use larder_core::plugin::Factory;
use larder_core::serializer::{Visit, format_of};
use larder_core::{BuildContext, CacheError, ErrorKind, PluginConfig, Result, Serializer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::{Error, SeqDeserializer};
use serde_json::{Value, json};

use crate::adapt::descriptor;
use crate::guest::part;
use crate::testing;

/// A serializer that does what the bytes say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct MoodyConfig {
    /// The number it claims to have, other than that of its kind.
    format: Option<u16>,
}

#[derive(Debug)]
struct Moody(u16);

#[async_trait]
impl PluginConfig for MoodyConfig {
    const KIND: &'static str = "tested.moody-serializer";
    const SUMMARY: &'static str = "does what the bytes say";

    type Plugin = Moody;

    async fn build(self, _: &BuildContext) -> Result<Moody> {
        Ok(Moody(self.format.unwrap_or(format_of(Self::KIND))))
    }
}

impl Serializer for Moody {
    fn format(&self) -> u16 {
        self.0
    }

    fn serialize(&self, _: &dyn erased_serde::Serialize, _: &mut Vec<u8>) -> Result<()> {
        panic!("not now")
    }

    fn deserialize(&self, bytes: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        if bytes == b"nothing" {
            return Ok(());
        }
        assert_ne!(bytes, b"panic", "not now either");
        let lies = SeqDeserializer::<_, Error>::new(Claims);
        let read = visit(&mut <dyn erased_serde::Deserializer<'_>>::erase(lies));
        read.map_err(|error| CacheError::transparent(ErrorKind::Serialization, error))
    }
}

/// Says that it has more elements than there is memory, and has none.
struct Claims;

impl Iterator for Claims {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (1 << 31, Some(1 << 31))
    }
}

/// Its runtime is the one of these tests, so it cannot be built in one.
fn moody(options: Value) -> Result<Arc<dyn Serializer>> {
    let component = testing::component(part::serializer::<MoodyConfig>().component());
    let descriptor = descriptor(component, "1.0.0").expect("serializers are used");
    let Factory::Serializer(factory) = descriptor.factory else { panic!("it is a serializer") };
    let built = factory.build(options, &BuildContext::new("tested")).now_or_never();
    built.expect("it waits for nothing")
}

#[test]
fn what_it_should_not_do_is_an_error_of_the_call_and_not_of_the_next() {
    let moody = moody(json!({})).unwrap();
    let read = |bytes: &[u8]| {
        let failed = moody.deserialize(bytes, &mut |value| {
            erased_serde::deserialize::<Vec<u64>>(value).map(drop)
        });
        failed.unwrap_err()
    };
    let said = [
        (read(b"panic"), ErrorKind::Plugin, "not now either"),
        (read(b"nothing"), ErrorKind::Plugin, "without a value"),
        (read(b"lies"), ErrorKind::Serialization, "is no value"),
        (moody.serialize(&1, &mut Vec::new()).unwrap_err(), ErrorKind::Plugin, "not now"),
    ];
    for (error, kind, words) in said {
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn a_format_that_is_not_that_of_its_kind_is_refused_when_it_is_built() {
    let error = moody(json!({"format": 9})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Plugin, "{error}");
    assert!(error.to_string().contains("hint: `format` must return"), "{error}");
}

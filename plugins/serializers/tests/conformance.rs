//! Every serializer keeps the contract that the conformance kit proves.

use larder_conformance::{plugin, serializer};
#[cfg(feature = "cbor")]
use larder_serializers::{CBOR, Cbor};
use larder_serializers::{
    JSON, Json, JsonConfig, MESSAGEPACK, MessagePack, RAW, Raw, STRING, TYPED, Text, Typed,
};
#[cfg(feature = "pickle")]
use larder_serializers::{PICKLE, Pickle};
#[cfg(feature = "postcard")]
use larder_serializers::{POSTCARD, Postcard};

fn json() -> Json {
    Json::default()
}

fn pretty_json() -> Json {
    let mut config = JsonConfig::default();
    config.pretty = true;
    Json::new(config)
}

serializer!(json, All as json_keeps_the_contract);
serializer!(pretty_json, All as pretty_json_keeps_the_contract);
plugin!(JSON as json_says_what_it_is);

serializer!(MessagePack::new, All as messagepack_keeps_the_contract);
plugin!(MESSAGEPACK as messagepack_says_what_it_is);

#[cfg(feature = "cbor")]
serializer!(Cbor::new, All as cbor_keeps_the_contract);
#[cfg(feature = "cbor")]
plugin!(CBOR as cbor_says_what_it_is);

#[cfg(feature = "pickle")]
serializer!(Pickle::default, All as pickle_keeps_the_contract);
#[cfg(feature = "pickle")]
plugin!(PICKLE as pickle_says_what_it_is);

#[cfg(feature = "postcard")]
serializer!(Postcard::new, All as postcard_keeps_the_contract);
#[cfg(feature = "postcard")]
plugin!(POSTCARD as postcard_says_what_it_is);

serializer!(Raw::new, Bytes as raw_keeps_the_contract);
plugin!(RAW as raw_says_what_it_is);

serializer!(Text::new, Text as string_keeps_the_contract);
plugin!(STRING as string_says_what_it_is);

serializer!(Typed::new, All as typed_keeps_the_contract);
plugin!(TYPED as typed_says_what_it_is);

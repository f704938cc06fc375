//! Every serializer keeps the contract that the conformance kit proves.

use larder_conformance::{plugin, serializer};
use larder_serializers::{JSON, Json, JsonConfig, MESSAGEPACK, MessagePack};

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

//! The library, loaded like any other, keeps the contracts that the linked plugins keep.

mod support;

use std::sync::Arc;

use futures_util::FutureExt;
use larder_conformance::{backend, policy, serializer};
use larder_core::plugin::Factory;
use larder_core::{BuildContext, Descriptor, KeyPath, PolicyFactory, Serializer, Slot};
use serde_json::json;

use support::{DESCRIPTORS, find, log};

fn lru_k() -> Arc<dyn PolicyFactory> {
    let Factory::Policy(factory) = find(Slot::Policy).factory else { panic!("a policy") };
    factory.build(json!({})).expect("no option has to be there")
}

fn terse() -> Arc<dyn Serializer> {
    let Factory::Serializer(factory) = find(Slot::Serializer).factory else {
        panic!("a serializer")
    };
    let context = BuildContext::new("conformance");
    let options = json!({"names": ["id", "name", "plans"]});
    let built = factory.build(options, &context).now_or_never();
    built.expect("it waits for nothing").expect("these are names")
}

backend!(log as the_log_keeps_the_contract);
policy!(lru_k as lru_k_keeps_the_contract);
serializer!(terse, All as terse_keeps_the_contract);

#[test]
fn it_is_described_as_if_it_were_linked() {
    let linked = [acme_cache::log::LOG, acme_cache::lru_k::LRU_K, acme_cache::terse::TERSE];
    assert_eq!(DESCRIPTORS.len(), linked.len());
    for (loaded, linked) in DESCRIPTORS.iter().zip(linked) {
        assert_eq!((loaded.slot, loaded.kind), (linked.slot, linked.kind));
        assert_eq!(loaded.summary, linked.summary);
        let both = loaded.capabilities & linked.capabilities;
        assert_eq!(both, linked.capabilities);
        let schema = |descriptor: &Descriptor| descriptor.factory.config().schema();
        assert_eq!(schema(loaded).as_value(), schema(&linked).as_value());
    }
}

#[test]
fn a_mistake_in_its_options_stands_at_the_option() {
    let at = KeyPath::from_segments(["caches", "pages", "l1", "policy"]);
    for descriptor in [find(Slot::Policy), acme_cache::lru_k::LRU_K] {
        let problems = descriptor.factory.config().check(&json!({"k": 0}), &at).unwrap_err();
        let found: Vec<String> = problems.iter().map(|problem| problem.path.to_string()).collect();
        assert_eq!(found, ["caches.pages.l1.policy.k"], "{problems}");
    }
}

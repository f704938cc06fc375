//! Three ways into the registry, and what happens when two plugins want one name.

use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{
    Descriptor, KeyPath, PolicyConfig, Problem, Problems, Registry, Slot, Source, descriptor,
    register,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

#[derive(Debug)]
struct Nothing;

impl Policy for Nothing {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, _: SlotId, _: &mut dyn Slots) {}

    fn on_remove(&mut self, _: SlotId, _: bool, _: &mut dyn Slots) {}

    fn victim(&mut self, _: &mut dyn Slots) -> Option<SlotId> {
        None
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        0
    }
}

/// Never evicts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NothingConfig {
    /// How often it does nothing.
    #[serde(default)]
    times: u8,
}

impl PolicyConfig for NothingConfig {
    const KIND: &'static str = "nothing";
    const SUMMARY: &'static str = "never evicts";
    type Policy = Nothing;

    fn validate(&self, at: &KeyPath) -> Result<(), Problems> {
        let mut problems = Problems::new();
        if self.times > 3 {
            problems.push(Problem::new(at.join("times"), "that is too often").help("at most 3"));
        }
        problems.into_result()
    }

    fn build(&self, _: Capacity) -> Nothing {
        Nothing
    }
}

const NOTHING: Descriptor = descriptor!(policy: NothingConfig);

register!(policy: NothingConfig);

#[test]
fn what_is_linked_is_found() {
    let registry = Registry::linked();
    let found = registry.find(Slot::Policy, "nothing").unwrap();
    assert_eq!((found.descriptor.origin, &found.source), ("larder-core", &Source::Linked));
    assert!(registry.find(Slot::Backend, "nothing").is_none(), "the slot is the namespace");
    assert!(registry.find(Slot::Policy, "noth").is_none());
    assert_eq!(registry.of_slot(Slot::Policy).count(), 1);
}

#[test]
fn the_same_plugin_linked_and_by_hand_is_one_plugin() {
    let registry = Registry::linked().with(NOTHING);
    assert!(registry.conflicts().is_empty());
    assert_eq!(registry.iter().count(), 1);
    let by_hand = Registry::empty().with(NOTHING);
    assert_eq!(by_hand.find(Slot::Policy, "nothing").unwrap().source, Source::Explicit);
}

#[test]
fn two_plugins_of_one_name_are_a_conflict_that_names_both() {
    let twin = Descriptor::policy::<NothingConfig>("twin-crate", "2.0.0");
    let library = Descriptor::policy::<NothingConfig>("/opt/libtwin.so", "3.0.0");
    let registry = Registry::linked().with(twin).with_loaded("twin", [library]);
    let conflicts: Vec<String> = registry.conflicts().iter().map(ToString::to_string).collect();
    assert_eq!(
        conflicts,
        [
            "two plugins register policy `nothing`: `larder-core` 0.1.0 (linked) and `twin-crate` \
             2.0.0 (registered by the program); hint: remove one of them, or ask its author for a \
             name of the form `vendor.nothing`",
            "two plugins register policy `nothing`: `larder-core` 0.1.0 (linked) and \
             `/opt/libtwin.so` 3.0.0 (plugin twin); hint: remove one of them, or ask its author \
             for a name of the form `vendor.nothing`",
        ]
    );
    let found = registry.find(Slot::Policy, "nothing").unwrap();
    assert_eq!(found.descriptor.origin, "larder-core", "the first one stays");
}

#[test]
fn options_are_decoded_and_validated_with_their_paths() {
    let config = NOTHING.factory.config();
    let at = KeyPath::from_segments(["caches", "users", "policy"]);
    assert!(config.check(&json!({}), &at).is_ok());
    let said = |options| config.check(&options, &at).unwrap_err().to_string();
    assert_eq!(said(json!({ "times": 4 })), "`caches.users.policy.times`: that is too often");
    assert!(said(json!({ "times": -1 })).starts_with("`caches.users.policy.times`: invalid value"));
    assert!(said(json!({ "tims": 1 })).contains("unknown field `tims`"));
    let schema = serde_json::to_value(config.schema()).unwrap();
    assert_eq!(schema["properties"]["times"]["description"], "How often it does nothing.");
}

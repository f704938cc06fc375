//! Plugin kinds that Larder knows of, linked into this program or not, for messages that say more
//! than "unknown".

use larder_core::{Registry, Role, Slot};

/// A plugin kind and the crate that has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub(crate) slot: Slot,
    pub(crate) kind: &'static str,
    pub(crate) crate_name: &'static str,
    /// The feature of `larder` that has to be on; of that crate, too, if it has several kinds.
    pub(crate) feature: Option<&'static str>,
    /// Whether that crate is part of this release.
    pub(crate) is_released: bool,
}

impl Known {
    const fn released(slot: Slot, kind: &'static str, crate_name: &'static str) -> Self {
        Self { slot, kind, crate_name, feature: None, is_released: true }
    }

    const fn planned(slot: Slot, kind: &'static str, crate_name: &'static str) -> Self {
        Self { slot, kind, crate_name, feature: None, is_released: false }
    }

    /// The kind is only there with a feature of the same name.
    const fn with_feature(self) -> Self {
        Self { feature: Some(self.kind), ..self }
    }

    /// The kind is only there with this feature.
    const fn of_feature(self, feature: &'static str) -> Self {
        Self { feature: Some(feature), ..self }
    }
}

const POLICIES: &str = "larder-policies";
const REDIS: &str = "larder-redis";
const SERIALIZERS: &str = "larder-serializers";

/// Sorted by slot, released before planned, then by kind.
const KNOWN: &[Known] = &[
    Known::released(Slot::Backend, "file", "larder-file"),
    Known::released(Slot::Backend, "foyer", "larder-foyer").with_feature(),
    Known::released(Slot::Backend, "memory", "larder-memory"),
    Known::released(Slot::Backend, "redb", "larder-redb").with_feature(),
    Known::released(Slot::Backend, "redis", REDIS).of_feature("redis"),
    Known::planned(Slot::Backend, "memcached", "larder-memcached"),
    Known::released(Slot::Policy, "2q", POLICIES),
    Known::released(Slot::Policy, "arc", POLICIES),
    Known::released(Slot::Policy, "auto", POLICIES),
    Known::released(Slot::Policy, "clock", POLICIES),
    Known::released(Slot::Policy, "clock-pro", POLICIES),
    Known::released(Slot::Policy, "fifo", POLICIES),
    Known::released(Slot::Policy, "gdsf", POLICIES),
    Known::released(Slot::Policy, "lfu", POLICIES),
    Known::released(Slot::Policy, "lirs", POLICIES),
    Known::released(Slot::Policy, "lru", POLICIES),
    Known::released(Slot::Policy, "random", POLICIES),
    Known::released(Slot::Policy, "s3-fifo", POLICIES),
    Known::released(Slot::Policy, "sieve", POLICIES),
    Known::released(Slot::Policy, "slru", POLICIES),
    Known::released(Slot::Policy, "tinylfu", POLICIES),
    Known::released(Slot::Policy, "ttl", POLICIES),
    Known::released(Slot::Policy, "w-tinylfu", POLICIES),
    Known::released(Slot::Serializer, "cbor", SERIALIZERS).with_feature(),
    Known::released(Slot::Serializer, "json", SERIALIZERS),
    Known::released(Slot::Serializer, "messagepack", SERIALIZERS),
    Known::released(Slot::Serializer, "pickle", SERIALIZERS).with_feature(),
    Known::released(Slot::Serializer, "postcard", SERIALIZERS).with_feature(),
    Known::released(Slot::Serializer, "raw", SERIALIZERS),
    Known::released(Slot::Serializer, "string", SERIALIZERS),
    Known::released(Slot::Serializer, "typed", SERIALIZERS),
    Known::released(Slot::Wrapper, "aes-256-gcm", SERIALIZERS).of_feature("encrypt"),
    Known::released(Slot::Wrapper, "base64", SERIALIZERS),
    Known::released(Slot::Wrapper, "lz4", SERIALIZERS).with_feature(),
    Known::released(Slot::Wrapper, "xchacha20-poly1305", SERIALIZERS).of_feature("encrypt"),
    Known::released(Slot::Wrapper, "zlib", SERIALIZERS).with_feature(),
    Known::released(Slot::Wrapper, "zstd", SERIALIZERS).with_feature(),
    Known::planned(Slot::Invalidator, "redis-pubsub", REDIS),
    Known::planned(Slot::Invalidator, "redis-stream", REDIS),
    Known::planned(Slot::Replicator, "redis-stream", REDIS),
    Known::planned(Slot::Warmer, "key-list", "larder-warmers"),
    Known::released(Slot::Connection, "redis", REDIS).of_feature("redis"),
    Known::released(Slot::Connection, "redis-cluster", REDIS).of_feature("redis"),
];

/// A plugin kind that Larder knows of and a program does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unlinked {
    /// Its role.
    pub slot: Slot,
    /// Its kind.
    pub kind: &'static str,
    /// The crate that has it.
    pub crate_name: &'static str,
    /// The feature of that crate, and of `larder`, which has to be on; `None` if it needs none.
    pub feature: Option<&'static str>,
    /// Whether that crate is part of this release.
    pub is_released: bool,
}

/// The known kinds that a program does not have, sorted by slot, those of this release first.
pub fn unlinked(registry: &Registry) -> impl Iterator<Item = Unlinked> {
    let missing = KNOWN.iter().filter(|known| registry.find(known.slot, known.kind).is_none());
    missing.map(|known| Unlinked {
        slot: known.slot,
        kind: known.kind,
        crate_name: known.crate_name,
        feature: known.feature,
        is_released: known.is_released,
    })
}

/// The known kind of this slot and name.
pub(crate) fn find(slot: Slot, kind: &str) -> Option<Known> {
    let mut known = KNOWN.iter();
    known.find(|known| known.slot == slot && known.kind == kind).copied()
}

/// The known kinds of a slot.
pub(crate) fn of_slot(slot: Slot) -> impl Iterator<Item = &'static Known> {
    KNOWN.iter().filter(move |known| known.slot == slot)
}

/// The slot as the config language names it: the section it stands in.
pub(crate) const fn slot_word(slot: Slot) -> &'static str {
    match slot {
        Slot::Invalidator => "backplane",
        Slot::Replicator => "replicator",
        other => other.as_str(),
    }
}

/// Several of a slot.
pub(crate) const fn slot_words(slot: Slot) -> &'static str {
    match slot {
        Slot::Backend => "backends",
        Slot::Connection => "connections",
        Slot::Invalidator => "backplanes",
        Slot::Policy => "policies",
        Slot::Replicator => "replicators",
        Slot::Serializer => "serializers",
        Slot::Warmer => "warmers",
        Slot::Wrapper => "wrappers",
        _ => "plugins",
    }
}

/// The slot of an `x-plugin` mark.
pub(crate) fn slot_of(mark: &str) -> Option<Slot> {
    Slot::ALL.into_iter().find(|slot| slot.as_str() == mark)
}

/// The role of an `x-role` mark.
pub(crate) fn role_of(mark: &str) -> Option<Role> {
    Role::ALL.into_iter().find(|role| role.as_str() == mark)
}

/// Whether the sections that use plugins of a slot are checked and ignored in this release.
pub(crate) const fn is_ignored(slot: Slot) -> bool {
    matches!(slot, Slot::Invalidator | Slot::Replicator | Slot::Warmer)
}

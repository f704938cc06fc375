//! From the checked options to the [`Config`].

use std::time::Duration;

use larder_core::{KeyPath, Life, Slot, Tier};
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::rules::overlaid;

use crate::grammar::{
    BreakerNode, BreakerSection, CacheSection, Picked, PickedSerializer, ResilienceSection, Root,
    TierSection, WrapSection,
};
use crate::model::{
    BreakerSpec, CacheSpec, Config, PatternSpec, PersistSpec, PluginNode, ResilienceSpec, RuleSpec,
    SerializerSpec, TierSource, TierSpec,
};

/// The serializer of caches that name none.
const DEFAULT_SERIALIZER: &str = "messagepack";

/// For how long a failed load is not tried again while there is a stale entry, if nobody says.
const DEFAULT_STALE_RETRY: Duration = Duration::from_secs(30);

/// From which size on values are compressed if nobody says.
const DEFAULT_COMPRESS_MIN: u64 = 1024;

/// How long one call of a tier is waited for if nobody says.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);

/// A shorter limit would be over before any call began.
const LEAST_TIMEOUT: Duration = Duration::from_millis(1);

/// Decodes checked options. JSON objects are sorted, so the order of patterns comes beside.
pub(super) fn config(json: Json, patterns: &[String]) -> Result<Config, serde_json::Error> {
    let json = without_parts(json);
    let mut root = Root::deserialize(&json)?;
    let mut config = Config::default();
    for (name, section) in std::mem::take(&mut root.caches) {
        let path = KeyPath::from_segments(["caches", &name]);
        let spec = with_rules(name.clone(), path, section, &json["caches"][&name])?;
        config.caches.insert(name, spec);
    }
    for pattern in patterns {
        if let Some(section) = root.patterns.remove(pattern) {
            let path = KeyPath::from_segments(["patterns", pattern]);
            let written = &json["patterns"][pattern];
            config.patterns.push(PatternSpec {
                cache: with_rules(pattern.clone(), path, section.cache, written)?,
                pattern: pattern.clone(),
                max_instances: section.max_instances,
            });
        }
    }
    for (name, node) in root.connections {
        let path = KeyPath::from_segments(["connections", &name]);
        let node = plugin(Slot::Connection, node.0, path);
        config.connections.insert(name, node);
    }
    Ok(config)
}

/// Without what the loader has applied already.
fn without_parts(json: Json) -> Json {
    let Json::Object(mut sections) = json else {
        return json;
    };
    for part in ["defaults", "templates", "profile"] {
        sections.remove(part);
    }
    Json::Object(sections)
}

fn plugin(slot: Slot, picked: Picked, path: KeyPath) -> PluginNode {
    let options = match picked.options {
        Json::Null => Json::Object(Map::new()),
        options => options,
    };
    PluginNode { slot, kind: picked.kind, options, path }
}

/// A cache with its rules, which are laid over the options as they are `written`.
fn with_rules(
    name: String,
    path: KeyPath,
    mut section: CacheSection,
    written: &Json,
) -> Result<CacheSpec, serde_json::Error> {
    let mut rules = Vec::with_capacity(section.rules.len());
    for rule in std::mem::take(&mut section.rules) {
        let (patterns, options) = overlaid(written, rule);
        let section = CacheSection::deserialize(options)?;
        rules.push(RuleSpec { patterns, cache: cache(name.clone(), path.clone(), section) });
    }
    Ok(CacheSpec { rules, ..cache(name, path, section) })
}

fn cache(name: String, path: KeyPath, section: CacheSection) -> CacheSpec {
    let serializer = section.serializer.map_or_else(
        || PickedSerializer {
            picked: Picked { kind: DEFAULT_SERIALIZER.to_owned(), options: Json::Null },
            wrapping: WrapSection::default(),
        },
        |node| node.0,
    );
    let short =
        TierSection { backend: section.backend, policy: section.policy, ..TierSection::default() };
    let is_short = section.l1.is_none() && short.backend.is_some();
    let l1 = if is_short { Some(short) } else { section.l1 };
    let sections = [(Tier::L1, l1), (Tier::L2, section.l2), (Tier::L3, section.l3)];
    let tiers = sections.into_iter().filter_map(|(which, section)| {
        let at = match which {
            Tier::L1 if is_short => path.clone(),
            _ => path.join(which.as_str()),
        };
        tier(which, at, section?)
    });
    CacheSpec {
        tiers: tiers.collect(),
        name,
        description: section.description,
        ttl: section.ttl.unwrap_or(Life::Never),
        idle_ttl: section.idle_ttl.unwrap_or(Life::Never),
        ttl_jitter: section.ttl_jitter.unwrap_or_default(),
        negative_ttl: section.negative_ttl.map(|ttl| ttl.0),
        refresh_ahead: section.refresh_ahead,
        max_value_bytes: section.max_value_size.map(|size| size.0),
        serializer: self::serializer(serializer, &path.join("serializer")),
        resilience: resilience(&section.resilience.unwrap_or_default()),
        persist: section.persist.map(|section| PersistSpec {
            path: section.path.into(),
            every: section.every.map(|every| every.0).filter(|every| !every.is_zero()),
        }),
        rules: Vec::new(),
        path,
    }
}

fn tier(tier: Tier, path: KeyPath, section: TierSection) -> Option<TierSpec> {
    let source = match (section.cache, section.backend) {
        (Some(cache), _) => TierSource::Cache(cache),
        (None, Some(node)) => {
            TierSource::Backend(plugin(Slot::Backend, node.0, path.join("backend")))
        }
        (None, None) => return None,
    };
    let policy = section.policy;
    let timeout = section.timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.0);
    let timeout = timeout.max(LEAST_TIMEOUT);
    let soft_timeout = section.soft_timeout.map_or(timeout, |soft| soft.0.min(timeout));
    Some(TierSpec {
        tier,
        source,
        ttl: section.ttl,
        policy: policy.map(|node| plugin(Slot::Policy, node.0, path.join("policy"))),
        serializer: section.serializer.map(|node| serializer(node.0, &path.join("serializer"))),
        timeout,
        soft_timeout,
        breaker: breaker(section.breaker),
        path,
    })
}

fn breaker(node: Option<BreakerNode>) -> Option<BreakerSpec> {
    let section = match node {
        Some(BreakerNode::Is(false)) => return None,
        Some(BreakerNode::With(section)) => section,
        Some(BreakerNode::Is(true)) | None => BreakerSection::default(),
    };
    let usual = BreakerSpec::default();
    let open_for = section.open_for.map_or(usual.open_for, |pause| pause.0);
    let max_open_for = section.max_open_for.map_or(usual.max_open_for, |pause| pause.0);
    let failures = section.failures.unwrap_or(usual.failures).max(1);
    Some(BreakerSpec { failures, open_for, max_open_for: max_open_for.max(open_for) })
}

fn serializer(section: PickedSerializer, path: &KeyPath) -> SerializerSpec {
    let PickedSerializer { picked, wrapping } = section;
    let WrapSection { compress, compress_min, encrypt, encode } = wrapping;
    let wrapper = |picked: Picked, option: &str| plugin(Slot::Wrapper, picked, path.join(option));
    SerializerSpec {
        node: plugin(Slot::Serializer, picked, path.clone()),
        compress: compress.map(|node| wrapper(node.0, "compress")),
        compress_min_bytes: compress_min.map_or(DEFAULT_COMPRESS_MIN, |size| size.0),
        encrypt: encrypt.map(|node| wrapper(node.0, "encrypt")),
        encode: encode.map(|node| wrapper(node.0, "encode")),
    }
}

fn resilience(section: &ResilienceSection) -> ResilienceSpec {
    ResilienceSpec {
        single_flight: section.single_flight.unwrap_or(true),
        stale_for: section.stale_for.and_then(Life::duration).unwrap_or_default(),
        stale_retry: section.stale_retry.map_or(DEFAULT_STALE_RETRY, |long| long.0),
        background: section.background.unwrap_or(true),
        lease: section.lease.unwrap_or(true),
        soft_timeout: section.soft_timeout.and_then(Life::duration),
        hard_timeout: section.hard_timeout.and_then(Life::duration),
    }
}

//! The caches of the tree as checks of relations look at them: each with its tiers.

use larder_core::{KeyPath, Tier};

use super::plugins::PluginUse;
use crate::tree::{Item, Location, Node, Table};

/// A cache or a pattern.
pub(super) struct CacheView<'a> {
    pub(super) name: &'a str,
    pub(super) is_pattern: bool,
    pub(super) path: KeyPath,
    pub(super) item: &'a Item,
    pub(super) tiers: Vec<TierView<'a>>,
}

/// A tier of a cache.
pub(super) struct TierView<'a> {
    pub(super) tier: Tier,
    /// Where it stands; the cache itself for the short form without `l1`.
    pub(super) path: KeyPath,
    pub(super) key_at: &'a Location,
    pub(super) table: &'a Table,
}

impl CacheView<'_> {
    /// ``cache `users` `` or ``pattern `tenant-*` ``.
    pub(super) fn label(&self) -> String {
        let word = if self.is_pattern { "pattern" } else { "cache" };
        format!("{word} `{}`", self.name)
    }

    /// A value of the cache.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Node> {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.item.node.find(&path)
    }
}

impl<'a> TierView<'a> {
    /// The item of a key of the tier.
    pub(super) fn get(&self, key: &str) -> Option<&'a Item> {
        self.table.get(key)
    }

    /// The cache that serves as this tier.
    pub(super) fn cache(&self) -> Option<(&'a str, &'a Location)> {
        let node = &self.get("cache")?.node;
        Some((node.as_str()?, &node.at))
    }

    /// Its backend, if that passed the checks.
    pub(super) fn backend<'u>(&self, plugins: &'u [PluginUse<'a>]) -> Option<&'u PluginUse<'a>> {
        let path = self.path.join("backend");
        plugins.iter().find(|plugin| plugin.path == path)
    }
}

/// All caches, then all patterns, in the order of the file.
pub(super) fn caches(root: &Node) -> Vec<CacheView<'_>> {
    let section = |name: &'static str| {
        let node = root.find(&[name.to_owned()]);
        let items = node.and_then(Node::as_table).into_iter().flatten();
        items.filter_map(move |item| view(name, item))
    };
    section("caches").chain(section("patterns")).collect()
}

fn view<'a>(section: &'static str, item: &'a Item) -> Option<CacheView<'a>> {
    if item.node.failed {
        return None;
    }
    let table = item.node.as_table()?;
    let path = KeyPath::from_segments([section, &item.key]);
    let mut tiers = Vec::new();
    for tier in Tier::ALL {
        let own = table.get(tier.as_str()).filter(|own| !own.node.failed);
        if let Some(own) = own
            && let Some(table) = own.node.as_table()
        {
            tiers.push(TierView {
                tier,
                path: path.join(tier.as_str()),
                key_at: &own.key_at,
                table,
            });
        } else if tier == Tier::L1
            && let Some(short) = table.get("backend").or_else(|| table.get("policy"))
        {
            tiers.push(TierView { tier, path: path.clone(), key_at: &short.key_at, table });
        }
    }
    Some(CacheView { name: &item.key, is_pattern: section == "patterns", path, item, tiers })
}

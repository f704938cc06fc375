//! Rules by key: which [`Settings`] hold for a key.
//!
//! Asked when something is stored, loaded or fetched from a byte tier; never on a hit in the store.

use larder_config::model::{CacheSpec, RuleSpec};
use larder_core::CacheKey;
use larder_core::key::glob_matches;

use crate::core::{CacheValue, Core, Key};
use crate::engine::Engine;
use crate::settings::Settings;

/// The rules of a cache, in the order in which they are tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules(Box<[Rule]>);

#[derive(Clone, Debug)]
struct Rule {
    patterns: Box<[String]>,
    settings: Settings,
}

impl Rules {
    pub(crate) fn new(spec: &CacheSpec) -> Self {
        let rule = |rule: &RuleSpec| Rule {
            patterns: rule.patterns.clone().into(),
            settings: Settings::new(&rule.cache),
        };
        Self(spec.rules.iter().map(rule).collect())
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Says of every rule whether anything keeps the end of an entry by the wall clock.
    pub(crate) fn set_wall_kept(&mut self, is_wall_kept: bool) {
        for rule in &mut self.0 {
            rule.settings.is_wall_kept = is_wall_kept;
        }
    }

    /// Whether entries of some keys are loaded again before their end.
    pub(crate) fn may_refresh(&self) -> bool {
        self.0.iter().any(|rule| rule.settings.may_refresh)
    }

    /// The settings of the first rule that matches.
    fn find(&self, key: &str) -> Option<&Settings> {
        let matches = |rule: &&Rule| rule.patterns.iter().any(|glob| glob_matches(glob, key));
        self.0.iter().find(matches).map(|rule| &rule.settings)
    }
}

impl Engine {
    /// What the config says of the entries of a key, which is given as text.
    pub(crate) fn settings_for(&self, key: &str) -> &Settings {
        self.rules.find(key).unwrap_or(&self.settings)
    }
}

impl<K: Key, V: CacheValue> Core<K, V> {
    /// What the config says of the entries of a key. Its text is only made where there are rules.
    #[inline]
    pub(crate) fn settings_for<Q>(&self, key: &Q) -> &Settings
    where
        Q: CacheKey + ?Sized,
    {
        if self.engine.rules.is_empty() {
            &self.engine.settings
        } else {
            self.engine.settings_for(&key.text())
        }
    }
}

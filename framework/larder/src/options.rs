//! [`LoadOptions`], what one call says about its load.

use std::time::Duration;

use larder_core::{Life, RefreshAhead};

use crate::settings::{SetOptions, Settings, Terms};

/// Options of one load. What is left out is taken from the config of the cache.
///
/// ```
/// use std::time::Duration;
/// use larder::LoadOptions;
///
/// let options = LoadOptions::new()
///     .ttl(Duration::from_secs(600))
///     .stale_for(Duration::from_secs(3600))
///     .soft_timeout(Duration::from_millis(100))
///     .or_default("nobody");
/// ```
#[derive(Clone, Debug)]
#[must_use = "hand it to `get_or_load_with`"]
pub struct LoadOptions<V> {
    pub(crate) set: SetOptions,
    pub(crate) default: Option<V>,
    pub(crate) takes_stale: bool,
    pub(crate) is_stored: bool,
    pub(crate) batch: usize,
    pub(crate) refresh_ahead: Option<RefreshAhead>,
    stale_retry: Option<Duration>,
    soft_timeout: Option<Life>,
    hard_timeout: Option<Life>,
    background: Option<bool>,
    lease: Option<bool>,
}

/// How many keys one call of a loader of many gets, unless told otherwise.
const BATCH: usize = 100;

impl<V> LoadOptions<V> {
    /// Everything as the config says.
    pub fn new() -> Self {
        SetOptions::new().into()
    }

    /// How long the value lives; see [`SetOptions::ttl`].
    pub fn ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.set = self.set.ttl(ttl);
        self
    }

    /// How long the value lives when nobody reads it.
    pub fn idle_ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.set = self.set.idle_ttl(ttl);
        self
    }

    /// Adds a tag; see [`Cache::invalidate_tag`](crate::Cache::invalidate_tag). At most 32.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.set = self.set.tag(tag);
        self
    }

    /// Adds tags.
    pub fn tags<I, S>(mut self, tags: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.set = self.set.tags(tags);
        self
    }

    /// What the value weighs against `max_bytes`.
    pub fn weight(mut self, weight: u32) -> Self {
        self.set = self.set.weight(weight);
        self
    }

    /// How long past its ttl the value is kept; see [`SetOptions::stale_for`].
    pub fn stale_for(mut self, stale_for: impl Into<Life>) -> Self {
        self.set = self.set.stale_for(stale_for);
        self
    }

    /// After a load that failed, how long a stale value is served before the next one is tried.
    pub fn stale_retry(mut self, wait: Duration) -> Self {
        self.stale_retry = Some(wait);
        self
    }

    /// How long this call waits when there is a stale value to return instead.
    pub fn soft_timeout(mut self, limit: impl Into<Life>) -> Self {
        self.soft_timeout = Some(limit.into());
        self
    }

    /// How long this call waits at most.
    pub fn hard_timeout(mut self, limit: impl Into<Life>) -> Self {
        self.hard_timeout = Some(limit.into());
        self
    }

    /// When a value that is found is loaded again in the background.
    pub fn refresh_ahead(mut self, ahead: RefreshAhead) -> Self {
        self.refresh_ahead = Some(ahead);
        self
    }

    /// Whether the load goes on when it takes longer than the hard timeout.
    pub fn background(mut self, goes_on: bool) -> Self {
        self.background = Some(goes_on);
        self
    }

    /// Whether other processes that share the last tier are kept from loading the same key.
    pub fn lease(mut self, lease: bool) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Whether this call takes a stale value instead of an error. Default: yes, if the cache keeps
    /// any.
    pub fn allow_stale(mut self, allow: bool) -> Self {
        self.takes_stale = allow;
        self
    }

    /// Whether what is loaded is stored, here and in the tiers below. Default: yes.
    pub fn store(mut self, store: bool) -> Self {
        self.is_stored = store;
        self
    }

    /// What this call returns when the load fails and there is no stale value. It is never stored.
    pub fn or_default(mut self, value: V) -> Self {
        self.default = Some(value);
        self
    }

    /// How many keys a loader of [`get_many_or_load`](crate::Cache::get_many_or_load) gets at a
    /// time: at least 1, by default 100.
    pub fn batch(mut self, keys: usize) -> Self {
        self.batch = keys.max(1);
        self
    }

    /// These options over what the cache was told.
    pub(crate) fn terms(&self, settings: &Settings) -> Terms {
        let limit =
            |own: Option<Life>, config: Option<Duration>| own.map_or(config, Life::duration);
        let Terms { stale_for, stale_retry, soft_timeout, hard_timeout, .. } = settings.terms;
        let own_stale = self.set.stale_for.map(|life| life.duration().unwrap_or_default());
        Terms {
            stale_for: own_stale.unwrap_or(stale_for),
            stale_retry: self.stale_retry.unwrap_or(stale_retry),
            soft_timeout: limit(self.soft_timeout, soft_timeout),
            hard_timeout: limit(self.hard_timeout, hard_timeout),
            refresh_ahead: self.ahead(settings),
            background: self.background.unwrap_or(settings.terms.background),
            lease: self.lease.unwrap_or(settings.terms.lease),
        }
    }

    /// When a value that is found is loaded again.
    #[inline]
    pub(crate) fn ahead(&self, settings: &Settings) -> Option<RefreshAhead> {
        self.refresh_ahead.or(settings.terms.refresh_ahead)
    }
}

impl<V> Default for LoadOptions<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> From<SetOptions> for LoadOptions<V> {
    fn from(set: SetOptions) -> Self {
        Self {
            set,
            default: None,
            takes_stale: true,
            is_stored: true,
            batch: BATCH,
            stale_retry: None,
            soft_timeout: None,
            hard_timeout: None,
            refresh_ahead: None,
            background: None,
            lease: None,
        }
    }
}

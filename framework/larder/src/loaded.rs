//! What a loader learns about the value it replaces, [`Load`], and what it can say about the one it
//! made, [`Loaded`].

use std::sync::Arc;

use larder_core::Life;

use crate::settings::SetOptions;

/// A load, as the loader of
/// [`get_or_load_with_context`](crate::Cache::get_or_load_with_context) sees it.
#[derive(Clone, Debug)]
pub struct Load<V> {
    pub(crate) stale: Option<V>,
    pub(crate) etag: Option<Arc<str>>,
}

impl<V> Load<V> {
    /// The value that the cache has of the key, past its ttl or about to be, if it has one. It may
    /// be kept with [`Loaded::not_modified`].
    #[must_use]
    pub fn stale(&self) -> Option<&V> {
        self.stale.as_ref()
    }

    /// What the load of that value said in [`Loaded::etag`]. Remembered in this process only, with
    /// the value in memory: one that came from another tier has none.
    #[must_use]
    pub fn etag(&self) -> Option<&str> {
        self.etag.as_deref()
    }
}

/// What a loader made, with what it wants to say about it. What it does not say is as the options
/// of the call and the config have it.
///
/// ```
/// use std::time::Duration;
/// use larder::Loaded;
///
/// let loaded = Loaded::new("Ada").ttl(Duration::from_secs(60)).tag("org:7").etag("v17");
/// ```
#[derive(Clone, Debug)]
#[must_use = "return it from the loader"]
pub struct Loaded<V> {
    pub(crate) what: What<V>,
    pub(crate) options: SetOptions,
    pub(crate) etag: Option<Arc<str>>,
    pub(crate) is_stored: bool,
}

/// What came of a load.
#[derive(Clone, Debug)]
pub(crate) enum What<V> {
    None,
    NotModified,
    Value(V),
}

impl<V> Loaded<V> {
    fn of(what: What<V>) -> Self {
        Self { what, options: SetOptions::new(), etag: None, is_stored: true }
    }

    /// A value.
    pub fn new(value: V) -> Self {
        Self::of(What::Value(value))
    }

    /// There is no such value. That is remembered for the `negative_ttl` of the config.
    pub fn none() -> Self {
        Self::of(What::None)
    }

    /// The value of [`Load::stale`] is still right, and begins a new life. Its bytes are not
    /// written again where a tier can change deadlines alone. An error when there was none.
    pub fn not_modified() -> Self {
        Self::of(What::NotModified)
    }

    /// A value for those who wait for it, and for nobody after them.
    pub fn uncached(value: V) -> Self {
        Self { is_stored: false, ..Self::new(value) }
    }

    /// How long the value lives; see [`SetOptions::ttl`].
    pub fn ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.options = self.options.ttl(ttl);
        self
    }

    /// How long the value lives when nobody reads it.
    pub fn idle_ttl(mut self, ttl: impl Into<Life>) -> Self {
        self.options = self.options.idle_ttl(ttl);
        self
    }

    /// How long past its ttl the value is kept; see [`SetOptions::stale_for`].
    pub fn stale_for(mut self, stale_for: impl Into<Life>) -> Self {
        self.options = self.options.stale_for(stale_for);
        self
    }

    /// Adds a tag. One that was invalidated while the load ran keeps the value out of the cache.
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.options = self.options.tag(tag);
        self
    }

    /// Adds tags.
    pub fn tags<I, S>(mut self, tags: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<String>,
    {
        self.options = self.options.tags(tags);
        self
    }

    /// What the value weighs against `max_bytes`.
    pub fn weight(mut self, weight: u32) -> Self {
        self.options = self.options.weight(weight);
        self
    }

    /// By which its source tells this version of the value from others; the next load finds it in
    /// [`Load::etag`].
    pub fn etag(mut self, etag: impl Into<Arc<str>>) -> Self {
        self.etag = Some(etag.into());
        self
    }
}

impl<V> From<Option<V>> for Loaded<V> {
    fn from(value: Option<V>) -> Self {
        Self::of(value.map_or(What::None, What::Value))
    }
}

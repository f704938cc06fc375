//! What the store holds for a key.

use std::sync::Arc;

use larder_store::{Held, Seen};

use crate::tags::Tags;

/// A value, or the knowledge that there is none, with the tags it depends on.
///
/// Nearly every entry is a value without tags, so that takes no more room than itself; the rest is
/// behind a pointer.
pub(crate) type Stored<V> = Held<V, Other<V>>;

/// A [`Stored`] as a look-up sees it.
pub(crate) type StoredRef<'a, V> = Seen<'a, V, Other<V>>;

/// What is not a value without tags.
#[derive(Clone, Debug)]
pub(crate) struct Other<V> {
    value: Option<V>,
    tags: Option<Arc<Tags>>,
    /// By which the source of the value tells its versions apart.
    etag: Option<Arc<str>>,
}

/// A value, or the knowledge that there is none, on its way into the store.
pub(crate) fn stored<V>(value: Option<V>, tags: Option<Arc<Tags>>) -> Stored<V> {
    stored_with(value, tags, None)
}

/// The same with what its source calls this version of the value.
pub(crate) fn stored_with<V>(
    value: Option<V>,
    tags: Option<Arc<Tags>>,
    etag: Option<Arc<str>>,
) -> Stored<V> {
    match (value, tags, etag) {
        (Some(value), None, None) => Stored::Plain(value),
        (value, tags, etag) => Stored::Other(Box::new(Other { value, tags, etag })),
    }
}

/// What can be asked of a [`Stored`], in the store or on its way.
pub(crate) trait Content<'a, V> {
    /// The value, whether its tags hold or not.
    fn value(self) -> Option<&'a V>;

    fn tags(self) -> Option<&'a Tags>;

    /// The answer this entry gives: a value or "there is none"; `None` when one of its tags was
    /// invalidated.
    fn read(self) -> Option<Option<V>>
    where
        V: Clone;
}

/// The parts of an entry that others may hold as well.
pub(crate) trait Shared {
    fn shared_tags(&self) -> Option<Arc<Tags>>;

    fn etag(&self) -> Option<Arc<str>>;
}

impl<V> Shared for StoredRef<'_, V> {
    fn shared_tags(&self) -> Option<Arc<Tags>> {
        match self {
            Seen::Plain(_) => None,
            Seen::Other(other) => other.tags.clone(),
        }
    }

    fn etag(&self) -> Option<Arc<str>> {
        match self {
            Seen::Plain(_) => None,
            Seen::Other(other) => other.etag.clone(),
        }
    }
}

impl<'a, V> Content<'a, V> for StoredRef<'a, V> {
    fn value(self) -> Option<&'a V> {
        match self {
            Seen::Plain(value) => Some(value),
            Seen::Other(other) => other.value.as_ref(),
        }
    }

    fn tags(self) -> Option<&'a Tags> {
        match self {
            Seen::Plain(_) => None,
            Seen::Other(other) => other.tags.as_deref(),
        }
    }

    #[inline]
    fn read(self) -> Option<Option<V>>
    where
        V: Clone,
    {
        match self {
            Seen::Plain(value) => Some(Some(value.clone())),
            Seen::Other(other) => other.read(),
        }
    }
}

impl<'a, V> Content<'a, V> for &'a Stored<V> {
    fn value(self) -> Option<&'a V> {
        self.seen().value()
    }

    fn tags(self) -> Option<&'a Tags> {
        self.seen().tags()
    }

    fn read(self) -> Option<Option<V>>
    where
        V: Clone,
    {
        self.seen().read()
    }
}

impl<V: Clone> Other<V> {
    fn read(&self) -> Option<Option<V>> {
        match &self.tags {
            Some(tags) if !tags.hold() => None,
            _ => Some(self.value.clone()),
        }
    }
}

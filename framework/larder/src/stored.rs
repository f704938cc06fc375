//! What the store holds for a key.

use std::sync::Arc;

use crate::tags::Tags;

/// A value, or the knowledge that there is none, with the tags it depends on.
#[derive(Clone, Debug)]
pub(crate) struct Stored<V> {
    pub(crate) value: Option<V>,
    pub(crate) tags: Option<Arc<Tags>>,
}

impl<V: Clone> Stored<V> {
    /// The answer this entry gives: a value or "there is none"; `None` when one of its tags was
    /// invalidated.
    #[inline]
    pub(crate) fn read(&self) -> Option<Option<V>> {
        match &self.tags {
            Some(tags) if !tags.hold() => None,
            _ => Some(self.value.clone()),
        }
    }
}

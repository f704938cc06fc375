//! What the store holds for a key.

use std::sync::Arc;

use crate::tags::Tags;

/// A value, or the knowledge that there is none, with the tags it depends on.
///
/// Nearly every entry is a value without tags, so that takes no more room than it must; the rest
/// is behind a pointer.
#[derive(Clone, Debug)]
pub(crate) enum Stored<V> {
    Plain(V),
    Other(Box<Other<V>>),
}

#[derive(Clone, Debug)]
pub(crate) struct Other<V> {
    value: Option<V>,
    tags: Option<Arc<Tags>>,
}

impl<V> Stored<V> {
    pub(crate) fn new(value: Option<V>, tags: Option<Arc<Tags>>) -> Self {
        match (value, tags) {
            (Some(value), None) => Self::Plain(value),
            (value, tags) => Self::Other(Box::new(Other { value, tags })),
        }
    }

    /// The value, whether its tags hold or not.
    pub(crate) fn value(&self) -> Option<&V> {
        match self {
            Self::Plain(value) => Some(value),
            Self::Other(other) => other.value.as_ref(),
        }
    }

    pub(crate) fn tags(&self) -> Option<&Tags> {
        match self {
            Self::Plain(_) => None,
            Self::Other(other) => other.tags.as_deref(),
        }
    }
}

impl<V: Clone> Stored<V> {
    /// The answer this entry gives: a value or "there is none"; `None` when one of its tags was
    /// invalidated.
    #[inline]
    pub(crate) fn read(&self) -> Option<Option<V>> {
        match self {
            Self::Plain(value) => Some(Some(value.clone())),
            Self::Other(other) => other.read(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_value_takes_no_more_than_a_word_besides_itself() {
        assert!(size_of::<Stored<u64>>() <= 16);
        assert!(size_of::<Stored<Arc<str>>>() <= 24);
        assert!(size_of::<Stored<String>>() <= size_of::<String>() + 8);
    }
}

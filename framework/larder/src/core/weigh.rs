//! What an entry weighs against `max_bytes`.

use std::borrow::Borrow;
use std::sync::Arc;

use larder_core::Serializer;

use crate::codec::Codec;
use crate::core::{CacheValue, Key};
use crate::open::Weigher;

/// How entries are weighed.
pub(crate) enum Weigh<K, V> {
    /// The application says.
    By(Weigher<K, V>),
    /// The store is limited by count, so nobody asks.
    One,
    /// By the size of the serialized value.
    Serialized(Codec<V>, Arc<dyn Serializer>),
    /// By the size of the types, as nothing else is known of values without serde.
    Shallow,
}

impl<K: Key, V: CacheValue> Weigh<K, V> {
    /// The weight of an entry. The key is made only when it matters; `bytes` is the size of the
    /// serialized value, when known already.
    pub(crate) fn weigh<B: Borrow<K>>(
        &self,
        key: impl FnOnce() -> B,
        value: Option<&V>,
        bytes: Option<usize>,
    ) -> u32 {
        let size = match (self, value) {
            (Self::One, _) => return 1,
            (Self::By(weigh), Some(value)) => return weigh(key().borrow(), value),
            (Self::Serialized(codec, serializer), Some(value)) => match bytes {
                Some(bytes) => bytes,
                // A value that cannot be serialized is weighed like one without serde.
                None => {
                    codec.encode(value, &**serializer).map_or(size_of::<V>(), |bytes| bytes.len())
                }
            },
            (Self::Shallow, Some(_)) => size_of::<V>(),
            (_, None) => 0,
        };
        u32::try_from(size.saturating_add(key().borrow().text().len()).max(1)).unwrap_or(u32::MAX)
    }
}

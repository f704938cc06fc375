//! How values become the bytes of a tier, and bytes values again: a serializer, and what wraps its
//! output.

use std::collections::HashMap;
use std::sync::Arc;

use larder_core::{
    Bytes, CacheError, Entry, EntryMeta, ErrorKind, Result, Role, Serializer, WrapContext, Wrapper,
    Wrappers,
};

/// A serializer and its wrappers, as the config has them. Tiers of a cache with the same settings
/// share one.
#[derive(Debug)]
pub(crate) struct Format {
    pub(crate) serializer: Arc<dyn Serializer>,
    /// Sorted by role, which is the order in which they are applied. At most one of each.
    pub(crate) wrappers: Vec<(Role, Arc<dyn Wrapper>)>,
    /// Shorter values are not compressed.
    pub(crate) compress_min: usize,
}

/// The plugins that are linked, by the number by which entries name them, so that these stay
/// readable after the config chose others.
#[derive(Debug, Default)]
pub(crate) struct Linked {
    pub(crate) serializers: HashMap<u16, Arc<dyn Serializer>>,
    /// Without those that need options, such as keys.
    pub(crate) wrappers: HashMap<u16, (Role, Arc<dyn Wrapper>)>,
}

/// Where an entry belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place<'a> {
    /// The cache whose backend keeps it.
    pub(crate) cache: &'a str,
    pub(crate) key: &'a str,
}

/// A value as a tier stores it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packed {
    pub(crate) bytes: Bytes,
    pub(crate) wrappers: Wrappers,
}

impl Format {
    /// Wraps what the serializer of this number wrote. A value that is short, or does not get
    /// smaller, is not compressed.
    pub(crate) fn pack(&self, plain: Bytes, format: u16, place: Place<'_>) -> Result<Packed> {
        let mut packed = Packed { bytes: plain, wrappers: Wrappers::default() };
        for (role, wrapper) in &self.wrappers {
            let compresses = *role == Role::Compress;
            if compresses && packed.bytes.len() < self.compress_min {
                continue;
            }
            let context =
                WrapContext::new(place.cache, place.key, format).inner(packed.wrappers.numbers());
            let bytes = wrapper.wrap(&packed.bytes, &context)?;
            if compresses && bytes.len() >= packed.bytes.len() {
                continue;
            }
            packed.wrappers = packed.wrappers.within(wrapper.number()).ok_or_else(|| {
                CacheError::new(ErrorKind::Plugin, "the wrapper has no number of its own")
                    .with("number", wrapper.number())
            })?;
            packed.bytes = bytes.into();
        }
        Ok(packed)
    }

    /// The serialized value of an entry of the store.
    ///
    /// Where the config says `encrypt`, an entry that is not encrypted is refused: anybody could
    /// have written it.
    pub(crate) fn unpack(
        &self,
        linked: &Linked,
        entry: &Entry,
        place: Place<'_>,
        max_size: usize,
    ) -> Result<Bytes> {
        let cipher = self.wrappers.iter().find(|(role, _)| *role == Role::Encrypt);
        let is_among = |number| entry.meta.wrappers.numbers().contains(&number);
        if cipher.is_some_and(|(_, cipher)| !is_among(cipher.number())) {
            return Err(unreadable("the entry is not encrypted, and has to be"));
        }
        self.undo(linked, entry, place, max_size)
    }

    /// Undoes what an entry says that it went through, with these wrappers or any that is linked.
    pub(crate) fn undo(
        &self,
        linked: &Linked,
        entry: &Entry,
        place: Place<'_>,
        max_size: usize,
    ) -> Result<Bytes> {
        let numbers = entry.meta.wrappers.numbers();
        let mut bytes = entry.value.clone();
        let mut outer: Option<Role> = None;
        for (index, number) in numbers.iter().enumerate() {
            let own = self.wrappers.iter().find(|(_, wrapper)| wrapper.number() == *number);
            let Some((role, wrapper)) = own.or_else(|| linked.wrappers.get(number)) else {
                return Err(unreadable(
                    "no wrapper that is linked and configured wrote this entry",
                )
                .with("wrapper_number", number));
            };
            // Nobody writes others: several layers of compression would multiply what a few
            // bytes can stand for.
            if outer.replace(*role).is_some_and(|outer| outer <= *role) {
                return Err(unreadable("the wrappers of the entry are out of order"));
            }
            let inner = &numbers[index + 1..];
            // What still has to be undone may be longer than the value: encryption adds a little.
            let max_size = if inner.is_empty() { max_size } else { usize::MAX };
            let context = WrapContext::new(place.cache, place.key, entry.meta.format)
                .inner(inner)
                .max_size(max_size);
            bytes = wrapper.undo(&bytes, &context)?.into();
        }
        Ok(bytes)
    }

    /// Whether values are encrypted.
    pub(crate) fn encrypts(&self) -> bool {
        self.wrappers.iter().any(|(role, _)| *role == Role::Encrypt)
    }

    /// Whether an entry is wrapped as it would be here: encrypted and encoded in the same way, and
    /// compressed in the same way or not at all.
    pub(crate) fn would_write(&self, meta: &EntryMeta) -> bool {
        let (compress, others): (Vec<_>, Vec<_>) =
            self.wrappers.iter().rev().partition(|(role, _)| *role == Role::Compress);
        let number = |(_, wrapper): &&(Role, Arc<dyn Wrapper>)| wrapper.number();
        let others: Vec<u16> = others.iter().map(number).collect();
        let Some(inner) = meta.wrappers.numbers().strip_prefix(others.as_slice()) else {
            return false;
        };
        inner.is_empty() || compress.iter().map(number).eq(inner.iter().copied())
    }
}

fn unreadable(message: &'static str) -> CacheError {
    CacheError::new(ErrorKind::Serialization, message).during("unwrap")
}

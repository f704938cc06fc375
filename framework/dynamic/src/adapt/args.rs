//! [`Args`], what a call is made with: borrowed for a call on this thread, owned for one on a
//! thread that may block.

use std::borrow::Cow;
use std::sync::Arc;

use larder_abi::{NEVER, value};
use larder_core::backend::Deadlines;
use larder_core::envelope::{self, EnvelopeError};
use larder_core::invalidator::Invalidation;
use larder_core::{Entry, Timestamp};

use super::warmer::WarmRun;
use crate::change::Change;
use crate::host;
use crate::host::buffer::Buffer;

/// What a call is made with; each uses what it needs of it.
#[derive(Debug, Default)]
pub(crate) struct Args<'a> {
    /// The key of a call about one.
    pub(crate) key: Cow<'a, str>,
    /// The keys of a call about many.
    pub(crate) keys: Vec<Cow<'a, str>>,
    /// What is stored, one for each key.
    pub(crate) entries: Vec<Sealed>,
    pub(crate) soft_us: i64,
    pub(crate) hard_us: i64,
    /// A duration in microseconds, a length or a limit.
    pub(crate) amount: u64,
    pub(crate) token: u64,
    pub(crate) prefix: Cow<'a, str>,
    pub(crate) cursor: Cow<'a, str>,
    /// What only some kinds of components are called with.
    pub(crate) more: Option<Box<More>>,
}

/// What calls to others than backends are made with.
#[derive(Debug)]
pub(crate) enum More {
    /// Of an invalidator.
    Invalidation(Invalidation),
    /// Of a replicator.
    Changes(Vec<Change>),
    /// Of a warmer.
    Run(Arc<WarmRun>),
}

impl<'a> Args<'a> {
    /// A call about one key.
    pub(crate) fn key(key: &'a str) -> Self {
        Self { key: Cow::Borrowed(key), ..Self::default() }
    }

    /// A call about many keys.
    pub(crate) fn keys(keys: impl IntoIterator<Item = &'a str>) -> Self {
        Self { keys: keys.into_iter().map(Cow::Borrowed).collect(), ..Self::default() }
    }

    /// A copy that needs nobody to wait for it.
    pub(crate) fn into_owned(self) -> Args<'static> {
        let owned = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        Args {
            key: owned(self.key),
            keys: self.keys.into_iter().map(owned).collect(),
            prefix: owned(self.prefix),
            cursor: owned(self.cursor),
            entries: self.entries,
            soft_us: self.soft_us,
            hard_us: self.hard_us,
            amount: self.amount,
            token: self.token,
            more: self.more,
        }
    }

    /// A call with this, which is about no key.
    pub(crate) fn more(more: More) -> Self {
        Self { more: Some(Box::new(more)), ..Self::default() }
    }

    /// The entry of a call that stores one.
    pub(crate) fn entry(&self) -> value::Entry {
        self.entries.first().map_or(value::Entry::EMPTY, Sealed::lend)
    }

    /// The key for a library, which must copy it to keep it.
    pub(crate) fn lend_key(&self) -> value::Key {
        lend_key(&self.key)
    }

    /// All keys for a library.
    pub(crate) fn lend_keys(&self) -> Vec<value::Key> {
        self.keys.iter().map(|key| lend_key(key)).collect()
    }
}

/// A key for a library, which must copy it to keep it.
#[inline]
pub(crate) fn lend_key(key: &str) -> value::Key {
    value::Key { ptr: key.as_ptr(), len: key.len(), hash: host::hash_of(key) }
}

/// An entry as libraries keep it.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    envelope: Buffer,
    soft_us: i64,
    hard_us: i64,
    version: value::Version,
}

impl Sealed {
    pub(crate) fn new(entry: &Entry) -> Result<Self, EnvelopeError> {
        let mut bytes = Vec::with_capacity(envelope::encoded_len(entry));
        envelope::encode(entry, &mut bytes)?;
        let meta = &entry.meta;
        let stamp = meta.stamp;
        Ok(Self {
            envelope: Buffer::new(bytes),
            soft_us: deadline_us(meta.soft_deadline),
            hard_us: deadline_us(meta.hard_deadline),
            version: value::Version {
                time_us: stamp.time.as_micros(),
                origin: stamp.origin,
                reserved: 0,
            },
        })
    }

    pub(crate) fn lend(&self) -> value::Entry {
        value::Entry {
            value: self.envelope.lend(),
            soft_us: self.soft_us,
            hard_us: self.hard_us,
            version: self.version,
            reserved: [0; 2],
        }
    }
}

/// A deadline as libraries read it.
pub(crate) fn deadline_us(at: Option<Timestamp>) -> i64 {
    at.map_or(NEVER, |at| i64::try_from(at.as_micros()).unwrap_or(NEVER - 1))
}

/// Both deadlines of a `touch`.
pub(crate) fn deadlines_us(deadlines: Deadlines) -> (i64, i64) {
    (deadline_us(deadlines.soft), deadline_us(deadlines.hard))
}

//! Invalidations and mutations as the header has them, and as the framework does.
//!
//! Both sides read them strictly: a target that is no text, or a scope that is unknown, must not
//! become another one, so nothing of such a batch is carried out.

use larder_abi::value::{self, Slice, mutation, scope};
use larder_abi::{Status, value::INVALIDATION_KEEP};
use larder_core::envelope::{self, EnvelopeError};
use larder_core::invalidator::{Invalidation, Scope};
use larder_core::replicator::Mutation;
use larder_core::{Entry, Stamp, Timestamp};

use crate::adapt::args::Sealed;
use crate::adapt::output::deadlines;
use crate::borrow;

/// No batch has more.
const MOST: usize = 1 << 16;

fn stamp(version: &value::Version) -> Stamp {
    Stamp { time: Timestamp::from_micros(version.time_us), origin: version.origin }
}

fn version(stamp: Stamp) -> value::Version {
    value::Version { time_us: stamp.time.as_micros(), origin: stamp.origin, reserved: 0 }
}

/// # Safety
///
/// The slice must be lent for the time of the call.
unsafe fn text(from: &Slice) -> Result<String, Status> {
    // SAFETY: the caller says so.
    let bytes = unsafe { borrow::slice(from, "a target") }.map_err(|_| Status::BROKEN)?;
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Status::KEY)
}

/// # Safety
///
/// As [`text`].
unsafe fn scoped(of: u32, target: &Slice, version: &value::Version) -> Result<Scope, Status> {
    let make = match of {
        scope::ALL => return Ok(Scope::All),
        scope::VERSION => return Ok(Scope::Version(stamp(version))),
        scope::GLOB => Scope::Glob,
        scope::KEY => Scope::Key,
        scope::PREFIX => Scope::Prefix,
        scope::TAG => Scope::Tag,
        _ => return Err(Status::UNSUPPORTED),
    };
    // SAFETY: the caller says so.
    unsafe { text(target) }.map(make)
}

fn unscoped(scope: &Scope) -> Option<(u32, &str)> {
    Some(match scope {
        Scope::All => (scope::ALL, ""),
        Scope::Glob(text) => (scope::GLOB, text),
        Scope::Key(text) => (scope::KEY, text),
        Scope::Prefix(text) => (scope::PREFIX, text),
        Scope::Tag(text) => (scope::TAG, text),
        Scope::Version(_) => (scope::VERSION, ""),
        _ => return None,
    })
}

/// # Safety
///
/// As [`borrow::array`].
unsafe fn batch<'a, T>(first: *const T, count: usize) -> Result<&'a [T], Status> {
    if count > MOST {
        return Err(Status::CAPACITY);
    }
    // SAFETY: the caller says so.
    unsafe { borrow::array(first, count) }
}

/// Copies of invalidations.
///
/// # Safety
///
/// They must be lent for the time of the call, as the header says.
pub(crate) unsafe fn invalidations(
    first: *const value::Invalidation,
    count: usize,
) -> Result<Vec<Invalidation>, Status> {
    // SAFETY: the caller says so.
    let events = unsafe { batch(first, count) }?;
    let read = |event: &value::Invalidation| {
        // SAFETY: the caller says so.
        let scope = unsafe { scoped(event.scope, &event.target, &event.version) }?;
        let mut invalidation = Invalidation::new(scope, stamp(&event.version));
        invalidation.keep_as_fallback = event.flags & INVALIDATION_KEEP != 0;
        Ok(invalidation)
    };
    events.iter().map(read).collect()
}

/// An invalidation for the other side, which must copy it to keep it; `None` if the header has no
/// such scope.
pub(crate) fn lend(invalidation: &Invalidation) -> Option<value::Invalidation> {
    let (scope, target) = unscoped(&invalidation.scope)?;
    let stamp = match invalidation.scope {
        Scope::Version(stamp) => stamp,
        _ => invalidation.stamp,
    };
    let flags = if invalidation.keep_as_fallback { INVALIDATION_KEEP } else { 0 };
    let target = Slice::new(target.as_bytes());
    Some(value::Invalidation { scope, flags, target, version: version(stamp), reserved: [0; 2] })
}

/// Copies of mutations; the bytes of entries are kept where they have an owner.
///
/// # Safety
///
/// They must be lent for the time of the call, as the header says.
pub(crate) unsafe fn mutations(
    first: *const value::Mutation,
    count: usize,
) -> Result<Vec<Mutation>, Status> {
    // SAFETY: the caller says so.
    let changes = unsafe { batch(first, count) }?;
    let read = |change: &value::Mutation| {
        let (target, stamp) = (&change.target, stamp(&change.entry.version));
        Ok(match change.op {
            mutation::DELETE => {
                // SAFETY: the caller says so.
                Mutation::Delete { key: unsafe { text(target) }?, stamp }
            }
            mutation::INVALIDATE => {
                // SAFETY: the caller says so.
                let scope = unsafe { scoped(change.scope, target, &change.entry.version) }?;
                Mutation::Invalidate { scope, stamp }
            }
            mutation::PUT => {
                // SAFETY: the caller says so.
                let key = unsafe { text(target) }?;
                // SAFETY: the caller says so.
                Mutation::Put { key, entry: unsafe { entry(&change.entry) }? }
            }
            _ => return Err(Status::UNSUPPORTED),
        })
    };
    changes.iter().map(read).collect()
}

/// An entry that is lent, whose bytes are kept if they have an owner.
///
/// # Safety
///
/// It must be one of a call of the header.
pub(crate) unsafe fn entry(entry: &value::Entry) -> Result<Entry, Status> {
    // SAFETY: by the header `vt` is null or points to a table that stays.
    let retain = unsafe { entry.value.vt.as_ref() }.and_then(|vt| vt.retain);
    let lent = match retain {
        Some(retain) => {
            // SAFETY: the bytes are lent for this call, so they have an owner.
            unsafe { retain(entry.value.owner) };
            entry.value
        }
        None => value::Bytes { vt: std::ptr::null(), ..entry.value },
    };
    let bytes = borrow::take(&lent, "the value").map_err(|_| Status::BROKEN)?;
    let mut opened = envelope::decode(&bytes).map_err(|_| Status::SERIALIZATION)?;
    let deadlines = deadlines(entry.soft_us, entry.hard_us);
    (opened.meta.soft_deadline, opened.meta.hard_deadline) = (deadlines.soft, deadlines.hard);
    Ok(opened)
}

/// A mutation with its entry as the header has it.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    mutation: Mutation,
    sealed: Option<Sealed>,
}

impl Change {
    pub(crate) fn new(mutation: Mutation) -> Result<Self, EnvelopeError> {
        let sealed = match &mutation {
            Mutation::Put { entry, .. } => Some(Sealed::new(entry)?),
            _ => None,
        };
        Ok(Self { mutation, sealed })
    }

    /// For the other side, which must copy it to keep it; `None` if the header has no such change.
    pub(crate) fn lend(&self) -> Option<value::Mutation> {
        let (op, scope, target) = match &self.mutation {
            Mutation::Delete { key, .. } => (mutation::DELETE, 0, key.as_str()),
            Mutation::Invalidate { scope, .. } => {
                let (scope, target) = unscoped(scope)?;
                (mutation::INVALIDATE, scope, target)
            }
            Mutation::Put { key, .. } => (mutation::PUT, 0, key.as_str()),
            _ => return None,
        };
        let mut entry = self.sealed.as_ref().map_or(value::Entry::EMPTY, Sealed::lend);
        entry.version = match &self.mutation {
            // Its version is its target, and there is room for one.
            Mutation::Invalidate { scope: Scope::Version(stamp), .. } => version(*stamp),
            mutation => version(mutation.stamp()),
        };
        let target = Slice::new(target.as_bytes());
        Some(value::Mutation { op, scope, target, entry, reserved: [0; 2] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: u64) -> Stamp {
        Stamp { time: Timestamp::from_micros(micros), origin: 7 }
    }

    fn scopes() -> [Scope; 6] {
        let text = || "user:*".to_owned();
        [
            Scope::All,
            Scope::Glob(text()),
            Scope::Key(text()),
            Scope::Prefix(text()),
            Scope::Tag(text()),
            Scope::Version(at(9)),
        ]
    }

    #[test]
    fn invalidations_cross_as_they_are() {
        for scope in scopes() {
            let mut sent = Invalidation::new(scope, at(9));
            for keep in [false, true] {
                sent.keep_as_fallback = keep;
                let raw = lend(&sent).unwrap();
                // SAFETY: it is lent by `sent`, which lives.
                let read = unsafe { invalidations(&raw const raw, 1) };
                assert_eq!(read.unwrap(), [sent.clone()]);
            }
        }
    }

    #[test]
    fn mutations_cross_as_they_are() {
        let mut entry = Entry { value: vec![7; 5000].into(), ..Entry::default() };
        entry.meta.stamp = at(5);
        entry.meta.hard_deadline = Some(Timestamp::from_micros(77));
        let key = || "k".to_owned();
        let mut sent: Vec<Mutation> = scopes()
            .into_iter()
            .map(|scope| Mutation::Invalidate { scope, stamp: at(9) })
            .collect();
        sent.push(Mutation::Delete { key: key(), stamp: at(3) });
        sent.push(Mutation::Put { key: key(), entry });
        let changes: Vec<Change> =
            sent.iter().map(|one| Change::new(one.clone()).unwrap()).collect();
        let raw: Vec<_> = changes.iter().map(|change| change.lend().unwrap()).collect();
        // SAFETY: they are lent by `changes`, which live.
        let read = unsafe { mutations(raw.as_ptr(), raw.len()) };
        assert_eq!(read.unwrap(), sent);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_something_else() {
        let sent = Invalidation::new(Scope::Key("k".to_owned()), at(1));
        let good = lend(&sent).unwrap();
        let cases = [
            (value::Invalidation { scope: 99, ..good }, Status::UNSUPPORTED),
            (value::Invalidation { target: Slice::new(&[0xff]), ..good }, Status::KEY),
            (
                value::Invalidation { target: Slice { ptr: std::ptr::null(), len: 9 }, ..good },
                Status::BROKEN,
            ),
        ];
        for (bad, status) in cases {
            let events = [good, bad];
            // SAFETY: what they point to lives, or is what is tested.
            assert_eq!(unsafe { invalidations(events.as_ptr(), 2) }.unwrap_err(), status);
        }
        // SAFETY: nothing is read of so many, nor of null.
        let refused = unsafe { invalidations(&raw const good, usize::MAX) };
        assert_eq!(refused.unwrap_err(), Status::CAPACITY);
        // SAFETY: as above.
        let refused = unsafe { mutations(std::ptr::null(), 1) };
        assert_eq!(refused.unwrap_err(), Status::BROKEN);
        let target = Slice::new(b"k");
        let entry = value::Entry { value: value::Bytes::borrowed(target), ..value::Entry::EMPTY };
        let mut torn = value::Mutation { op: 1, scope: 0, target, entry, reserved: [0; 2] };
        // SAFETY: what it points to lives.
        assert_eq!(unsafe { mutations(&raw const torn, 1) }, Err(Status::SERIALIZATION));
        torn.op = 99;
        // SAFETY: what it points to lives.
        assert_eq!(unsafe { mutations(&raw const torn, 1) }, Err(Status::UNSUPPORTED));
    }
}

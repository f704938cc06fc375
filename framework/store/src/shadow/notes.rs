//! [`Notes`], what was asked for and is not learnt from yet.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// How many notes there is room for.
const ROOM: usize = 128;
/// From how many on a writer should take them out. A reader only does when there is no more room,
/// so that writers bear the work wherever there are some.
const ENOUGH: usize = 64;

/// What happened to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// A look-up found it.
    Hit,
    /// It came in, so the look-up before found nothing.
    Insert,
    /// Its value was replaced, which no look-up need have led to.
    Replace,
}

/// A use of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) hash: u64,
    pub(crate) what: Use,
    /// The weight of the entry; 0 if it is not known.
    pub(crate) weight: u32,
}

/// Notes that threads write down without waiting for each other. When there is no more room they
/// are lost; a note that is written while others are taken out may be mixed up with another.
pub(crate) struct Notes {
    next: AtomicUsize,
    lost: AtomicU64,
    places: [(AtomicU64, AtomicU64); ROOM],
}

impl Notes {
    pub(crate) fn new() -> Self {
        let places = std::array::from_fn(|_| Default::default());
        Self { next: AtomicUsize::new(0), lost: AtomicU64::new(0), places }
    }

    /// Writes a note down; whether it is time to take all out.
    pub(crate) fn push(&self, note: Note) -> bool {
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        if let Some((hash, rest)) = self.places.get(next) {
            hash.store(note.hash, Ordering::Relaxed);
            rest.store(u64::from(note.weight) << 2 | note.what as u64, Ordering::Relaxed);
        } else {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        next >= if note.what == Use::Hit { ROOM - 1 } else { ENOUGH }
    }

    /// Takes all notes out, oldest first; how many were lost since the last time. Only one thread
    /// at a time may do so.
    pub(crate) fn drain(&self, mut each: impl FnMut(Note)) -> u64 {
        let count = self.next.load(Ordering::Relaxed).min(ROOM);
        for (hash, rest) in &self.places[..count] {
            let rest = rest.load(Ordering::Relaxed);
            let what = match rest & 3 {
                0 => Use::Hit,
                1 => Use::Insert,
                _ => Use::Replace,
            };
            each(Note { hash: hash.load(Ordering::Relaxed), what, weight: (rest >> 2) as u32 });
        }
        self.next.store(0, Ordering::Relaxed);
        self.lost.swap(0, Ordering::Relaxed)
    }
}

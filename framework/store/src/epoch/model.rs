//! Every order in which a reader and a writer can meet, tried by loom.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p larder-store --lib epoch::model`

#![expect(unsafe_code, reason = "loom watches what is done to raw slots")]

use larder_core::barrier::Barrier;
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::{Epoch, Mark};

/// Two slots, of which one is in reach.
struct Table {
    epoch: Epoch,
    marks: [Mark; 2],
    current: AtomicUsize,
    slots: [UnsafeCell<usize>; 2],
}

impl Table {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            epoch: Epoch::new(),
            marks: [Mark::new(), Mark::new()],
            current: AtomicUsize::new(0),
            slots: [UnsafeCell::new(10), UnsafeCell::new(0)],
        })
    }

    fn read(&self, thread: usize) -> usize {
        let mark = &self.marks[thread];
        assert!(self.epoch.enter(mark, Barrier::Symmetric));
        let at = self.current.load(Ordering::Acquire);
        let value = self.slots[at].with(|slot| {
            // SAFETY: this is what is being tested: loom reports a read that meets a write.
            unsafe { *slot }
        });
        mark.leave();
        value
    }

    fn fill(&self, slot: usize, value: usize) {
        self.slots[slot].with_mut(|slot| {
            // SAFETY: as above.
            unsafe { *slot = value }
        });
    }

    /// Puts a value into the other slot, takes the first out of reach, and fills it again if
    /// nobody can see it.
    fn write(&self) -> bool {
        self.fill(1, 11);
        self.current.store(1, Ordering::Release);
        let stamp = self.epoch.close();
        if !Barrier::Symmetric.heavy() || self.marks.iter().any(|mark| mark.is_before(stamp)) {
            return false;
        }
        self.fill(0, 12);
        self.current.store(0, Ordering::Release);
        true
    }
}

#[test]
fn a_slot_is_never_filled_again_while_somebody_reads_it() {
    loom::model(|| {
        let table = Table::new();
        let readers: Vec<_> = (0..2)
            .map(|number| {
                let table = Arc::clone(&table);
                thread::spawn(move || {
                    let seen = table.read(number);
                    assert!((10..=12).contains(&seen), "{seen} was never stored");
                })
            })
            .collect();
        table.write();
        for reader in readers {
            reader.join().expect("no reader panics");
        }
    });
}

#[test]
fn who_reads_twice_never_goes_back() {
    loom::model(|| {
        let table = Table::new();
        let reader = {
            let table = Arc::clone(&table);
            thread::spawn(move || (table.read(0), table.read(0)))
        };
        table.write();
        let (first, second) = reader.join().expect("no reader panics");
        assert!(first <= second);
    });
}

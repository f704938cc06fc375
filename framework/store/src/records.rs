//! [`Records`], the hits of a shard that its policy has not heard of yet.
//!
//! Readers write slot numbers down with plain stores: those that write at the same moment, or
//! while the records are taken out, may lose a hit or let an old one count again, which a policy
//! can bear, and which a locked instruction per hit would cost more than. Writers take the records
//! out under the lock.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use larder_core::policy::SlotId;

/// How many hits are written down before the policy has to hear of them.
const RECORDS: usize = 64;

pub(crate) struct Records {
    next: AtomicUsize,
    slots: [AtomicU32; RECORDS],
}

impl Records {
    pub(crate) fn new() -> Self {
        Self { next: AtomicUsize::new(0), slots: std::array::from_fn(|_| AtomicU32::new(0)) }
    }

    /// Writes a hit down; `false` when the buffer is full now.
    #[inline]
    pub(crate) fn push(&self, slot: u32) -> bool {
        let next = self.next.load(Ordering::Relaxed);
        if let Some(place) = self.slots.get(next) {
            place.store(slot, Ordering::Relaxed);
            self.next.store(next + 1, Ordering::Relaxed);
        }
        next + 1 < RECORDS
    }

    /// Takes all records out, oldest first.
    pub(crate) fn drain(&self, hand_over: impl FnOnce(&mut [SlotId])) {
        let count = self.next.load(Ordering::Relaxed).min(RECORDS);
        if count == 0 {
            return;
        }
        let mut hits = [SlotId::new(0); RECORDS];
        for (hit, slot) in hits.iter_mut().zip(&self.slots) {
            *hit = SlotId::new(slot.load(Ordering::Relaxed));
        }
        self.next.store(0, Ordering::Relaxed);
        hand_over(&mut hits[..count]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_out_in_order_and_hits_beyond_the_buffer_are_dropped() {
        let records = Records::new();
        let last = u32::try_from(RECORDS).unwrap() - 1;
        for slot in 0..last {
            assert!(records.push(slot));
        }
        assert!(!records.push(last));
        assert!(!records.push(99));
        records.drain(|hits| {
            let numbers: Vec<u32> = hits.iter().map(|slot| slot.get()).collect();
            assert_eq!(numbers, (0..=last).collect::<Vec<_>>());
        });
        records.drain(|hits| panic!("drained twice: {hits:?}"));
        assert!(records.push(1));
    }
}

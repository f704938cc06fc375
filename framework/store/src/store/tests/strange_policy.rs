//! Policies that refuse, and policies that are wrong.

use std::sync::Arc;

use larder_core::backend::InProcess;
use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};

use super::{Fixture, entries, fixture};
use crate::options::Insert;
use crate::outcome::{Inserted, Lookup, MissCause};

/// Names always the same victim, and admits keys or not.
#[derive(Clone, Copy, Debug)]
struct Stubborn {
    victim: Option<SlotId>,
    admits: bool,
    len: usize,
}

impl Policy for Stubborn {
    fn hit_mode(&self) -> HitMode {
        HitMode::None
    }

    fn on_insert(&mut self, _: SlotId, _: &mut dyn Slots) {
        self.len += 1;
    }

    fn on_remove(&mut self, _: SlotId, _: bool, _: &mut dyn Slots) {
        self.len -= 1;
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let unknown = SlotId::new(1_000_000);
        // Whatever it asks about, it gets an answer.
        assert_eq!((slots.hits(unknown), slots.weight(unknown)), (0, 0));
        assert_eq!(slots.deadline(unknown), None);
        slots.set_hits(unknown, 1);
        assert_eq!(slots.random(1), 0);
        self.victim
    }

    fn admit(&mut self, _: u64, _: u32, _: SlotId, _: &mut dyn Slots) -> bool {
        self.admits
    }

    fn resize(&mut self, _: Capacity) {}

    fn len(&self) -> usize {
        self.len
    }
}

impl PolicyFactory for Stubborn {
    fn kind(&self) -> &str {
        "stubborn"
    }

    fn policy(&self, _: Capacity) -> Box<dyn Policy> {
        Box::new(*self)
    }
}

fn stubborn(victim: Option<u32>, admits: bool) -> Fixture<u32, u32> {
    let policy = Stubborn { victim: victim.map(SlotId::new), admits, len: 0 };
    fixture(InProcess::new(entries(2), Arc::new(policy)))
}

#[test]
fn a_policy_that_names_no_victim_or_a_wrong_one_cannot_make_the_store_grow() {
    for victim in [None, Some(7), Some(u32::MAX)] {
        let store = stubborn(victim, true);
        for key in 0..10 {
            assert_eq!(store.insert(key, key, Insert::default()), Ok(Inserted::New));
            assert_eq!(store.get(&key), Lookup::Hit(key));
        }
        assert_eq!(store.len(), 2);
    }
}

#[test]
fn a_key_that_the_policy_does_not_admit_is_not_stored_and_evicts_nobody() {
    let store = stubborn(Some(0), false);
    for key in 0..2 {
        store.insert(key, key, Insert::default()).unwrap();
    }
    assert_eq!(store.insert(2, 2, Insert::default()), Ok(Inserted::Rejected));
    assert_eq!(store.get(&2), Lookup::Miss(MissCause::Evicted));
    assert!(store.contains(&0) && store.contains(&1));
    assert_eq!(store.insert(1, 9, Insert::default()), Ok(Inserted::Replaced));
    assert_eq!(store.stats().rejections, 1);
}

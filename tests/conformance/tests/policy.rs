//! The cases pass with a sound policy, and each fault is found by a case.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use larder_conformance::policy;
use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};

/// What the policy does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    ChangesItsMode,
    CountsTwice,
    DrawsByItself,
    ForgetsTheVictim,
    IgnoresPins,
    KeepsTheGone,
    LooksAtAll,
    NamesTheGone,
    ManyCandidates,
    TrustsOldHits,
    WantsRoom,
}

/// First in, first out; a hit moves an entry to the end.
#[derive(Debug)]
struct Queue {
    slots: VecDeque<SlotId>,
    gone: Option<SlotId>,
    fault: Fault,
}

impl Policy for Queue {
    fn hit_mode(&self) -> HitMode {
        match self.fault {
            Fault::ChangesItsMode if self.slots.len() > 10 => HitMode::Bit,
            _ => HitMode::Record,
        }
    }

    fn on_insert(&mut self, slot: SlotId, _: &mut dyn Slots) {
        self.slots.push_back(slot);
    }

    fn on_remove(&mut self, slot: SlotId, _: bool, _: &mut dyn Slots) {
        self.gone = Some(slot);
        if self.fault != Fault::KeepsTheGone || slot.get() != 7 {
            self.slots.retain(|queued| *queued != slot);
        }
    }

    fn on_hits(&mut self, hits: &[SlotId], _: &mut dyn Slots) {
        for slot in hits {
            let at = self.slots.iter().position(|queued| queued == slot);
            if at.and_then(|at| self.slots.remove(at)).is_some()
                || self.fault == Fault::TrustsOldHits
            {
                self.slots.push_back(*slot);
            }
        }
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        if self.fault == Fault::NamesTheGone && self.gone.is_some() {
            return self.gone;
        }
        if self.fault == Fault::LooksAtAll {
            let heaviest = self.slots.iter().map(|slot| slots.weight(*slot)).max();
            assert_ne!(heaviest, Some(0));
        }
        let skip = match self.fault {
            Fault::DrawsByItself => fastrand::usize(..3),
            _ => 0,
        };
        let ignores = self.fault == Fault::IgnoresPins;
        let mut free = self.slots.iter().copied().filter(|slot| ignores || !slots.is_pinned(*slot));
        let first = free.next();
        let named = free.nth(skip.max(1) - 1).filter(|_| skip > 0).or(first);
        if self.fault == Fault::ForgetsTheVictim {
            self.slots.retain(|slot| Some(*slot) != named);
        }
        named
    }

    fn resize(&mut self, capacity: Capacity) {
        if self.fault == Fault::WantsRoom {
            assert_ne!(capacity.entries, Some(0), "no room");
        }
    }

    fn len(&self) -> usize {
        self.slots.len() * if self.fault == Fault::CountsTwice { 2 } else { 1 }
    }
}

#[derive(Debug)]
struct Queues {
    fault: Fault,
    candidates: Vec<Arc<dyn PolicyFactory>>,
}

impl PolicyFactory for Queues {
    fn kind(&self) -> &str {
        "queue"
    }

    fn policy(&self, _: Capacity) -> Box<dyn Policy> {
        Box::new(Queue { slots: VecDeque::new(), gone: None, fault: self.fault })
    }

    fn candidates(&self) -> &[Arc<dyn PolicyFactory>] {
        &self.candidates
    }
}

fn queues(fault: Fault) -> Arc<dyn PolicyFactory> {
    let none = || Arc::new(Queues { fault: Fault::None, candidates: Vec::new() });
    let count = if fault == Fault::ManyCandidates { 9 } else { 0 };
    let candidates = (0..count).map(|_| none() as Arc<dyn PolicyFactory>).collect();
    Arc::new(Queues { fault, candidates })
}

fn sound() -> Arc<dyn PolicyFactory> {
    queues(Fault::None)
}

larder_conformance::policy!(sound);

#[test]
fn every_fault_is_found() {
    type Case = fn(&dyn PolicyFactory);
    let faults: [(Fault, Case); 12] = [
        (Fault::ChangesItsMode, policy::the_hit_mode_stays),
        (Fault::CountsTwice, policy::the_books_agree_with_the_shard),
        (Fault::DrawsByItself, policy::the_same_seed_names_the_same_victims),
        (Fault::ForgetsTheVictim, policy::naming_a_victim_removes_nothing),
        (Fault::IgnoresPins, policy::it_finds_a_victim_unless_all_are_pinned),
        (Fault::KeepsTheGone, policy::a_policy_that_was_emptied_starts_again),
        (Fault::KeepsTheGone, policy::the_books_agree_with_the_shard),
        (Fault::LooksAtAll, policy::the_work_does_not_grow_with_the_shard),
        (Fault::NamesTheGone, policy::naming_a_victim_removes_nothing),
        (Fault::ManyCandidates, policy::there_are_few_candidates),
        (Fault::TrustsOldHits, policy::old_hits_do_no_harm),
        (Fault::WantsRoom, policy::a_policy_takes_any_capacity),
    ];
    for (fault, case) in faults {
        let factory = queues(fault);
        let outcome = catch_unwind(AssertUnwindSafe(|| case(&*factory)));
        assert!(outcome.is_err(), "{fault:?} is not found");
    }
}

//! Policies that name the wrong entries, or none.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use larder_abi::Status;
use larder_abi::call::{Create, Error};
use larder_abi::table::{PolicyVt, Slots as Asked, hit};
use larder_core::Moment;
use larder_core::policy::{Capacity, SlotId, Slots};

use crate::testing::{self, policy_of};

/// What the next `victim` answers; one test a thread would do, so each has its own table.
macro_rules! policy_that_names {
    ($name:ident) => {
        mod $name {
            use super::*;

            pub(super) static STATUS: AtomicU32 = AtomicU32::new(0);
            pub(super) static NAMED: AtomicU32 = AtomicU32::new(0);

            pub(super) unsafe extern "C" fn victim(
                _: *mut c_void,
                asked: *const Asked,
                out: *mut u32,
            ) -> Status {
                // SAFETY: as the header says.
                let asked = unsafe { &*asked };
                let wild = [0, 7, 1 << 20, u32::MAX];
                for slot in wild {
                    // SAFETY: as the header says; any number may be asked about.
                    unsafe { asked.hits.unwrap()(asked.shard, slot) };
                    // SAFETY: as above.
                    unsafe { asked.set_hits.unwrap()(asked.shard, slot, 1000) };
                }
                // SAFETY: as above.
                assert_eq!(unsafe { asked.random.unwrap()(asked.shard, 0) }, 0);
                // SAFETY: as above.
                unsafe { out.write(NAMED.load(Ordering::SeqCst)) };
                Status(STATUS.load(Ordering::SeqCst).cast_signed())
            }
        }
    };
}

policy_that_names!(unknown);
policy_that_names!(pinned);
policy_that_names!(nothing);
policy_that_names!(panics);

unsafe extern "C" fn create(_: *const Create, _: *mut *mut c_void, _: *mut Error) -> Status {
    Status::OK
}

unsafe extern "C" fn destroy(_: *mut c_void) {}

unsafe extern "C" fn insert(_: *mut c_void, _: u32, _: *const Asked) {}

unsafe extern "C" fn remove(_: *mut c_void, _: u32, _: i32, _: *const Asked) {}

unsafe extern "C" fn resize(_: *mut c_void, _: u64, _: u64) {}

unsafe extern "C" fn len(_: *mut c_void) -> u64 {
    42
}

fn table(victim: unsafe extern "C" fn(*mut c_void, *const Asked, *mut u32) -> Status) -> PolicyVt {
    PolicyVt {
        struct_size: size_of::<PolicyVt>() as u32,
        hit_mode: hit::BIT,
        hit_max: 0,
        reserved: 0,
        create: Some(create),
        destroy: Some(destroy),
        on_insert: Some(insert),
        on_remove: Some(remove),
        victim: Some(victim),
        resize: Some(resize),
        len: Some(len),
        on_hits: None,
        admit: None,
    }
}

/// Ten entries, of which the first is pinned; asking about any other is a panic.
struct Ten;

impl Slots for Ten {
    fn hits(&self, slot: SlotId) -> u8 {
        [0; 10][slot.index()]
    }

    fn set_hits(&mut self, slot: SlotId, _: u8) {
        assert!(slot.index() < 10);
    }

    fn hash(&self, slot: SlotId) -> u64 {
        [0; 10][slot.index()]
    }

    fn weight(&self, slot: SlotId) -> u32 {
        [1; 10][slot.index()]
    }

    fn deadline(&self, _: SlotId) -> Option<Moment> {
        None
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        [true, false, false, false, false, false, false, false, false, false][slot.index()]
    }

    fn random(&mut self, bound: u32) -> u32 {
        assert_ne!(bound, 0);
        0
    }
}

fn named_by(table: PolicyVt) -> (Option<SlotId>, usize) {
    let factory = testing::policies(policy_of(table));
    let mut policy = factory.policy(Capacity { entries: Some(10), weight: None });
    for slot in 0..10 {
        policy.on_insert(SlotId::new(slot), &mut Ten);
    }
    let victim = policy.victim(&mut Ten);
    policy.on_remove(SlotId::new(3), true, &mut Ten);
    (victim, policy.len())
}

#[test]
fn an_entry_that_is_not_there_is_not_evicted_and_the_policy_given_up() {
    unknown::NAMED.store(4_000_000_000, Ordering::SeqCst);
    assert_eq!(named_by(table(unknown::victim)), (Some(SlotId::new(1)), 9));
}

#[test]
fn an_entry_that_must_stay_is_not_evicted_and_the_policy_given_up() {
    pinned::NAMED.store(0, Ordering::SeqCst);
    assert_eq!(named_by(table(pinned::victim)), (Some(SlotId::new(1)), 9));
}

#[test]
fn a_policy_that_names_none_does_not_stop_the_store() {
    nothing::STATUS.store(Status::MISS.0.cast_unsigned(), Ordering::SeqCst);
    assert_eq!(named_by(table(nothing::victim)), (Some(SlotId::new(1)), 42), "its own count");
}

#[test]
fn a_policy_that_panicked_is_given_up() {
    panics::STATUS.store(Status::PANICKED.0.cast_unsigned(), Ordering::SeqCst);
    assert_eq!(named_by(table(panics::victim)), (Some(SlotId::new(1)), 9));
}

#[test]
fn a_policy_that_cannot_be_made_is_replaced_by_chance() {
    let broken = PolicyVt { create: Some(refuse), ..table(unknown::victim) };
    assert_eq!(named_by(broken), (Some(SlotId::new(1)), 9));
}

unsafe extern "C" fn refuse(_: *const Create, _: *mut *mut c_void, _: *mut Error) -> Status {
    Status::CAPACITY
}

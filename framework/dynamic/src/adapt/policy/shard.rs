//! [`Shard`], what a library may ask about its entries: `larder_slots`.

use std::ffi::c_void;

use larder_abi::{NEVER, table};
use larder_core::policy::{SlotId, Slots};

use super::residents::Residents;
use crate::guard::guard;

/// Answers the questions of one call.
pub(super) struct Shard<'a> {
    slots: &'a mut dyn Slots,
    residents: &'a Residents,
    wall: i64,
}

impl<'a> Shard<'a> {
    pub(super) fn new(slots: &'a mut dyn Slots, residents: &'a Residents, wall: i64) -> Self {
        Self { slots, residents, wall }
    }

    /// Makes a call that may ask.
    pub(super) fn lend<T>(&mut self, call: impl FnOnce(*const table::Slots) -> T) -> T {
        let shard: *mut Self = self;
        let questions = table::Slots {
            struct_size: size_of::<table::Slots>() as u32,
            flags: 0,
            shard: shard.cast(),
            hits: Some(hits),
            set_hits: Some(set_hits),
            hash: Some(hash),
            weight: Some(weight),
            deadline_us: Some(deadline_us),
            is_pinned: Some(is_pinned),
            random: Some(random),
        };
        call(&raw const questions)
    }
}

/// What is answered about a slot of the shard; `otherwise` about any other, and after a panic.
///
/// # Safety
///
/// `shard` must be the one of the `larder_slots` of a running call.
unsafe fn about<T>(
    shard: *mut c_void,
    slot: u32,
    otherwise: T,
    answer: impl FnOnce(&mut Shard<'_>, SlotId) -> T,
) -> T {
    let answered = guard(|| {
        // SAFETY: the caller says so. A library asks one question at a time, so nobody else has a
        // reference.
        let shard = unsafe { shard.cast::<Shard<'_>>().as_mut() }?;
        let slot = SlotId::new(slot);
        shard.residents.has(slot).then(|| answer(shard, slot))
    });
    answered.ok().flatten().unwrap_or(otherwise)
}

unsafe extern "C" fn hits(shard: *mut c_void, slot: u32) -> u32 {
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, 0, |shard, slot| shard.slots.hits(slot).into()) }
}

unsafe extern "C" fn set_hits(shard: *mut c_void, slot: u32, hits: u32) {
    let hits = u8::try_from(hits).unwrap_or(u8::MAX);
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, (), |shard, slot| shard.slots.set_hits(slot, hits)) }
}

unsafe extern "C" fn hash(shard: *mut c_void, slot: u32) -> u64 {
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, 0, |shard, slot| shard.slots.hash(slot)) }
}

unsafe extern "C" fn weight(shard: *mut c_void, slot: u32) -> u32 {
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, 0, |shard, slot| shard.slots.weight(slot)) }
}

unsafe extern "C" fn deadline_us(shard: *mut c_void, slot: u32) -> i64 {
    let answer = |shard: &mut Shard<'_>, slot| {
        shard.slots.deadline(slot).map_or(NEVER, |deadline| {
            let micros = i64::try_from(deadline.as_nanos() / 1000).unwrap_or(NEVER);
            shard.wall.saturating_add(micros).min(NEVER - 1)
        })
    };
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, NEVER, answer) }
}

unsafe extern "C" fn is_pinned(shard: *mut c_void, slot: u32) -> i32 {
    // SAFETY: the library passes on what it was given.
    unsafe { about(shard, slot, 0, |shard, slot| shard.slots.is_pinned(slot).into()) }
}

unsafe extern "C" fn random(shard: *mut c_void, bound: u32) -> u32 {
    let drawn = guard(|| {
        // SAFETY: the library passes on what it was given, while the call runs that it was given
        // for.
        let shard = unsafe { shard.cast::<Shard<'_>>().as_mut() };
        shard.filter(|_| bound > 0).map_or(0, |shard| shard.slots.random(bound))
    });
    drawn.unwrap_or(0)
}

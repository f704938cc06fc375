//! [`hand_over`], which gives the entries of one policy to another.

use larder_core::policy::{HitMode, Policy, SlotId, Slots};

/// One entry in so many is handed over last although it would go first: a policy that lets new
/// entries prove themselves takes the last ones for new, and those are the ones to doubt.
const DOUBTED: usize = 100;

/// Gives all entries of a policy to another one, which is empty: those that would go first come
/// first, but for the [doubted](DOUBTED) ones, and the hit counters stay as far as the other one
/// counts.
///
/// `all` are the slots of all entries. One that the old policy does not name, as it should, is
/// handed over before all others. What the old policy knows of evicted keys is lost.
pub(crate) fn hand_over(
    old: &mut dyn Policy,
    new: &mut dyn Policy,
    all: &[SlotId],
    slots: &mut dyn Slots,
) {
    // Policies change counters while they look for a victim.
    let highest = all.iter().map(|slot| slot.index()).max().unwrap_or(0);
    let mut hits = vec![None; highest + 1];
    for slot in all {
        hits[slot.index()] = Some(slots.hits(*slot));
    }
    let mut order = Vec::with_capacity(all.len());
    let mut is_named = vec![false; highest + 1];
    while order.len() < all.len()
        && let Some(victim) = old.victim(slots)
        && hits.get(victim.index()).is_some_and(Option::is_some)
        && !is_named[victim.index()]
    {
        is_named[victim.index()] = true;
        old.on_remove(victim, false, slots);
        order.push(victim);
    }
    let doubted = order.len() / DOUBTED;
    order.rotate_left(doubted);
    let unnamed = all.iter().filter(|slot| !is_named[slot.index()]);
    let most = counter_stop(new.hit_mode());
    for slot in unnamed.chain(&order) {
        slots.set_hits(*slot, 0);
        new.on_insert(*slot, slots);
        slots.set_hits(*slot, hits[slot.index()].unwrap_or(0).min(most));
    }
}

/// Where the hit counter of an entry stops; 0 if hits are not counted.
pub(crate) const fn counter_stop(mode: HitMode) -> u8 {
    match mode {
        HitMode::Bit => 1,
        HitMode::Counter { max } => max,
        _ => 0,
    }
}

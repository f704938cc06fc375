//! Which files of a group have to go first: what the policy of the cache says.
//!
//! A policy is made for each pass and told what the files know: which entry came or was used when,
//! how often that was noted, how long they are and when they end. So every registered policy works,
//! but none remembers what went in an earlier pass, and uses within the same ten seconds count as
//! one.

use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};
use larder_core::{Moment, Timestamp};

use crate::entry_file;
use crate::layout::EntryName;
use crate::platform::{Identity, Stat};

/// A file that could go.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) name: EntryName,
    pub(crate) identity: Identity,
    pub(crate) length: u64,
    /// In nanoseconds since 1970; 0 is never.
    expires: u64,
    /// In microseconds since 1970.
    used: u64,
    uses: u64,
}

impl Candidate {
    pub(crate) const fn new(name: EntryName, stat: &Stat) -> Self {
        let (used, uses) = entry_file::uses(stat.accessed);
        let expires = stat.modified;
        Self { name, identity: stat.identity, length: stat.length, expires, used, uses }
    }

    pub(crate) const fn is_expired(&self, now: Timestamp) -> bool {
        self.expires != 0 && self.expires / 1000 <= now.as_micros()
    }
}

const NO_LIMIT: Capacity = Capacity { entries: None, weight: None };

/// Whether a policy needs to know when entries are used.
pub(crate) fn wants_uses(policy: Option<&dyn PolicyFactory>) -> bool {
    policy.is_none_or(|policy| policy.policy(NO_LIMIT).hit_mode() != HitMode::None)
}

/// Calls `choose` with one file after another, in the order of the policy, until it declines.
/// Without a policy those go first that were used longest ago.
pub(crate) fn evict(
    policy: Option<&dyn PolicyFactory>,
    mut files: Vec<Candidate>,
    choose: &mut dyn FnMut(&Candidate) -> bool,
) {
    files.sort_unstable_by_key(|file| file.used);
    let Some(policy) = policy else {
        files.iter().all(choose);
        return;
    };
    let capacity = Capacity { entries: Some(files.len() as u64), weight: None };
    let mut policy = policy.policy(capacity);
    let mut group = Group { hits: vec![0; files.len()], files };
    for index in 0..group.files.len() {
        replay(&mut *policy, &mut group, index);
    }
    for _ in 0..group.files.len() {
        let Some(victim) = policy.victim(&mut group) else { return };
        let file = group.files.get(victim.index()).copied();
        let Some(file) = file else { return };
        if !choose(&file) {
            return;
        }
        policy.on_remove(victim, true, &mut group);
    }
}

/// Tells a policy of an entry: that it came, and then how often it was used.
fn replay(policy: &mut dyn Policy, group: &mut Group, index: usize) {
    let slot = SlotId::new(u32::try_from(index).unwrap_or(u32::MAX));
    let uses = u8::try_from(group.files[index].uses).unwrap_or(u8::MAX);
    policy.on_insert(slot, group);
    match policy.hit_mode() {
        HitMode::Bit => group.hits[index] = uses.min(1),
        HitMode::Counter { max } => group.hits[index] = uses.min(max),
        HitMode::Record | HitMode::Exclusive => {
            policy.on_hits(&vec![slot; usize::from(uses)], group);
        }
        _ => {}
    }
}

/// What the policy may ask about the files of a group.
struct Group {
    files: Vec<Candidate>,
    hits: Vec<u8>,
}

impl Slots for Group {
    fn hits(&self, slot: SlotId) -> u8 {
        self.hits.get(slot.index()).copied().unwrap_or_default()
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        if let Some(found) = self.hits.get_mut(slot.index()) {
            *found = hits;
        }
    }

    fn hash(&self, slot: SlotId) -> u64 {
        self.files.get(slot.index()).map_or(0, |file| file.name.hash())
    }

    fn weight(&self, slot: SlotId) -> u32 {
        let length = self.files.get(slot.index()).map_or(0, |file| file.length);
        u32::try_from(length).unwrap_or(u32::MAX)
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        let expires = self.files.get(slot.index())?.expires;
        (expires != 0).then(|| Moment::from_nanos(expires))
    }

    fn is_pinned(&self, _: SlotId) -> bool {
        false
    }

    fn random(&mut self, bound: u32) -> u32 {
        fastrand::u32(..bound.max(1))
    }
}

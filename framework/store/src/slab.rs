//! [`Slab`], slots with stable numbers.
//!
//! What a hit needs lies together in the slot; hash, weight and life, which only writers and
//! entries with a life need, lie in columns of their own.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use larder_core::clock::Moment;
use larder_core::policy::SlotId;

/// An entry. `Option<Slot>` needs no byte more than this: `mortal` has values to spare.
pub(crate) struct Slot<K, V> {
    /// How often it was hit, as far as the policy wants to know. Written with plain stores: two
    /// hits at the same moment may count as one.
    pub(crate) hits: AtomicU8,
    /// Whether it has a life, so that a hit must look at the clock.
    pub(crate) mortal: bool,
    pub(crate) key: K,
    pub(crate) value: V,
}

impl<K, V> Slot<K, V> {
    /// Counts a hit. A counter that has reached `max` is not written any more, so that its cache
    /// line can stay with all readers.
    #[inline]
    pub(crate) fn hit(&self, max: u8) {
        let hits = self.hits.load(Ordering::Relaxed);
        if hits < max {
            self.hits.store(hits + 1, Ordering::Relaxed);
        }
    }
}

/// How long an entry may live: up to a deadline, or up to so long without a hit.
pub(crate) struct Life {
    /// In nanoseconds of the clock; [`NEVER`] for none.
    deadline: u64,
    /// In nanoseconds; [`NEVER`] for none.
    idle: u64,
    /// The last hit, or one shortly before it.
    seen: AtomicU64,
}

/// The end of time.
pub(crate) const NEVER: u64 = u64::MAX;

impl Life {
    /// A life; `None` when it never ends. `now` is asked only if hits matter.
    pub(crate) fn new(
        deadline: Option<Moment>,
        idle: Option<Duration>,
        now: impl FnOnce() -> Moment,
    ) -> Option<Self> {
        let life = Self {
            deadline: deadline.map_or(NEVER, Moment::as_nanos),
            idle: idle.map_or(NEVER, |idle| Moment::default().after(idle).as_nanos()),
            seen: AtomicU64::new(idle.map_or(0, |_| now().as_nanos())),
        };
        (life.deadline != NEVER || life.idle != NEVER).then_some(life)
    }

    const fn immortal() -> Self {
        Self { deadline: NEVER, idle: NEVER, seen: AtomicU64::new(0) }
    }

    /// When it ends, if there is no further hit.
    pub(crate) fn end(&self) -> u64 {
        let seen = self.seen.load(Ordering::Relaxed);
        self.deadline.min(seen.saturating_add(self.idle))
    }

    /// Whether it is over at `now`.
    pub(crate) fn is_over(&self, now: Moment) -> bool {
        self.end() <= now.as_nanos()
    }

    /// Notes a hit. Nothing is written while the last note is not a sixteenth of the idle life
    /// old, so that hits of many threads do not fight for the line; the entry then goes by that
    /// much too early, never too late.
    pub(crate) fn hit(&self, now: Moment) {
        let seen = self.seen.load(Ordering::Relaxed);
        if self.idle != NEVER && now.as_nanos().saturating_sub(seen) > self.idle / 16 {
            self.seen.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    fn deadline(&self) -> Option<Moment> {
        (self.deadline != NEVER).then(|| Moment::from_nanos(self.deadline))
    }
}

/// How many slots an empty slab keeps, so that one that is often empty does not allocate each time.
const KEPT_EMPTY: usize = 64;

pub(crate) struct Slab<K, V> {
    slots: Vec<Option<Slot<K, V>>>,
    hashes: Vec<u64>,
    weights: Vec<u32>,
    /// Empty until the first entry with a life, then as long as `slots`.
    lives: Vec<Life>,
    free: Vec<u32>,
    weight: u64,
}

impl<K, V> Slab<K, V> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            hashes: Vec::new(),
            weights: Vec::new(),
            lives: Vec::new(),
            free: Vec::new(),
            weight: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The sum of the weights.
    pub(crate) const fn weight(&self) -> u64 {
        self.weight
    }

    /// How many slot numbers were ever in use at the same time.
    pub(crate) const fn slots(&self) -> usize {
        self.slots.len()
    }

    #[inline]
    pub(crate) fn get(&self, token: u32) -> Option<&Slot<K, V>> {
        self.slots.get(token as usize)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Slot<K, V>> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    pub(crate) fn hash(&self, slot: SlotId) -> u64 {
        self.hashes.get(slot.index()).copied().unwrap_or(0)
    }

    pub(crate) fn weight_of(&self, slot: SlotId) -> u32 {
        self.weights.get(slot.index()).copied().unwrap_or(0)
    }

    /// The life of an entry that has one.
    pub(crate) fn life(&self, slot: SlotId) -> Option<&Life> {
        let mortal = self.get(slot.get())?.mortal;
        mortal.then(|| self.lives.get(slot.index())).flatten()
    }

    pub(crate) fn deadline(&self, slot: SlotId) -> Option<Moment> {
        self.life(slot)?.deadline()
    }

    /// Every entry, in the order of the slot numbers, from `first` on.
    pub(crate) fn iter_from(&self, first: usize) -> impl Iterator<Item = (SlotId, &Slot<K, V>)> {
        let slots = (0_u32..).zip(&self.slots).skip(first);
        slots.filter_map(|(token, slot)| Some((SlotId::new(token), slot.as_ref()?)))
    }

    pub(crate) fn insert(&mut self, hash: u64, key: K, value: V, weight: u32) -> SlotId {
        let slot = Slot { hits: AtomicU8::new(0), mortal: false, key, value };
        self.weight += u64::from(weight);
        if let Some(token) = self.free.pop() {
            let at = token as usize;
            self.slots[at] = Some(slot);
            self.hashes[at] = hash;
            self.weights[at] = weight;
            return SlotId::new(token);
        }
        let token = u32::try_from(self.slots.len()).expect("a shard has fewer than 2^32 entries");
        self.slots.push(Some(slot));
        self.hashes.push(hash);
        self.weights.push(weight);
        if !self.lives.is_empty() {
            self.lives.push(Life::immortal());
        }
        SlotId::new(token)
    }

    /// Puts another key of the same hash, and another value, in the place of an entry.
    pub(crate) fn replace(&mut self, slot: SlotId, key: K, value: V, weight: u32) -> (K, V) {
        let before = std::mem::replace(&mut self.weights[slot.index()], weight);
        self.weight = self.weight - u64::from(before) + u64::from(weight);
        let slot = self.get_mut(slot).expect("the caller has just found it");
        let key = std::mem::replace(&mut slot.key, key);
        (key, std::mem::replace(&mut slot.value, value))
    }

    /// Sets how long an entry lives.
    pub(crate) fn set_life(&mut self, slot: SlotId, life: Option<Life>) {
        let Some(entry) = self.slots.get_mut(slot.index()).and_then(Option::as_mut) else {
            return;
        };
        entry.mortal = life.is_some();
        if let Some(life) = life {
            self.lives.resize_with(self.slots.len(), Life::immortal);
            self.lives[slot.index()] = life;
        }
    }

    /// Sets when an entry expires, and leaves its idle life as it is.
    pub(crate) fn set_deadline(&mut self, slot: SlotId, deadline: Option<Moment>) {
        let (idle, seen) = self
            .life(slot)
            .map_or((NEVER, 0), |life| (life.idle, life.seen.load(Ordering::Relaxed)));
        let life = Life {
            deadline: deadline.map_or(NEVER, Moment::as_nanos),
            idle,
            seen: AtomicU64::new(seen),
        };
        let mortal = life.deadline != NEVER || life.idle != NEVER;
        self.set_life(slot, mortal.then_some(life));
    }

    /// Takes an entry out. The last one to go takes the memory along, so that slot numbers begin
    /// at 0 again: a policy sizes its own books by the greatest.
    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<(K, V)> {
        let entry = self.slots.get_mut(slot.index())?.take()?;
        self.free.push(slot.get());
        self.weight -= u64::from(self.weights[slot.index()]);
        if self.len() == 0 && self.slots.len() > KEPT_EMPTY {
            *self = Self::new();
        }
        Some((entry.key, entry.value))
    }

    /// Panics unless the columns agree.
    pub(crate) fn check(&self) {
        let live = self.iter_from(0);
        let (count, weight) = live.fold((0, 0), |(count, weight), (slot, entry)| {
            assert!(!entry.mortal || self.life(slot).is_some(), "a life is lost");
            (count + 1, weight + u64::from(self.weight_of(slot)))
        });
        assert_eq!(count, self.len(), "a slot is neither free nor used");
        assert_eq!(weight, self.weight, "the weights are summed wrongly");
        let free = self.free.iter().all(|token| self.get(*token).is_none());
        assert!(free, "a used slot is on the free list");
        let columns = (self.hashes.len(), self.weights.len());
        assert_eq!(columns, (self.slots.len(), self.slots.len()));
        let lives = self.lives.len();
        assert!(lives == 0 || lives == self.slots.len(), "lives are missing");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_entry_takes_a_word_more_than_key_and_value() {
        assert_eq!(size_of::<Option<Slot<u64, u64>>>(), 24);
    }

    #[test]
    fn the_last_entry_to_go_takes_the_memory_along() {
        let mut slab = Slab::new();
        let slots: Vec<SlotId> = (0..1000).map(|key| slab.insert(key, key, 'x', 1)).collect();
        for slot in &slots {
            slab.set_life(*slot, Some(Life::immortal()));
        }
        for slot in &slots[..999] {
            slab.remove(*slot);
        }
        assert_eq!(slab.slots(), 1000);
        assert_eq!(slab.remove(slots[999]), Some((999, 'x')));
        assert_eq!((slab.slots(), slab.slots.capacity(), slab.lives.capacity()), (0, 0, 0));
        assert_eq!(slab.insert(1, 1, 'y', 1), SlotId::new(0));
        slab.check();
    }

    #[test]
    fn a_hit_counter_stops_at_its_maximum() {
        let mut slab = Slab::new();
        let slot = slab.insert(1, 'a', 'b', 1);
        let entry = slab.get(slot.get()).unwrap();
        for _ in 0..5 {
            entry.hit(3);
        }
        assert_eq!(entry.hits.load(Ordering::Relaxed), 3);
    }
}

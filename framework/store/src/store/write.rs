//! Insert, remove, invalidate and touch.

use std::borrow::Borrow;
use std::hash::Hash;

use larder_core::backend::OnFull;
use larder_core::clock::Moment;

use super::Store;
use crate::keep::Keep;
use crate::life::NewLife;
use crate::options::Insert;
use crate::outbox::Outbox;
use crate::outcome::{Full, Inserted, RemovalReason};
use crate::shadow::Use;
use crate::shard::{RECORD, Writing};

/// A new entry on its way in.
struct Arrival<K, V> {
    hash: u64,
    entry: (K, V),
    weight: u32,
    life: Option<NewLife>,
}

impl<K, V, M: Keep<V>> Store<K, V, M>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Stores a value in place of any other of the key.
    ///
    /// When the store is full other entries make room, or the new one is refused, as
    /// [`OnFull`] says. Making room for an entry of a shard that holds little is the work of the
    /// others; while that happens the store may hold one entry per thread too many.
    ///
    /// # Errors
    ///
    /// [`Full`] when there is no room, or when the entry alone is heavier than the whole store may
    /// be. The key has no value then: a failed overwrite never leaves the old one.
    pub fn insert(&self, key: K, value: V, options: Insert) -> Result<Inserted, Full> {
        self.insert_hashed(self.hash(&key), key, value, options)
    }

    /// Like [`insert`](Self::insert), for who knows already what [`hash_of`](Self::hash_of) says of
    /// the key. With any other hash the entry is not found.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn insert_hashed(
        &self,
        hash: u64,
        key: K,
        value: V,
        options: Insert,
    ) -> Result<Inserted, Full> {
        let idle_ttl = options.idle_ttl.or(self.idle_ttl);
        let arrival = Arrival {
            hash,
            entry: (key, value),
            weight: options.weight,
            life: NewLife::new(options.deadline, idle_ttl, options.ageing, || self.now()),
        };
        let mut out = self.outbox();
        let outcome = if let Some(full) = self.budget.refuses(options.weight) {
            self.refuse(self.shard(hash).write(), arrival, &mut out);
            Err(full)
        } else {
            match self.on_full {
                OnFull::Evict => Ok(self.insert_evicting(arrival, &mut out)),
                OnFull::Reject => self.insert_if_room(arrival, &mut out),
            }
        };
        self.deliver(&out);
        outcome
    }

    #[inline(always)]
    fn insert_evicting(&self, arrival: Arrival<K, V>, out: &mut Outbox<'_, K, V, M>) -> Inserted {
        let Arrival { hash, weight, .. } = arrival;
        let number = self.shard_number(hash);
        let (inserted, slot) = self.enter(&mut self.shards[number].write(), arrival, out);
        let stays = |slot| !self.budget.is_over() || self.settle(number, hash, slot, out);
        let inserted = if slot.is_none_or(stays) { inserted } else { Inserted::Rejected };
        if slot.is_some() && inserted == Inserted::Replaced {
            self.note_write(hash, Use::Replace, weight);
        } else {
            self.note_write(hash, Use::Insert, weight);
            self.begin_learning();
        }
        inserted
    }

    /// Puts an entry into a locked shard, where others make room for it; what came of it, and its
    /// slot.
    #[inline(always)]
    fn enter(
        &self,
        table: &mut Writing<'_, K, V, M>,
        arrival: Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) -> (Inserted, Option<u32>) {
        let Arrival { hash, weight, .. } = arrival;
        self.follow_choice(table);
        if let Some(before) = self.find_alive(table, &arrival, out) {
            self.budget.take(0, u64::from(weight));
            self.budget.give_back(0, u64::from(table.weight_of(before)));
            return (Inserted::Replaced, Some(self.replace(table, before, arrival, out)));
        }
        let Some(room) = self.make_room(table, hash, weight, out) else {
            table.tally.rejections += 1;
            table.shard().recent.remember(hash as u32, RemovalReason::Rejected.miss_cause());
            out.refuse(table, arrival.entry);
            return (Inserted::Rejected, None);
        };
        room.spend(weight);
        (Inserted::New, Some(self.add(table, arrival)))
    }

    fn insert_if_room(
        &self,
        arrival: Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) -> Result<Inserted, Full> {
        let arrival = match self.try_insert(arrival, out) {
            Ok(inserted) => return Ok(inserted),
            Err((_, arrival)) => arrival,
        };
        // Entries whose life is over must not keep others out.
        self.sweep_into(usize::MAX, out);
        self.try_insert(arrival, out).map_err(|(full, arrival)| {
            self.refuse(self.shard(arrival.hash).write(), arrival, out);
            full
        })
    }

    /// Inserts if the budget allows; else the arrival comes back.
    fn try_insert(
        &self,
        arrival: Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) -> Result<Inserted, (Full, Arrival<K, V>)> {
        let weight = u64::from(arrival.weight);
        let mut table = self.shard(arrival.hash).write();
        let old = self.find_alive(&mut table, &arrival, out);
        let before = old.map_or(0, |slot| u64::from(table.weight_of(slot)));
        let more = weight.saturating_sub(before);
        if let Err(full) = self.budget.try_take(u64::from(old.is_none()), more) {
            return Err((full, arrival));
        }
        let Some(slot) = old else {
            self.add(&mut table, arrival);
            return Ok(Inserted::New);
        };
        self.budget.give_back(0, before.saturating_sub(weight));
        self.replace(&mut table, slot, arrival, out);
        Ok(Inserted::Replaced)
    }

    /// Looks for the entry that is to be replaced; one whose life is over goes now.
    #[inline(always)]
    fn find_alive(
        &self,
        table: &mut Writing<'_, K, V, M>,
        arrival: &Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) -> Option<u32> {
        let slot = table.find(arrival.hash, &arrival.entry.0)?.slot;
        if table.is_gone(slot, || self.now()) {
            self.detach(table, slot, RemovalReason::Expired, out);
            return None;
        }
        Some(slot)
    }

    #[inline(always)]
    fn add(&self, table: &mut Writing<'_, K, V, M>, arrival: Arrival<K, V>) -> u32 {
        table.tally.inserts += 1;
        let Arrival { hash, entry, weight, life } = arrival;
        table.insert(hash, entry, weight, life)
    }

    /// Puts a value in the place of another; its slot.
    fn replace(
        &self,
        table: &mut Writing<'_, K, V, M>,
        before: u32,
        arrival: Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) -> u32 {
        let Arrival { hash, entry, weight, life } = arrival;
        let slot = table.replace(before, hash, entry, weight, life);
        table.tally.replacements += 1;
        out.push(table, before, RemovalReason::Replaced);
        self.note_use(table, slot);
        slot
    }

    /// An update counts as a hit, in every mode: a policy that orders by deadline must hear of it.
    fn note_use(&self, table: &mut Writing<'_, K, V, M>, slot: u32) {
        let mode = table.shard().mode();
        if mode < RECORD
            && let Some(found) = table.get(slot)
        {
            found.place.hit(mode);
        }
        table.tell_use(slot);
    }

    /// Does not let an entry in, and takes out the one that it would have replaced.
    fn refuse(
        &self,
        mut table: Writing<'_, K, V, M>,
        arrival: Arrival<K, V>,
        out: &mut Outbox<'_, K, V, M>,
    ) {
        if let Some(slot) = table.find(arrival.hash, &arrival.entry.0).map(|found| found.slot) {
            self.detach(&mut table, slot, RemovalReason::Replaced, out);
        }
        let cause = RemovalReason::Rejected.miss_cause();
        table.shard().recent.remember(arrival.hash as u32, cause);
        table.tally.rejections += 1;
        out.refuse(&mut table, arrival.entry);
    }

    /// Removes an entry because it is not wanted any more; its value if it could have been served.
    pub fn remove<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.take_out(key, RemovalReason::Deleted)
    }

    /// Removes an entry because the world changed; its value if it could have been served. Also a
    /// key that is not there misses as invalidated from now on.
    pub fn invalidate<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.take_out(key, RemovalReason::Invalidated)
    }

    /// Removes an entry for a reason that the caller knows; its value if it could have been
    /// served.
    pub fn remove_as<Q>(&self, key: &Q, reason: RemovalReason) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.take_out(key, reason)
    }

    fn take_out<Q>(&self, key: &Q, reason: RemovalReason) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut out = self.outbox();
        let mut table = self.shard(hash).write();
        let Some(found) = table.find(hash, key) else {
            table.shard().recent.remember(hash as u32, reason.miss_cause());
            return None;
        };
        let slot = found.slot;
        let over = table.is_over(slot, || self.now());
        let value = (!over).then(|| M::to_value(found.value));
        let reason = if over { RemovalReason::Expired } else { reason };
        self.detach(&mut table, slot, reason, &mut out);
        drop(table);
        self.deliver(&out);
        value
    }

    /// Removes an entry if it is of no use to anybody by now.
    pub(super) fn remove_expired<Q>(&self, hash: u64, key: &Q)
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let mut out = self.outbox();
        let mut table = self.shard(hash).write();
        if let Some(slot) = table.find(hash, key).map(|found| found.slot)
            && table.is_gone(slot, || self.now())
        {
            self.detach(&mut table, slot, RemovalReason::Expired, &mut out);
        }
        drop(table);
        self.deliver(&out);
    }

    /// Sets from when on an entry must not be served; whether there is one. Counts as a use for
    /// the policy, but not for the idle life.
    pub fn touch<Q>(&self, key: &Q, deadline: Option<Moment>) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut table = self.shard(hash).write();
        let Some(slot) = self.find_to_touch(&table, hash, key) else {
            return false;
        };
        let life = table.full_life_of(slot).unwrap_or(NewLife::endless());
        table.set_life(slot, life.until(deadline, || self.now()));
        self.note_use(&mut table, slot);
        true
    }

    /// Like [`touch`](Self::touch), and puts what `change` makes of a clone of the value in its
    /// place. `change` runs under the lock of the shard and must not use the store. The weight
    /// stays as it was, and the listener does not hear of it.
    pub fn touch_with<Q>(
        &self,
        key: &Q,
        deadline: Option<Moment>,
        change: impl FnOnce(&mut V),
    ) -> bool
    where
        K: Borrow<Q> + Clone,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut table = self.shard(hash).write();
        let Some(before) = self.find_to_touch(&table, hash, key) else {
            return false;
        };
        let Some((key, mut value)) =
            table.get(before).map(|it| (it.key.clone(), M::to_value(it.value)))
        else {
            return false;
        };
        change(&mut value);
        let life = table.full_life_of(before).unwrap_or(NewLife::endless());
        let life = life.until(deadline, || self.now());
        let weight = table.weight_of(before);
        let slot = table.replace(before, hash, (key, value), weight, life);
        table.retire(before);
        self.note_use(&mut table, slot);
        true
    }

    /// Keeps an entry from being evicted, or lets it be evicted again; whether there is one. It may
    /// still expire and be removed, and a new value of its key stays pinned. What is pinned counts
    /// against the capacity: if everything else has gone, new entries are refused.
    pub fn pin<Q>(&self, key: &Q, pinned: bool) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let hash = self.hash(key);
        let mut table = self.shard(hash).write();
        let Some(slot) = self.find_to_touch(&table, hash, key) else {
            return false;
        };
        table.set_pinned(slot, pinned);
        true
    }

    /// The slot of an entry that may be served.
    pub(super) fn find_to_touch<Q>(
        &self,
        table: &Writing<'_, K, V, M>,
        hash: u64,
        key: &Q,
    ) -> Option<u32>
    where
        K: Borrow<Q>,
        Q: Eq + ?Sized,
    {
        let slot = table.find(hash, key)?.slot;
        (!table.is_over(slot, || self.now())).then_some(slot)
    }
}

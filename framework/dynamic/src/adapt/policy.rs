//! [`ForeignPolicy`], a `larder_policy_vt` as a [`Policy`].
//!
//! What a hit needs the store does by itself, so no code of the library runs on a hit. The adapter
//! keeps a list of the slots of its shard: what a library names is looked up there before the
//! store, so a wrong number is never used. A policy that named one is given up: from then on any
//! entry may go.

use larder_abi::table::{PolicyVt, hit};
use larder_abi::{Status, UNLIMITED};
use larder_core::policy::{Capacity, HitMode, Policy, PolicyFactory, SlotId, Slots};
use larder_core::telemetry::{PLUGIN_DOWN, TARGET};
use larder_core::{Clock, SystemClock};

use super::instance::{Instance, Recipe};
use residents::Residents;
use shard::Shard;

mod residents;
mod shard;

/// Makes a policy for each shard.
#[derive(Debug)]
pub(crate) struct ForeignPolicies {
    table: &'static PolicyVt,
    recipe: Recipe,
}

impl ForeignPolicies {
    pub(crate) fn new(table: &'static PolicyVt, recipe: Recipe) -> Self {
        Self { table, recipe }
    }
}

impl PolicyFactory for ForeignPolicies {
    fn kind(&self) -> &str {
        self.recipe.component
    }

    fn policy(&self, capacity: Capacity) -> Box<dyn Policy> {
        let (entries, weight) = limits(capacity);
        let recipe = Recipe { entries, weight, ..self.recipe.clone() };
        let mut policy = ForeignPolicy {
            table: self.table,
            plugin: recipe.plugin,
            component: recipe.component,
            instance: None,
            residents: Residents::default(),
            hits: Vec::new(),
            wall: wall_of_zero(),
        };
        match recipe.make() {
            Ok(instance) => policy.instance = Some(instance),
            Err(failure) => policy.give_up(&failure.message_or_status()),
        }
        Box::new(policy)
    }
}

fn limits(capacity: Capacity) -> (u64, u64) {
    (capacity.entries.unwrap_or(UNLIMITED), capacity.weight.unwrap_or(UNLIMITED))
}

/// What the wall clock said when the clock of this process started, in microseconds: deadlines of
/// entries count from there.
fn wall_of_zero() -> i64 {
    let clock = SystemClock;
    let since = i64::try_from(clock.now().as_nanos() / 1000).unwrap_or(i64::MAX);
    i64::try_from(clock.wall().as_micros()).unwrap_or(i64::MAX).saturating_sub(since)
}

/// A policy of a library, for one shard.
#[derive(Debug)]
struct ForeignPolicy {
    table: &'static PolicyVt,
    plugin: &'static str,
    component: &'static str,
    /// `None` when it was given up.
    instance: Option<Instance>,
    residents: Residents,
    /// Hits as numbers, to be handed over; kept for its memory.
    hits: Vec<u32>,
    wall: i64,
}

impl ForeignPolicy {
    fn give_up(&mut self, error: &str) {
        let Self { plugin, component, .. } = self;
        tracing::warn!(
            target: TARGET, plugin, component, error,
            hint = "any entry may be evicted from now on", "{PLUGIN_DOWN}"
        );
        self.instance = None;
    }

    /// Runs a function of the table. A panic in it gives the policy up.
    fn with<T>(
        &mut self,
        slots: &mut dyn Slots,
        run: impl FnOnce(&PolicyVt, *mut std::ffi::c_void, *const larder_abi::table::Slots) -> T,
    ) -> Option<T> {
        let instance = self.instance.as_ref()?;
        let mut shard = Shard::new(slots, &self.residents, self.wall);
        let done = shard.lend(|slots| run(self.table, instance.this(), slots));
        if instance.identity().is_poisoned() {
            self.give_up("a call panicked");
            return None;
        }
        Some(done)
    }

    /// The entry that the library names, if it can go.
    fn named(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        let (status, number) = self.with(slots, |table, this, asked| {
            let mut number = u32::MAX;
            let status = table.victim.map_or(Status::UNSUPPORTED, |victim| {
                // SAFETY: the table was checked when it was loaded; the rest lives during the call.
                unsafe { victim(this, asked, &raw mut number) }
            });
            (status, number)
        })?;
        let slot = SlotId::new(number);
        match status {
            Status::MISS => None,
            Status::OK if !self.residents.has(slot) => {
                self.give_up("it named an entry that is not there");
                None
            }
            Status::OK if slots.is_pinned(slot) => {
                self.give_up("it named an entry that must stay");
                None
            }
            Status::OK => Some(slot),
            status => {
                self.give_up(&format!("it answered `{status}`"));
                None
            }
        }
    }
}

impl Policy for ForeignPolicy {
    fn hit_mode(&self) -> HitMode {
        match self.table.hit_mode {
            hit::BIT => HitMode::Bit,
            hit::COUNTER => {
                HitMode::Counter { max: u8::try_from(self.table.hit_max).unwrap_or(u8::MAX) }
            }
            hit::RECORD => HitMode::Record,
            hit::EXCLUSIVE => HitMode::Exclusive,
            _ => HitMode::None,
        }
    }

    fn on_insert(&mut self, slot: SlotId, slots: &mut dyn Slots) {
        self.residents.add(slot);
        self.with(slots, |table, this, asked| {
            let Some(on_insert) = table.on_insert else { return };
            // SAFETY: the table was checked when it was loaded; the rest lives during the call.
            unsafe { on_insert(this, slot.get(), asked) }
        });
    }

    fn on_remove(&mut self, slot: SlotId, evicted: bool, slots: &mut dyn Slots) {
        self.with(slots, |table, this, asked| {
            let Some(on_remove) = table.on_remove else { return };
            // SAFETY: the table was checked when it was loaded; the rest lives during the call.
            unsafe { on_remove(this, slot.get(), i32::from(evicted), asked) }
        });
        self.residents.remove(slot);
    }

    fn on_hits(&mut self, hits: &[SlotId], slots: &mut dyn Slots) {
        let mut numbers = std::mem::take(&mut self.hits);
        numbers.clear();
        // What was hit may be gone by now, and no library need know.
        let there = hits.iter().filter(|slot| self.residents.has(**slot));
        numbers.extend(there.map(|slot| slot.get()));
        self.with(slots, |table, this, asked| {
            let Some(on_hits) = table.on_hits else { return };
            // SAFETY: the table was checked when it was loaded; the rest lives during the call.
            unsafe { on_hits(this, numbers.as_ptr(), numbers.len(), asked) }
        });
        self.hits = numbers;
    }

    fn victim(&mut self, slots: &mut dyn Slots) -> Option<SlotId> {
        self.named(slots).or_else(|| self.residents.any_unpinned(slots))
    }

    fn admit(&mut self, hash: u64, weight: u32, victim: SlotId, slots: &mut dyn Slots) -> bool {
        let admitted = self.with(slots, |table, this, asked| {
            let Some(admit) = table.admit else { return 1 };
            // SAFETY: the table was checked when it was loaded; the rest lives during the call.
            unsafe { admit(this, hash, weight, victim.get(), asked) }
        });
        admitted.is_none_or(|admitted| admitted != 0)
    }

    fn resize(&mut self, capacity: Capacity) {
        let (Some(instance), Some(resize)) = (&self.instance, self.table.resize) else { return };
        let (entries, weight) = limits(capacity);
        // SAFETY: the table was checked when it was loaded.
        unsafe { resize(instance.this(), entries, weight) };
    }

    fn len(&self) -> usize {
        let (Some(instance), Some(len)) = (&self.instance, self.table.len) else {
            return self.residents.len();
        };
        // SAFETY: the table was checked when it was loaded.
        usize::try_from(unsafe { len(instance.this()) }).unwrap_or(usize::MAX)
    }
}

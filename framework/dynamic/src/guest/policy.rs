//! A [`Policy`] as a `larder_policy_vt`.

use std::ffi::c_void;

use larder_abi::call::{Create, Error};
use larder_abi::table::{PolicyVt, Slots as Asked, hit};
use larder_abi::{NEVER, Status, UNLIMITED, read_extensible};
use larder_core::plugin::Factory;
use larder_core::policy::{Capacity, HitMode, Policy, SlotId, Slots};
use larder_core::{CacheError, Clock, ErrorKind, KeyPath, Moment, SystemClock};

use super::instance::{Here, or_say};
use super::part::Exported;
use super::{reply, runtime};
use crate::borrow;
use crate::guard::guard;

type S = *mut c_void;

/// A policy of one shard. The host calls its functions one after the other.
struct Shard {
    policy: Box<dyn Policy>,
    number: u64,
}

/// The table of the policy that a config type builds. The host does what hits need by itself, so
/// the hit mode is that of the policy with default options, for all options.
pub(super) fn table<X: Exported>() -> PolicyVt {
    let (hit_mode, hit_max) = match mode_of::<X>() {
        HitMode::None => (hit::NONE, 0),
        HitMode::Bit => (hit::BIT, 0),
        HitMode::Counter { max } => (hit::COUNTER, u32::from(max)),
        HitMode::Record => (hit::RECORD, 0),
        _ => (hit::EXCLUSIVE, 0),
    };
    PolicyVt {
        struct_size: size_of::<PolicyVt>() as u32,
        hit_mode,
        hit_max,
        reserved: 0,
        create: Some(create::<X>),
        destroy: Some(destroy),
        on_insert: Some(on_insert),
        on_remove: Some(on_remove),
        victim: Some(victim),
        resize: Some(resize),
        len: Some(len),
        on_hits: Some(on_hits),
        admit: Some(admit),
    }
}

/// Where it cannot be found out every hit is told, which is always right.
fn mode_of<X: Exported>() -> HitMode {
    let Factory::Policy(factory) = X::DESCRIPTOR.factory else { return HitMode::Exclusive };
    let options = serde_json::json!({});
    if factory.config().check(&options, &KeyPath::root()).is_err() {
        return HitMode::Exclusive;
    }
    let built = factory.build(options);
    let one = Capacity { entries: Some(1), weight: None };
    built.map_or(HitMode::Exclusive, |policies| policies.policy(one).hit_mode())
}

fn capacity(entries: u64, weight: u64) -> Capacity {
    let limit = |limit: u64| (limit != UNLIMITED).then_some(limit);
    Capacity { entries: limit(entries), weight: limit(weight) }
}

unsafe extern "C" fn create<X: Exported>(
    args: *const Create,
    this: *mut S,
    error: *mut Error,
) -> Status {
    let made = guard(|| {
        let broken = || CacheError::new(ErrorKind::Plugin, "`larder_create` cannot be read");
        // SAFETY: the host keeps the rules of the header.
        let args = unsafe { read_extensible(args) }.map_err(|_| broken())?;
        // SAFETY: as above.
        unsafe { runtime::remember(args.host) };
        let _here = Here::new(args.instance);
        // SAFETY: as above.
        let json = unsafe { borrow::slice(&args.config_json, "the options") };
        let options = serde_json::from_slice(json.unwrap_or_default()).unwrap_or_default();
        let Factory::Policy(factory) = X::DESCRIPTOR.factory else { return Err(broken()) };
        let capacity = capacity(args.capacity_entries, args.capacity_weight);
        let policy = factory.build(options)?.policy(capacity);
        Ok(Box::into_raw(Box::new(Shard { policy, number: args.instance })))
    });
    match made {
        Ok(Ok(shard)) => {
            // SAFETY: as above.
            unsafe { this.write(shard.cast()) };
            Status::OK
        }
        // SAFETY: as above.
        Ok(Err(failed)) => unsafe { reply::refuse(error, &failed) },
        // SAFETY: as above.
        Err(panic) => unsafe { reply::panicked(error, panic) },
    }
}

unsafe extern "C" fn destroy(this: S) {
    // SAFETY: `create` made it, and nobody uses it afterwards.
    let shard = unsafe { Box::from_raw(this.cast::<Shard>()) };
    let number = shard.number;
    or_say(number, guard(|| drop(shard)));
}

/// Runs a function of the policy; `otherwise` after a panic, of which the host is told.
///
/// # Safety
///
/// `this` must be what [`create`] put out.
unsafe fn with<T>(this: S, otherwise: T, run: impl FnOnce(&mut dyn Policy) -> T) -> T {
    // SAFETY: the caller says so, and by the header nobody else uses it now.
    let Shard { policy, number } = unsafe { &mut *this.cast::<Shard>() };
    let _here = Here::new(*number);
    match guard(|| run(&mut **policy)) {
        Ok(done) => done,
        Err(panic) => {
            or_say(*number, Err(panic));
            otherwise
        }
    }
}

/// What may be asked about the entries of a shard, through the table of the host.
struct Questions(Asked);

impl Questions {
    /// # Safety
    ///
    /// `slots` must be that of a call of the header.
    unsafe fn of(slots: *const Asked) -> Option<Self> {
        // SAFETY: the caller says so.
        unsafe { read_extensible(slots) }.ok().map(Self)
    }
}

/// Asks a question of the table, if it has it.
macro_rules! ask {
    ($questions:expr, $name:ident($($arg:expr),*), $otherwise:expr) => {
        // SAFETY: the table is that of the call that is running.
        $questions.0.$name.map_or($otherwise, |ask| unsafe { ask($questions.0.shard, $($arg),*) })
    };
}

impl Slots for Questions {
    fn hits(&self, slot: SlotId) -> u8 {
        u8::try_from(ask!(self, hits(slot.get()), 0)).unwrap_or(u8::MAX)
    }

    fn set_hits(&mut self, slot: SlotId, hits: u8) {
        let () = ask!(self, set_hits(slot.get(), hits.into()), ());
    }

    fn hash(&self, slot: SlotId) -> u64 {
        ask!(self, hash(slot.get()), 0)
    }

    fn weight(&self, slot: SlotId) -> u32 {
        ask!(self, weight(slot.get()), 1)
    }

    fn deadline(&self, slot: SlotId) -> Option<Moment> {
        let at = ask!(self, deadline_us(slot.get()), NEVER);
        let clock = SystemClock;
        let now = i64::try_from(clock.wall().as_micros()).unwrap_or(i64::MAX);
        let left = u64::try_from(at.saturating_sub(now)).unwrap_or(0);
        (at != NEVER).then(|| clock.now().after(std::time::Duration::from_micros(left)))
    }

    fn is_pinned(&self, slot: SlotId) -> bool {
        ask!(self, is_pinned(slot.get()), 0) != 0
    }

    fn random(&mut self, bound: u32) -> u32 {
        ask!(self, random(bound), 0)
    }
}

unsafe extern "C" fn on_insert(this: S, slot: u32, slots: *const Asked) {
    // SAFETY: the host keeps the rules of the header.
    let Some(mut slots) = (unsafe { Questions::of(slots) }) else { return };
    // SAFETY: as above.
    unsafe { with(this, (), |policy| policy.on_insert(SlotId::new(slot), &mut slots)) }
}

unsafe extern "C" fn on_remove(this: S, slot: u32, evicted: i32, slots: *const Asked) {
    // SAFETY: the host keeps the rules of the header.
    let Some(mut slots) = (unsafe { Questions::of(slots) }) else { return };
    let (slot, evicted) = (SlotId::new(slot), evicted != 0);
    // SAFETY: as above.
    unsafe { with(this, (), |policy| policy.on_remove(slot, evicted, &mut slots)) }
}

unsafe extern "C" fn on_hits(this: S, hits: *const u32, n: usize, slots: *const Asked) {
    // SAFETY: the host keeps the rules of the header.
    let Some(mut slots) = (unsafe { Questions::of(slots) }) else { return };
    // SAFETY: as above.
    let Ok(hits) = (unsafe { borrow::array(hits, n) }) else { return };
    let hits: Vec<SlotId> = hits.iter().map(|slot| SlotId::new(*slot)).collect();
    // SAFETY: as above.
    unsafe { with(this, (), |policy| policy.on_hits(&hits, &mut slots)) }
}

unsafe extern "C" fn victim(this: S, slots: *const Asked, out: *mut u32) -> Status {
    // SAFETY: the host keeps the rules of the header.
    let Some(mut slots) = (unsafe { Questions::of(slots) }) else { return Status::BROKEN };
    // SAFETY: as above.
    let named = unsafe { with(this, Err(()), |policy| Ok(policy.victim(&mut slots))) };
    match named {
        Ok(Some(slot)) => {
            // SAFETY: as above.
            unsafe { out.write(slot.get()) };
            Status::OK
        }
        Ok(None) => Status::MISS,
        Err(()) => Status::PANICKED,
    }
}

unsafe extern "C" fn admit(
    this: S,
    hash: u64,
    weight: u32,
    victim: u32,
    slots: *const Asked,
) -> i32 {
    // SAFETY: the host keeps the rules of the header.
    let Some(mut slots) = (unsafe { Questions::of(slots) }) else { return 1 };
    let victim = SlotId::new(victim);
    // SAFETY: as above.
    unsafe { with(this, 1, |policy| policy.admit(hash, weight, victim, &mut slots).into()) }
}

unsafe extern "C" fn resize(this: S, entries: u64, weight: u64) {
    // SAFETY: the host keeps the rules of the header.
    unsafe { with(this, (), |policy| policy.resize(capacity(entries, weight))) }
}

unsafe extern "C" fn len(this: S) -> u64 {
    // SAFETY: the host keeps the rules of the header.
    unsafe { with(this, 0, |policy| policy.len() as u64) }
}

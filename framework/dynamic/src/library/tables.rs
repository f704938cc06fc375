//! The tables of functions: copied in the size that they have here, and complete.

use std::ffi::c_void;

use larder_abi::table::{
    BackendVt, CodecVt, InvalidatorVt, PolicyVt, ReplicatorVt, WarmerVt, cap, codec, hit, kind,
};
use larder_abi::{Extensible, read_extensible};

use super::Table;

/// The numbers that a codec of a third party may mark its bytes with.
const NUMBERS: std::ops::RangeInclusive<u32> = 0x8000..=0xffff;

/// The table of a component; `None` if its kind is unknown.
///
/// # Safety
///
/// If it is neither null nor misaligned, the pointer must be to a table of this kind.
pub(super) unsafe fn table(
    of: u32,
    caps: u64,
    theirs: *const c_void,
) -> Option<Result<Table, String>> {
    macro_rules! theirs {
        () => {{
            // SAFETY: the caller says that the table is of this kind.
            unsafe { read(theirs) }
        }};
    }
    Some(match of {
        kind::BACKEND => theirs!().and_then(|table| backend(table, caps)),
        kind::CODEC => theirs!().and_then(codec),
        kind::INVALIDATOR => theirs!().and_then(invalidator),
        kind::POLICY => theirs!().and_then(policy),
        kind::REPLICATOR => theirs!().and_then(replicator),
        kind::WARMER => theirs!().and_then(warmer),
        _ => return None,
    })
}

/// # Safety
///
/// As for [`table`].
unsafe fn read<T: Extensible>(theirs: *const c_void) -> Result<T, String> {
    // SAFETY: the caller says of which kind the table is; its size is checked.
    let table = unsafe { read_extensible(theirs.cast::<T>()) };
    table.map_err(|error| format!("the table of its functions cannot be read: {error}"))
}

/// Reports the first function that is not there.
macro_rules! require {
    ($table:ident: $($function:ident),* $(,)?) => {
        $(if $table.$function.is_none() {
            return Err(concat!("it has no function `", stringify!($function), "`").to_owned());
        })*
    };
    ($table:ident, $caps:expr, $cap:ident: $($function:ident),*) => {
        if $caps & cap::$cap != 0 {
            $(if $table.$function.is_none() {
                let cap = stringify!($cap).to_lowercase();
                return Err(format!(
                    "it says that it can do `{cap}`, and has no function `{}`",
                    stringify!($function)
                ));
            })*
        }
    };
}

fn backend(table: BackendVt, caps: u64) -> Result<Table, String> {
    require!(table: create, destroy, get, set, remove, clear);
    require!(table, caps, TOUCH: touch);
    require!(table, caps, SCAN: scan);
    require!(table, caps, BATCH: get_many, set_many, remove_many);
    require!(table, caps, PUT_IF_NEWER: put_if_newer);
    require!(table, caps, LEASE: lease, fill, release);
    require!(table, caps, HEADER_READ: get_head);
    Ok(Table::Backend(table))
}

fn codec(table: CodecVt) -> Result<Table, String> {
    require!(table: create, destroy, encode, decode);
    let models = codec::SERIALIZER..=codec::ENCODE;
    if !models.contains(&table.model) {
        return Err(format!("its model is {}, which is unknown here", table.model));
    }
    if table.number != 0 && !NUMBERS.contains(&table.number) {
        return Err(format!("its number is {:#x}; others than Larder have 0x8000 to 0xffff", {
            table.number
        }));
    }
    Ok(Table::Codec(table))
}

fn invalidator(table: InvalidatorVt) -> Result<Table, String> {
    require!(table: create, destroy, start, publish, stop);
    Ok(Table::Invalidator(table))
}

fn policy(table: PolicyVt) -> Result<Table, String> {
    require!(table: create, destroy, on_insert, on_remove, victim, resize, len);
    match table.hit_mode {
        hit::NONE | hit::BIT | hit::COUNTER => {}
        hit::RECORD | hit::EXCLUSIVE => require!(table: on_hits),
        other => return Err(format!("its hit mode is {other}, which is unknown here")),
    }
    Ok(Table::Policy(table))
}

fn replicator(table: ReplicatorVt) -> Result<Table, String> {
    require!(table: create, destroy, send, status, stop);
    Ok(Table::Replicator(table))
}

fn warmer(table: WarmerVt) -> Result<Table, String> {
    require!(table: create, destroy, begin, next, end);
    Ok(Table::Warmer(table))
}

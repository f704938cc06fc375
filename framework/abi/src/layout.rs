//! Sizes and offsets as numbers: tests compare them with the header and with released versions,
//! stamps carry some of them.

use core::mem::offset_of;

use crate::call::{Call, Create, Error, Health, Host};
use crate::descriptor::{Component, Plugin, Stamp};
use crate::table::{
    BackendVt, CodecContext, CodecVt, InvalidatorVt, PolicyVt, ReplicatorVt, Slots, WarmStats,
    WarmerVt,
};
use crate::value::{
    Bytes, BytesVt, Entry, Invalidation, Key, Kv, Lease, Mutation, Output, Page, Read, Reads,
    Slice, Version, WarmBatch, WarmItem,
};

/// How a struct lies in memory.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Its name in the header.
    pub name: &'static str,
    /// Whether it may grow.
    pub is_extensible: bool,
    /// Its size.
    pub size: usize,
    /// Its alignment.
    pub align: usize,
    /// Its fields in order, with their offsets and sizes.
    pub fields: &'static [(&'static str, usize, usize)],
}

/// The size of a field, from a function that picks it.
const fn size_of_field<T, F>(_: fn(&T) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layouts {
    ($($sort:ident $name:literal $type:ident { $($field:ident),* $(,)? })*) => {
        /// Every struct of the header, in its order.
        pub const LAYOUTS: &[Layout] = &[$(
            Layout {
                name: $name,
                is_extensible: layouts!(@ $sort),
                size: size_of::<$type>(),
                align: align_of::<$type>(),
                fields: &[$((
                    stringify!($field),
                    offset_of!($type, $field),
                    size_of_field(|all: &$type| &all.$field),
                )),*],
            },
        )*];

        // No field is left out above.
        $(const _: fn($type) = |all| {
            let $type { $($field: _),* } = all;
        };)*
    };
    (@ frozen) => { false };
    (@ extensible) => { true };
}

layouts! {
    frozen "larder_slice" Slice { ptr, len }
    frozen "larder_bytes_vt" BytesVt { retain, release }
    frozen "larder_bytes" Bytes { ptr, len, owner, vt }
    frozen "larder_key" Key { ptr, len, hash }
    frozen "larder_kv" Kv { key, value }
    frozen "larder_version" Version { time_us, origin, reserved }
    frozen "larder_entry" Entry { value, soft_us, hard_us, version, reserved }
    frozen "larder_output" Output { scratch, scratch_cap, bytes }
    frozen "larder_read" Read { scratch, scratch_cap, entry }
    frozen "larder_reads" Reads { reads, status, n }
    frozen "larder_page" Page { keys, next }
    frozen "larder_lease" Lease { token, remaining_us }
    frozen "larder_invalidation" Invalidation { scope, flags, target, version, reserved }
    frozen "larder_mutation" Mutation { op, scope, target, entry, reserved }
    frozen "larder_warm_item" WarmItem { key, value, priority, flags, reserved }
    frozen "larder_warm_batch" WarmBatch { items, cap, n }
    extensible "larder_call" Call { struct_size, flags, now_us, deadline_us, traceparent, slot }
    extensible "larder_error" Error {
        struct_size, code, flags, reserved, message, hint, problems_json,
    }
    extensible "larder_health" Health { struct_size, flags, entries, bytes, corrupt, degraded }
    extensible "larder_host" Host {
        struct_size, abi_major, abi_minor, version, max_log_level, log, op_defer, op_is_cancelled,
        op_complete, bytes_new, spawn_blocking, now_us, panicked, sink_invalidate, sink_lost_track,
        sink_apply, query,
    }
    extensible "larder_create" Create {
        struct_size, flags, instance, sink, host, cache, config_json, max_value_bytes,
        capacity_entries, capacity_weight, now_us,
    }
    extensible "larder_backend_vt" BackendVt {
        struct_size, flags, create, destroy, get, set, remove, clear, exists, get_many, set_many,
        remove_many, touch, scan, put_if_newer, lease, fill, release, get_head, health, start,
        flush, close, cancel,
    }
    extensible "larder_slots" Slots {
        struct_size, flags, shard, hits, set_hits, hash, weight, deadline_us, is_pinned, random,
    }
    extensible "larder_policy_vt" PolicyVt {
        struct_size, hit_mode, hit_max, reserved, create, destroy, on_insert, on_remove, victim,
        resize, len, on_hits, admit,
    }
    extensible "larder_codec_context" CodecContext {
        struct_size, format, cache, key, inner, n_inner, max_size,
    }
    extensible "larder_codec_vt" CodecVt {
        struct_size, model, number, reserved, create, destroy, encode, decode,
    }
    extensible "larder_invalidator_vt" InvalidatorVt {
        struct_size, flags, create, destroy, start, publish, stop, matches, cancel,
    }
    extensible "larder_warm_stats" WarmStats {
        struct_size, flags, named, warmed, skipped, failed, elapsed_us,
    }
    extensible "larder_warmer_vt" WarmerVt {
        struct_size, flags, create, destroy, begin, next, end, cancel,
    }
    extensible "larder_replicator_vt" ReplicatorVt {
        struct_size, flags, create, destroy, start, send, status, stop, cancel,
    }
    extensible "larder_component" Component {
        struct_size, kind, caps, name, summary, vtable, config_schema, validate,
    }
    extensible "larder_plugin" Plugin {
        struct_size, abi_major, abi_minor, requires_host_minor, flags, reserved, name, version,
        build_json, components, n_components, shutdown, query,
    }
    frozen "larder_stamp" Stamp {
        magic, stamp_size, abi_major, abi_minor, requires_host_minor, ptr_size, big_endian, unwinds,
        reserved, layout, target, name,
    }
}

/// How many sizes a stamp carries.
pub const LAYOUT_LEN: usize = SIZED.len();

/// The structs whose sizes a stamp carries, in its order.
pub const SIZED: [&str; 28] = [
    "larder_slice",
    "larder_bytes",
    "larder_key",
    "larder_kv",
    "larder_version",
    "larder_entry",
    "larder_output",
    "larder_read",
    "larder_reads",
    "larder_page",
    "larder_lease",
    "larder_invalidation",
    "larder_mutation",
    "larder_warm_item",
    "larder_warm_batch",
    "larder_call",
    "larder_error",
    "larder_health",
    "larder_host",
    "larder_create",
    "larder_backend_vt",
    "larder_policy_vt",
    "larder_codec_vt",
    "larder_invalidator_vt",
    "larder_warmer_vt",
    "larder_replicator_vt",
    "larder_component",
    "larder_plugin",
];

/// The sizes as they are here.
pub const SIZES: [u32; LAYOUT_LEN] = {
    let mut sizes = [0; LAYOUT_LEN];
    let mut at = 0;
    while at < LAYOUT_LEN {
        sizes[at] = size_of_named(SIZED[at]);
        at += 1;
    }
    sizes
};

const fn size_of_named(name: &str) -> u32 {
    let mut at = 0;
    while at < LAYOUTS.len() {
        if is_same(LAYOUTS[at].name.as_bytes(), name.as_bytes()) {
            return LAYOUTS[at].size as u32;
        }
        at += 1;
    }
    panic!("every struct whose size is in the stamp has a layout");
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

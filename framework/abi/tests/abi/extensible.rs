//! Both sides read what the other has, whichever is older.

use larder_abi::extensible::{LARGEST, Unreadable};
use larder_abi::layout::LAYOUTS;
use larder_abi::{Component, Extensible, Plugin, call, read_extensible, table as tables};

/// Room for a struct of any size, aligned as structs are.
#[repr(C, align(16))]
struct Memory([u8; LARGEST + 16]);

impl Memory {
    /// A struct that says this size, its other bytes as long as that from `fill`, and behind it
    /// what must not be read.
    fn of(size: u32, fill: impl Fn(usize) -> u8) -> Box<Self> {
        let mut memory = Box::new(Self([0xee; LARGEST + 16]));
        // No struct is as long as that.
        let length = (size as usize).min(512);
        for (at, byte) in memory.0[..length].iter_mut().enumerate() {
            *byte = fill(at);
        }
        memory.0[..4].copy_from_slice(&size.to_ne_bytes());
        memory
    }

    fn read<T: Extensible>(&self, at: usize) -> Result<T, Unreadable> {
        // SAFETY: there are more bytes than any struct of this size has, and all are initialized;
        // those that become pointers are zero in what is read.
        unsafe { read_extensible(self.0[at..].as_ptr().cast::<T>()) }
    }
}

#[test]
fn what_an_older_plugin_does_not_have_is_zero() {
    let first = u32::try_from(Plugin::FIRST).unwrap();
    let plugin: Plugin = Memory::of(first, |_| 0).read(0).unwrap();
    assert_eq!(plugin.struct_size, first);
    assert!(plugin.shutdown.is_none() && plugin.components.is_null());
}

#[test]
fn what_a_newer_plugin_has_more_is_left_out() {
    let component: Component = Memory::of(4096, |at| u8::from(at == 8)).read(0).unwrap();
    assert_eq!(
        (component.struct_size, component.caps),
        (4096, u64::from_ne_bytes([1, 0, 0, 0, 0, 0, 0, 0]))
    );
    assert!(component.vtable.is_null() && component.validate.is_none());
}

#[test]
fn a_struct_that_cannot_be_one_is_refused() {
    // SAFETY: a null pointer is not read.
    let null = unsafe { read_extensible::<Plugin>(std::ptr::null()) };
    assert_eq!(null.unwrap_err(), Unreadable::Null);
    let read = |size| Memory::of(size, |_| 0).read::<Plugin>(0).map(|plugin| plugin.struct_size);
    let first = u32::try_from(Plugin::FIRST).unwrap();
    let largest = u32::try_from(LARGEST).unwrap();
    for size in [0, 1, 8, first - 1, largest + 1, u32::MAX] {
        assert_eq!(read(size), Err(Unreadable::Size(size)));
    }
    for size in [first, first + 1, largest] {
        assert_eq!(read(size), Ok(size));
    }
    for at in 1..8 {
        let misaligned = Memory::of(first, |_| 0).read::<Plugin>(at);
        assert_eq!(misaligned.unwrap_err(), Unreadable::Misaligned);
    }
}

#[test]
#[cfg(target_pointer_width = "64")]
fn the_first_size_of_every_struct_is_that_of_its_first_version() {
    let sizes = [
        ("larder_backend_vt", tables::BackendVt::FIRST),
        ("larder_call", call::Call::FIRST),
        ("larder_codec_context", tables::CodecContext::FIRST),
        ("larder_codec_vt", tables::CodecVt::FIRST),
        ("larder_component", Component::FIRST),
        ("larder_create", call::Create::FIRST),
        ("larder_error", call::Error::FIRST),
        ("larder_health", call::Health::FIRST),
        ("larder_host", call::Host::FIRST),
        ("larder_invalidator_vt", tables::InvalidatorVt::FIRST),
        ("larder_plugin", Plugin::FIRST),
        ("larder_policy_vt", tables::PolicyVt::FIRST),
        ("larder_replicator_vt", tables::ReplicatorVt::FIRST),
        ("larder_slots", tables::Slots::FIRST),
        ("larder_warm_stats", tables::WarmStats::FIRST),
        ("larder_warmer_vt", tables::WarmerVt::FIRST),
    ];
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/released/1.0.txt");
    let released = std::fs::read_to_string(path).unwrap();
    for (name, first) in sizes {
        let line = released.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        assert_eq!(line.split(' ').nth(2).unwrap(), first.to_string(), "{name}");
    }
    let extensible = LAYOUTS.iter().filter(|layout| layout.is_extensible).count();
    assert_eq!(extensible, sizes.len());
}

//! What a library says about itself, and the stamp in its file.

use core::ffi::c_void;

use crate::call::{Error, Host};
use crate::layout::{self, LAYOUT_LEN};
use crate::value::Slice;
use crate::{ABI_MAJOR, ABI_MINOR, Status};

/// One component of a library.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// One of [`kind`](crate::table::kind).
    pub kind: u32,
    /// Some of [`cap`](crate::table::cap).
    pub caps: u64,
    /// What the config names.
    pub name: Slice,
    /// One sentence.
    pub summary: Slice,
    /// The table of its kind.
    pub vtable: *const c_void,
    /// The JSON schema of its options.
    pub config_schema: Option<unsafe extern "C" fn(*mut Slice) -> Status>,
    /// Checks what the schema cannot express.
    pub validate: Option<unsafe extern "C" fn(*const Slice, *mut Error) -> Status>,
}

/// A library.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// The size of this struct as the plugin has it.
    pub struct_size: u32,
    /// The major version that it was built with.
    pub abi_major: u16,
    /// The minor version that it was built with.
    pub abi_minor: u16,
    /// The oldest minor version of a host that it works with.
    pub requires_host_minor: u16,
    /// None are known.
    pub flags: u16,
    /// 0.
    pub reserved: u32,
    /// The same as in the stamp.
    pub name: Slice,
    /// Its version.
    pub version: Slice,
    /// How it was built, as a JSON object.
    pub build_json: Slice,
    /// Its components. Pointers, so that they may be of different sizes.
    pub components: *const *const Component,
    /// How many.
    pub n_components: usize,
    /// Stops every thread of it, when the process ends by itself. Instances may still be there, and
    /// calls under way.
    pub shutdown: Option<unsafe extern "C" fn(i64) -> Status>,
    /// Interfaces that are tried out.
    pub query: Option<unsafe extern "C" fn(*const Slice) -> *const c_void>,
}

/// The entry function of a library.
pub type EntryV1 = unsafe extern "C" fn(*const Host, *mut *const Plugin, *mut Error) -> Status;

/// What a stamp begins with.
pub const STAMP_MAGIC: [u8; 16] = *b"\x89LDR-PLUGIN\r\n\x1a\n\0";

/// What the panics of a library do.
pub mod unwinds {
    /// It is not written in Rust.
    pub const NOT_RUST: u8 = 0;
    /// They are caught.
    pub const YES: u8 = 1;
    /// They end the process.
    pub const ABORT: u8 = 2;
}

/// What can be read of a library in its file, before any code of it runs.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// [`STAMP_MAGIC`].
    pub magic: [u8; 16],
    /// The size of this struct as the plugin has it.
    pub stamp_size: u32,
    /// The major version that it was built with.
    pub abi_major: u16,
    /// The minor version that it was built with.
    pub abi_minor: u16,
    /// The oldest minor version of a host that it works with.
    pub requires_host_minor: u16,
    /// The size of a pointer.
    pub ptr_size: u8,
    /// 1 on machines whose numbers begin with the highest byte.
    pub big_endian: u8,
    /// One of [`unwinds`].
    pub unwinds: u8,
    /// 0.
    pub reserved: [u8; 3],
    /// The sizes of the structs as the compiler of the plugin has them.
    pub layout: [u32; LAYOUT_LEN],
    /// What it is built for, up to a NUL.
    pub target: [u8; 32],
    /// The name of the plugin, up to a NUL.
    pub name: [u8; 64],
}

impl Stamp {
    /// The stamp of a library in Rust of this name.
    ///
    /// # Panics
    ///
    /// When the name or the target does not fit: at compile time, in a constant.
    #[must_use]
    pub const fn new(name: &str, target: &str, requires_host_minor: u16) -> Self {
        Self {
            magic: STAMP_MAGIC,
            stamp_size: size_of::<Self>() as u32,
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            requires_host_minor,
            ptr_size: size_of::<usize>() as u8,
            big_endian: cfg!(target_endian = "big") as u8,
            unwinds: if cfg!(panic = "unwind") { unwinds::YES } else { unwinds::ABORT },
            reserved: [0; 3],
            layout: layout::SIZES,
            target: padded(target),
            name: padded(name),
        }
    }
}

/// A text with NULs up to the end of its field, of which there is at least one.
const fn padded<const N: usize>(text: &str) -> [u8; N] {
    let (bytes, mut field) = (text.as_bytes(), [0; N]);
    assert!(bytes.len() < N, "the text does not fit into its field of the stamp");
    let mut at = 0;
    while at < bytes.len() {
        field[at] = bytes[at];
        at += 1;
    }
    field
}

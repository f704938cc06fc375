//! The stamp in the file: what the compiler of the plugin saw of the header, as numbers.

use std::mem::offset_of;

use larder_abi::descriptor::STAMP_MAGIC;
use larder_abi::layout::{LAYOUT_LEN, LAYOUTS, SIZED, SIZES};
use larder_abi::{ABI_MAJOR, ABI_MINOR, Stamp};
use larder_core::KeyPath;
use larder_core::library::{Fault, LibraryRequest, Refusal};
use memchr::memmem;

use crate::refusal::{Answer, refused, shown};

const BIG_ENDIAN: u8 = cfg!(target_endian = "big") as u8;
const PTR_SIZE: u8 = size_of::<usize>() as u8;

/// The one stamp of a file, and where it stands.
pub(super) fn find(request: &LibraryRequest, bytes: &[u8]) -> Answer<(usize, Stamp)> {
    let LibraryRequest { name, path, .. } = request;
    let mut places = memmem::find_iter(bytes, &STAMP_MAGIC);
    let Some(place) = places.next() else {
        let what = "is not a Larder plugin: it has no plugin ABI stamp";
        return Err(refused(Fault::Abi, name, path, what, "has no plugin ABI stamp")
            .help("check the path, and that the library was built with the plugin header")
            .into());
    };
    if places.next().is_some() {
        let what = "has several stamps, so nobody can say which one holds";
        return Err(refused(Fault::Stamp, name, path, what, "has several stamps")
            .help("build each plugin as a library of its own")
            .into());
    }
    let end = place.saturating_add(size_of::<Stamp>());
    let Some(stamp) = bytes.get(place..end).and_then(read) else {
        return Err(broken(request, "the file ends within it"));
    };
    Ok((place, stamp))
}

/// The stamp at the start of these bytes, number by number: they are not aligned.
fn read(bytes: &[u8]) -> Option<Stamp> {
    let number = |at: usize| Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let byte = |at: usize| bytes.get(at).copied();
    let mut layout = [0; LAYOUT_LEN];
    for (index, size) in layout.iter_mut().enumerate() {
        *size = long(offset_of!(Stamp, layout) + 4 * index)?;
    }
    let at = offset_of!(Stamp, reserved);
    let reserved = bytes.get(at..at + 3)?.try_into().ok()?;
    let (target, name) = (offset_of!(Stamp, target), offset_of!(Stamp, name));
    Some(Stamp {
        magic: bytes.get(..STAMP_MAGIC.len())?.try_into().ok()?,
        stamp_size: long(offset_of!(Stamp, stamp_size))?,
        abi_major: number(offset_of!(Stamp, abi_major))?,
        abi_minor: number(offset_of!(Stamp, abi_minor))?,
        requires_host_minor: number(offset_of!(Stamp, requires_host_minor))?,
        ptr_size: byte(offset_of!(Stamp, ptr_size))?,
        big_endian: byte(offset_of!(Stamp, big_endian))?,
        unwinds: byte(offset_of!(Stamp, unwinds))?,
        reserved,
        layout,
        target: bytes.get(target..target + 32)?.try_into().ok()?,
        name: bytes.get(name..name + 64)?.try_into().ok()?,
    })
}

/// Whether what the stamp says fits this host and the config.
pub(super) fn is_compatible(request: &LibraryRequest, stamp: &Stamp) -> Answer {
    // Numbers of the other order would be read wrong, so this comes first.
    if stamp.big_endian != BIG_ENDIAN || stamp.ptr_size != PTR_SIZE {
        let found =
            format!("pointers of {} bytes and {} numbers", stamp.ptr_size, order(stamp.big_endian));
        let expected = format!("{PTR_SIZE} bytes and {} numbers", order(BIG_ENDIAN));
        return Err(layout(request, &found, &format!("this host has {expected}")).into());
    }
    if stamp.abi_major != ABI_MAJOR {
        return Err(foreign(request, stamp));
    }
    if stamp.stamp_size as usize != size_of::<Stamp>() {
        let why = format!("it says that it is {} bytes long", stamp.stamp_size);
        return Err(broken(request, &why));
    }
    if stamp.requires_host_minor > ABI_MINOR {
        return Err(too_new(request, stamp));
    }
    has_layout(request, stamp)?;
    let name = name(request, stamp)?;
    if name == request.name { Ok(()) } else { Err(other_name(request, name)) }
}

/// The name of the plugin.
pub(super) fn name<'a>(request: &LibraryRequest, stamp: &'a Stamp) -> Answer<&'a str> {
    name_of(stamp).ok_or_else(|| broken(request, "its name is no text"))
}

const fn order(big_endian: u8) -> &'static str {
    match big_endian {
        0 => "little-endian",
        _ => "big-endian",
    }
}

/// The sizes: of the same minor version all equal, of another those that never change; of those
/// that grow, the newer one has the larger.
fn has_layout(request: &LibraryRequest, stamp: &Stamp) -> Answer {
    for ((name, theirs), ours) in SIZED.iter().zip(stamp.layout).zip(SIZES) {
        let may_grow = LAYOUTS.iter().any(|layout| layout.name == *name && layout.is_extensible);
        let fits = match stamp.abi_minor.cmp(&ABI_MINOR) {
            _ if !may_grow => theirs == ours,
            std::cmp::Ordering::Equal => theirs == ours,
            std::cmp::Ordering::Less => theirs <= ours,
            std::cmp::Ordering::Greater => theirs >= ours,
        };
        if !fits {
            let found = format!("`{name}` has {theirs} bytes there");
            return Err(layout(request, &found, &format!("it has {ours} bytes here")).into());
        }
    }
    Ok(())
}

fn layout(request: &LibraryRequest, found: &str, expected: &str) -> Refusal {
    let LibraryRequest { name, path, .. } = request;
    let what = "was compiled with another layout of structs than the header has";
    refused(Fault::Layout, name, path, what, found)
        .note(format!("{found}; {expected}"))
        .help("build it without flags that change packing or the size of types")
}

fn foreign(request: &LibraryRequest, stamp: &Stamp) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let (major, minor) = (stamp.abi_major, stamp.abi_minor);
    let what = format!("speaks plugin ABI {major}.{minor}, this program needs {ABI_MAJOR}.x");
    let built = match target_of(stamp) {
        Some(target) => format!("built for {} with plugin ABI {major}.{minor}", shown(target)),
        None => format!("built for plugin ABI {major}.{minor}"),
    };
    refused(Fault::Abi, name, path, what, built)
        .note(format!("this program: ABI {ABI_MAJOR}.{ABI_MINOR}, accepts {ABI_MAJOR}.x"))
        .help(format!("get a build of {name} for ABI {ABI_MAJOR}"))
        .into()
}

fn too_new(request: &LibraryRequest, stamp: &Stamp) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let needs = format!("{}.{}", stamp.abi_major, stamp.requires_host_minor);
    let what = format!("needs a host that speaks plugin ABI {needs} or newer");
    refused(Fault::HostTooOld, name, path, what, format!("needs plugin ABI {needs}"))
        .note(format!("this program speaks {ABI_MAJOR}.{ABI_MINOR}"))
        .help("use a newer Larder, or an older build of the plugin")
        .into()
}

fn other_name(request: &LibraryRequest, found: &str) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    let found = shown(found);
    let section = KeyPath::from_segments(["plugins", &found]);
    refused(Fault::Name, name, path, format!("is that of `{found}`"), format!("not `{found}`"))
        .help(format!("rename the section to `[{section}]`, or correct the path"))
        .into()
}

fn broken(request: &LibraryRequest, why: &str) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    refused(Fault::Stamp, name, path, "has a stamp that is not whole", "has a broken stamp")
        .note(why)
        .help("check the path, and that the library was built with the plugin header")
        .into()
}

/// The name in a stamp.
fn name_of(stamp: &Stamp) -> Option<&str> {
    text(&stamp.name).filter(|name| !name.is_empty())
}

/// What a stamp says that the library was built for.
pub(crate) fn target_of(stamp: &Stamp) -> Option<&str> {
    text(&stamp.target).filter(|target| !target.is_empty())
}

fn text(field: &[u8]) -> Option<&str> {
    let end = memchr::memchr(0, field)?;
    let text = std::str::from_utf8(field.get(..end)?).ok()?;
    text.chars().all(|char| !char.is_control()).then_some(text)
}

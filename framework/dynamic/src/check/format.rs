//! Whether a file is a shared library of this machine, and all there.
//!
//! The system would say less (of a library for another machine, that there is no such file), and a
//! file whose end is missing would kill the process: its segments are mapped past the end, and
//! the first access to them is a bus error.

use larder_core::library::{Fault, LibraryRequest, Refusal};
use object::Architecture;
use object::read::{File, FileKind, Object as _, ObjectKind, ObjectSegment as _};

use super::sections;
use crate::refusal::{Answer, refused};

/// What this system loads.
#[cfg(target_vendor = "apple")]
const EXPECTED: (&str, &[FileKind]) = ("Mach-O", &[FileKind::MachO64]);
#[cfg(windows)]
const EXPECTED: (&str, &[FileKind]) = ("PE", &[FileKind::Pe32, FileKind::Pe64]);
#[cfg(not(any(target_vendor = "apple", windows)))]
const EXPECTED: (&str, &[FileKind]) = ("ELF", &[FileKind::Elf32, FileKind::Elf64]);

pub(super) fn is_library(request: &LibraryRequest, bytes: &[u8]) -> Answer {
    let LibraryRequest { name, path, .. } = request;
    let wrong = |found: &str, label: &str| {
        let expected = format!(
            "expected a shared library for {} {} ({})",
            std::env::consts::ARCH,
            std::env::consts::OS,
            EXPECTED.0
        );
        refused(Fault::Format, name, path, found, label)
            .note(expected)
            .help("get a build of the plugin for this system")
    };
    if bytes.is_empty() {
        return Err(wrong("is empty", "an empty file").into());
    }
    let kind = FileKind::parse(bytes).ok();
    let Some(kind) = kind.filter(|kind| EXPECTED.1.contains(kind)) else {
        let found = match kind {
            Some(FileKind::Elf32 | FileKind::Elf64) => "an ELF file",
            Some(FileKind::Pe32 | FileKind::Pe64) => "a file for Windows",
            Some(kind) if format!("{kind:?}").starts_with("MachO") => "a file for macOS",
            _ => "no library at all",
        };
        return Err(wrong(&format!("is {found}"), found).into());
    };
    if is_64(kind) != cfg!(target_pointer_width = "64") {
        let found = if is_64(kind) { "is for 64-bit programs" } else { "is for 32-bit programs" };
        return Err(wrong(found, found).into());
    }
    if is_big_endian(kind, bytes) != cfg!(target_endian = "big") {
        let found = "is for machines with the other order of bytes";
        return Err(wrong(found, found).into());
    }
    let file = File::parse(bytes).map_err(|error| truncated(request, &error.to_string()))?;
    let machine = file.architecture();
    if machine_here().is_some_and(|here| here != machine) {
        let found = format!("is for another machine: {}", machine_name(kind, machine));
        return Err(wrong(&found, &found).into());
    }
    let found = match file.kind() {
        ObjectKind::Dynamic => return is_whole(request, &file, bytes.len() as u64),
        ObjectKind::Executable => "is a program",
        ObjectKind::Relocatable => "is an object file, which was not linked",
        _ => "is no shared library",
    };
    Err(wrong(found, found).into())
}

const fn is_64(kind: FileKind) -> bool {
    matches!(kind, FileKind::Elf64 | FileKind::MachO64 | FileKind::Pe64)
}

/// Read from the first bytes, since all that follows depends on it.
fn is_big_endian(kind: FileKind, bytes: &[u8]) -> bool {
    const ORDER: usize = 5;
    const BIG: u8 = 2;
    matches!(kind, FileKind::Elf32 | FileKind::Elf64) && bytes.get(ORDER) == Some(&BIG)
}

/// Whether all that is mapped is inside of the file, and where the file says it twice, the same.
fn is_whole(request: &LibraryRequest, file: &File<'_>, length: u64) -> Answer {
    let mut segments = 0_usize;
    for segment in file.segments() {
        let (start, size) = segment.file_range();
        let is_inside = start.checked_add(size).is_some_and(|end| end <= length);
        if !is_inside || size > segment.size() {
            let what = format!("a segment is {size} bytes at {start}, and the file has {length}");
            return Err(truncated(request, &what));
        }
        segments += 1;
    }
    if segments == 0 {
        return Err(truncated(request, "it has no segments"));
    }
    match sections::contradiction(file) {
        Some(why) => Err(truncated(request, &why)),
        None => Ok(()),
    }
}

fn truncated(request: &LibraryRequest, why: &str) -> Box<Refusal> {
    let LibraryRequest { name, path, .. } = request;
    refused(Fault::Truncated, name, path, "is damaged, or a part of it is missing", "damaged")
        .note(format!("found: {why}"))
        .help("copy it again; write it beside and rename it, so that nobody sees half of it")
        .into()
}

/// What this machine is; `None` where we do not know how files say it.
const fn machine_here() -> Option<Architecture> {
    if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        Some(Architecture::X86_64)
    } else if cfg!(all(target_arch = "aarch64", target_pointer_width = "64")) {
        Some(Architecture::Aarch64)
    } else if cfg!(target_arch = "x86") {
        Some(Architecture::I386)
    } else if cfg!(target_arch = "arm") {
        Some(Architecture::Arm)
    } else if cfg!(target_arch = "riscv64") {
        Some(Architecture::Riscv64)
    } else if cfg!(target_arch = "s390x") {
        Some(Architecture::S390x)
    } else if cfg!(target_arch = "powerpc64") {
        Some(Architecture::PowerPc64)
    } else {
        None
    }
}

fn machine_name(kind: FileKind, machine: Architecture) -> String {
    match machine {
        Architecture::Unknown => format!("one that is unknown here ({kind:?})"),
        known => format!("{known:?}").to_lowercase(),
    }
}

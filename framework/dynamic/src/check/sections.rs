//! Whether an ELF file says the same twice.
//!
//! The system maps the segments of a library and believes what their table says: one wrong bit in
//! it, and code is mapped where nobody may run it, or relocations are read from the middle of
//! something else, and the process dies before anybody can ask. The table of sections, which the
//! system does not read, says the same once more. A file whose tables contradict each other is
//! damaged. One without sections, which is legal, cannot be compared.

use object::elf::{
    PF_R, PF_W, PF_X, PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_INTERP,
    PT_LOAD, PT_NOTE, PT_PHDR, PT_TLS, ProgramFlags, ProgramType, SHF_ALLOC, SHF_EXECINSTR,
    SHF_TLS, SHF_WRITE, SHT_DYNAMIC, SHT_NOBITS, SectionFlags, SectionType,
};
use object::read::File;
use object::read::elf::{ElfFile, FileHeader, ProgramHeader as _, SectionHeader as _};

/// Segments that are parts of what is loaded, and begin where a section does.
const PARTS: [ProgramType; 7] =
    [PT_DYNAMIC, PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_GNU_RELRO, PT_INTERP, PT_NOTE, PT_TLS];

/// Those of which tools leave the segment when they remove the section: it is empty then.
const LEFT: [ProgramType; 3] = [PT_GNU_EH_FRAME, PT_GNU_PROPERTY, PT_NOTE];

/// Sections that are written to after the library was loaded.
const WRITTEN: [&[u8]; 2] = [b".bss", b".data"];

/// In what the tables contradict each other; `None` if in nothing, or if there is only one.
pub(super) fn contradiction(file: &File<'_>) -> Option<String> {
    match file {
        File::Elf32(file) => of_elf(file),
        File::Elf64(file) => of_elf(file),
        _ => None,
    }
}

/// What is mapped as one.
struct Segment {
    kind: ProgramType,
    flags: ProgramFlags,
    address: u64,
    offset: u64,
    in_file: u64,
    in_memory: u64,
}

/// A part of the file with one meaning, which takes up memory.
struct Section<'data> {
    name: &'data [u8],
    kind: SectionType,
    flags: SectionFlags,
    address: u64,
    offset: u64,
    size: u64,
}

fn of_elf<Elf: FileHeader>(file: &ElfFile<'_, Elf>) -> Option<String> {
    let segments = segments(file);
    let sections = sections(file);
    if sections.is_empty() {
        return None;
    }
    let endian = file.endian();
    let headers: u64 = file.elf_header().e_phoff(endian).into();
    let loaded: Vec<&Segment> = segments.iter().filter(|one| one.kind == PT_LOAD).collect();
    sections
        .iter()
        .find_map(|section| unmapped(section, &loaded))
        .or_else(|| segments.iter().find_map(|segment| misplaced(segment, headers, &sections)))
        .or_else(|| segments.iter().find_map(|segment| outside(segment, &loaded)))
}

fn segments<Elf: FileHeader>(file: &ElfFile<'_, Elf>) -> Vec<Segment> {
    let endian = file.endian();
    let headers = file.elf_program_headers().iter();
    headers
        .map(|header| Segment {
            kind: header.p_type(endian),
            flags: header.p_flags(endian),
            address: header.p_vaddr(endian).into(),
            offset: header.p_offset(endian).into(),
            in_file: header.p_filesz(endian).into(),
            in_memory: header.p_memsz(endian).into(),
        })
        .collect()
}

fn sections<'data, Elf: FileHeader>(file: &ElfFile<'data, Elf>) -> Vec<Section<'data>> {
    let (endian, table) = (file.endian(), file.elf_section_table());
    let sections = table.iter().map(|header| Section {
        name: table.section_name(endian, header).unwrap_or_default(),
        kind: header.sh_type(endian),
        flags: header.sh_flags(endian),
        address: header.sh_addr(endian).into(),
        offset: header.sh_offset(endian).into(),
        size: header.sh_size(endian).into(),
    });
    let takes_memory = |section: &Section<'_>| {
        let is_template = section.kind == SHT_NOBITS && section.flags.contains(SHF_TLS);
        section.flags.contains(SHF_ALLOC) && section.size > 0 && !is_template
    };
    sections.filter(takes_memory).collect()
}

/// Whether a stretch lies in another one.
fn is_within(start: u64, size: u64, of: u64, room: u64) -> bool {
    start.checked_sub(of).and_then(|at| at.checked_add(size)).is_some_and(|end| end <= room)
}

/// Each section is mapped from its place in the file, and may be used as it is meant to be.
fn unmapped(section: &Section<'_>, loaded: &[&Segment]) -> Option<String> {
    let name = String::from_utf8_lossy(section.name);
    let Section { address, offset, size, .. } = *section;
    let in_memory =
        |segment: &&&Segment| is_within(address, size, segment.address, segment.in_memory);
    let Some(segment) = loaded.iter().find(in_memory) else {
        return Some(format!("no segment has the section `{name}`"));
    };
    let is_in_file = section.kind == SHT_NOBITS
        || is_within(offset, size, segment.offset, segment.in_file)
            && address - segment.address == offset - segment.offset;
    if !is_in_file {
        return Some(format!("the section `{name}` is mapped from elsewhere"));
    }
    let is_allowed = |flag, right| !section.flags.contains(flag) || segment.flags.contains(right);
    let is_readable = segment.flags.contains(PF_R) || segment.flags.contains(PF_X);
    if is_readable && is_allowed(SHF_WRITE, PF_W) && is_allowed(SHF_EXECINSTR, PF_X) {
        return None;
    }
    Some(format!("the section `{name}` may not be used as it says"))
}

/// What the system looks into begins where a section does, or did before somebody removed that, and
/// what it protects is not written to.
fn misplaced(segment: &Segment, headers: u64, sections: &[Section<'_>]) -> Option<String> {
    let Segment { kind, address, in_memory, .. } = *segment;
    if kind == PT_PHDR && segment.offset != headers {
        return Some("the table of segments is not where a segment says".to_owned());
    }
    if !PARTS.contains(&kind) || in_memory == 0 {
        return None;
    }
    let fits = |section: &&Section<'_>| {
        section.address == address && (kind != PT_DYNAMIC || section.kind == SHT_DYNAMIC)
    };
    // Thread-local memory may have no bytes in the file, and its section then takes up nothing.
    let is_placed = kind == PT_TLS && segment.in_file == 0 || sections.iter().any(|one| fits(&one));
    let is_left = LEFT.contains(&kind)
        && !sections.iter().any(|one| is_within(address, 1, one.address, one.size));
    if !is_placed && !is_left {
        return Some(format!("no section begins where segment {:#x} does", kind.0));
    }
    let end = address.saturating_add(in_memory);
    let is_hit = |section: &Section<'_>| {
        WRITTEN.contains(&section.name)
            && section.address < end
            && address < section.address.saturating_add(section.size)
    };
    let is_protected = kind == PT_GNU_RELRO && sections.iter().any(is_hit);
    is_protected.then(|| "what is written to would be protected".to_owned())
}

/// The other segments are parts of what is loaded.
fn outside(segment: &Segment, loaded: &[&Segment]) -> Option<String> {
    let Segment { kind, address, in_memory, in_file, .. } = *segment;
    let needs = match kind {
        PT_TLS => in_file,
        // Some linkers say where its last page ends, and not what they put there.
        PT_GNU_RELRO => in_memory.min(1),
        _ => in_memory,
    };
    let is_part = PARTS.contains(&kind) && needs > 0;
    let is_inside = loaded.iter().any(|one| is_within(address, needs, one.address, one.in_memory));
    (is_part && !is_inside).then(|| format!("segment {:#x} is not loaded", kind.0))
}

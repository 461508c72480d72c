//! An ELF executable, read with suspicion: every field the kernel acts on is checked here, once.
//!
//! What is accepted is what a linker makes of a static, non-relocatable x86-64 program whose
//! segments do not share pages. Fields the kernel never acts on are not looked at: section headers,
//! physical addresses, flags, OS ABI, and program headers other than those named in `inspect`.
//! Sources: System V gABI chapters 4 and 5, x86-64 psABI 0.99.

use alloc::vec::Vec;

use action_abi::{ABI_VERSION, HOST_VERSION, IMAGE_END, IMAGE_START, NOTE_NAME, NOTE_TYPE};
use object::LittleEndian;
use object::elf::{self, FileHeader64, ProgramHeader64};
use object::read::elf::{FileHeader as _, NoteIterator, ProgramHeader as _};

use super::excerpt::{Excerpt, File};
use super::text::{Text, TextCheck};
use super::{ImageReject, SegmentProblem};
use limits::{IMAGE_MEMORY_LEN_MAX, NOTES_LEN_MAX, PAGE_LEN, PROGRAM_HEADERS_MAX, SEGMENTS_MAX};
use memory::{LoadPlan, PageBuffer, Protection, Segment};

const LE: LittleEndian = LittleEndian;
const PAGE: u64 = PAGE_LEN as u64;

/// Checks an ELF file that is in one piece, and says how to load it.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn plan(file: &[u8]) -> Result<LoadPlan, ImageReject> {
    let mut text = TextCheck::default();
    text.push(file);
    plan_of(File::Bytes(file), text.end())
}

/// Checks an ELF file in frames, of which it is known whether it is text.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn plan_pages(file: &PageBuffer, text: Text) -> Result<LoadPlan, ImageReject> {
    plan_of(File::Pages(file), text)
}

fn plan_of(file: File<'_>, text: Text) -> Result<LoadPlan, ImageReject> {
    let mut start = Excerpt::default();
    let start = start.read_up_to(file, size_of::<FileHeader64<LittleEndian>>());
    if !start.starts_with(&elf::ELFMAG) {
        return Err(ImageReject::NotElf(what_else(start, text)));
    }
    // No machine code is valid UTF-8 and contains the character that stands for invalid bytes.
    if text == Text::Damaged {
        return Err(ImageReject::SentAsText);
    }
    let (header, _) = object::pod::from_bytes::<FileHeader64<LittleEndian>>(start)
        .map_err(|()| ImageReject::Truncated)?;
    check_header(header)?;
    let mut plan = LoadPlan { entry: header.e_entry(LE), segments: Vec::new(), is_host: false };
    plan.segments.try_reserve_exact(SEGMENTS_MAX).map_err(|_| ImageReject::NoMemory)?;
    let mut notes = Notes { remaining_len: NOTES_LEN_MAX, version: None };
    let mut table = Excerpt::default();
    for (index, program_header) in program_headers(&mut table, file, header)?.iter().enumerate() {
        inspect(file, index, program_header, &mut plan.segments, &mut notes)?;
    }
    check_plan(&plan)?;
    plan.is_host = notes.version.ok_or(ImageReject::NoAbiNote)? == HOST_VERSION;
    Ok(plan)
}

/// Whether an ELF file says that it was built for this node, in whatever version: whatever else is
/// wrong with it, it is no other's program.
#[must_use]
pub fn has_note(file: &PageBuffer) -> bool {
    let file = File::Pages(file);
    let (mut start, mut table) = (Excerpt::default(), Excerpt::default());
    let start = start.read_up_to(file, size_of::<FileHeader64<LittleEndian>>());
    let Ok((header, _)) = object::pod::from_bytes::<FileHeader64<LittleEndian>>(start) else {
        return false;
    };
    let Ok(headers) = program_headers(&mut table, file, header) else { return false };
    let mut notes = Notes { remaining_len: NOTES_LEN_MAX, version: None };
    let is_note = |header: &&ProgramHeader64<LittleEndian>| header.p_type(LE) == elf::PT_NOTE;
    headers.iter().filter(is_note).any(|header| match notes.search(file, header) {
        Ok(()) => notes.version.is_some(),
        Err(reject) => matches!(reject, ImageReject::UnknownAbi(_)),
    })
}

/// What a file that is not ELF seems to be, as the end of a sentence.
fn what_else(start: &[u8], text: Text) -> &'static str {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"\0asm", "a WebAssembly module"),
        (b"PK\x03\x04", "a zip file"),
        (b"PK\x05\x06", "an empty zip file"),
        (b"\x1f\x8b", "a gzip file"),
        (b"#!", "a script"),
        (b"MZ", "a Windows executable"),
        (b"\xcf\xfa\xed\xfe", "a macOS executable"),
        (b"\xca\xfe\xba\xbe", "a Java class or macOS executable"),
    ];
    match KNOWN.iter().find(|(prefix, _)| start.starts_with(prefix)) {
        Some((_, name)) => name,
        None if start.is_empty() => "empty",
        None if text != Text::None => "text, perhaps source code",
        None => "something else",
    }
}

fn check_header(header: &FileHeader64<LittleEndian>) -> Result<(), ImageReject> {
    if !header.is_class_64() || !header.is_little_endian() {
        return Err(ImageReject::WrongClass);
    }
    if header.e_ident().version != elf::EV_CURRENT
        || header.e_version(LE) != u32::from(elf::EV_CURRENT.0)
        || usize::from(header.e_ehsize(LE)) != size_of::<FileHeader64<LittleEndian>>()
    {
        return Err(ImageReject::WrongVersion);
    }
    if header.e_machine(LE) != elf::EM_X86_64 {
        return Err(ImageReject::WrongMachine(header.e_machine(LE).0));
    }
    match header.e_type(LE) {
        elf::ET_EXEC => Ok(()),
        elf::ET_DYN => Err(ImageReject::PositionIndependent),
        other => Err(ImageReject::NotExecutable(other.0)),
    }
}

fn program_headers<'a>(
    table: &'a mut Excerpt,
    file: File<'_>,
    header: &FileHeader64<LittleEndian>,
) -> Result<&'a [ProgramHeader64<LittleEndian>], ImageReject> {
    // Also refuses PN_XNUM, behind which the number would be in a section header.
    let count = usize::from(header.e_phnum(LE));
    if count > PROGRAM_HEADERS_MAX {
        return Err(ImageReject::TooManyHeaders);
    }
    if count == 0 {
        return Err(ImageReject::NoSegment);
    }
    if usize::from(header.e_phentsize(LE)) != size_of::<ProgramHeader64<LittleEndian>>() {
        return Err(ImageReject::WrongVersion);
    }
    let len = count * size_of::<ProgramHeader64<LittleEndian>>();
    let bytes = table.read(file, header.e_phoff(LE), len).ok_or(ImageReject::Truncated)?;
    let (table, _) =
        object::pod::slice_from_bytes(bytes, count).map_err(|()| ImageReject::Truncated)?;
    Ok(table)
}

/// Judges one program header. Types that are not named are ignored: nothing is done with them.
fn inspect(
    file: File<'_>,
    index: usize,
    header: &ProgramHeader64<LittleEndian>,
    segments: &mut Vec<Segment>,
    notes: &mut Notes,
) -> Result<(), ImageReject> {
    match header.p_type(LE) {
        elf::PT_LOAD if header.p_memsz(LE) == 0 && header.p_filesz(LE) == 0 => Ok(()),
        elf::PT_LOAD => {
            let segment = segment(file, index, header)?;
            if let Some(previous) = segments.last() {
                check_order(previous, &segment)
                    .map_err(|problem| ImageReject::BadSegment { index, problem })?;
            }
            if segments.len() == SEGMENTS_MAX {
                return Err(ImageReject::TooManySegments);
            }
            segments.push(segment);
            Ok(())
        }
        elf::PT_INTERP | elf::PT_DYNAMIC => Err(ImageReject::Dynamic),
        elf::PT_GNU_STACK if header.p_flags(LE).contains(elf::PF_X) => {
            Err(ImageReject::ExecutableStack)
        }
        elf::PT_NOTE => notes.search(file, header),
        _ => Ok(()),
    }
}

/// Checks one loadable segment by itself.
fn segment(
    file: File<'_>,
    index: usize,
    header: &ProgramHeader64<LittleEndian>,
) -> Result<Segment, ImageReject> {
    let bad = |problem| Err(ImageReject::BadSegment { index, problem });
    let (file_offset, file_len) = header.file_range(LE);
    let (address, memory_len) = (header.p_vaddr(LE), header.p_memsz(LE));
    if file_offset.checked_add(file_len).is_none_or(|end| end > file.len() as u64) {
        return Err(ImageReject::Truncated);
    }
    if file_len > memory_len {
        return bad(SegmentProblem::FileLongerThanMemory);
    }
    let end = address.checked_add(memory_len);
    if address < IMAGE_START || end.is_none_or(|end| end > IMAGE_END) {
        return bad(SegmentProblem::OutOfRange);
    }
    let align = header.p_align(LE);
    if address % PAGE != file_offset % PAGE || !(align == 0 || align.is_power_of_two()) {
        return bad(SegmentProblem::Misaligned);
    }
    match protection(header.p_flags(LE)) {
        Ok(protection) => Ok(Segment { address, memory_len, file_offset, file_len, protection }),
        Err(problem) => bad(problem),
    }
}

/// Write-only and execute-only become readable too: x86-64 has no such pages without protection
/// keys.
fn protection(flags: elf::ProgramFlags) -> Result<Protection, SegmentProblem> {
    let has = |flag| flags.contains(flag);
    match (has(elf::PF_R), has(elf::PF_W), has(elf::PF_X)) {
        (_, true, true) => Err(SegmentProblem::WritableAndExecutable),
        (_, true, false) => Ok(Protection::ReadWrite),
        (_, false, true) => Ok(Protection::ReadExecute),
        (true, false, false) => Ok(Protection::Read),
        (false, false, false) => Err(SegmentProblem::Inaccessible),
    }
}

/// Segments ascend (gABI, "Program Header") and share no page, because a page has one protection.
fn check_order(previous: &Segment, next: &Segment) -> Result<(), SegmentProblem> {
    if next.address < previous.address {
        Err(SegmentProblem::NotAscending)
    } else if next.address / PAGE * PAGE < pages_end(previous) {
        Err(SegmentProblem::SharedPage)
    } else {
        Ok(())
    }
}

/// End of the last page of a segment. Cannot overflow: a segment ends at or below `IMAGE_END`.
fn pages_end(segment: &Segment) -> u64 {
    (segment.address + segment.memory_len).next_multiple_of(PAGE)
}

/// Checks the segments as a whole.
fn check_plan(plan: &LoadPlan) -> Result<(), ImageReject> {
    if plan.segments.is_empty() {
        return Err(ImageReject::NoSegment);
    }
    let pages_len = |segment| pages_end(segment) - segment.address / PAGE * PAGE;
    if plan.segments.iter().map(pages_len).sum::<u64>() > IMAGE_MEMORY_LEN_MAX {
        return Err(ImageReject::TooLarge);
    }
    let holds_entry = |segment: &Segment| {
        segment.protection == Protection::ReadExecute
            && plan.entry.checked_sub(segment.address).is_some_and(|at| at < segment.memory_len)
    };
    if plan.segments.iter().any(holds_entry) {
        Ok(())
    } else {
        Err(ImageReject::BadEntry(plan.entry))
    }
}

/// The search for the ABI note.
struct Notes {
    remaining_len: usize,
    /// The version that all notes agree on.
    version: Option<u32>,
}

impl Notes {
    /// Looks at all notes of a segment: linkers merge the notes of all objects into one segment,
    /// and two objects may have been built for different versions.
    fn search(
        &mut self,
        file: File<'_>,
        header: &ProgramHeader64<LittleEndian>,
    ) -> Result<(), ImageReject> {
        let (start, len) = header.file_range(LE);
        if start.checked_add(len).is_none_or(|end| end > file.len() as u64) {
            return Err(ImageReject::Truncated);
        }
        let len = usize::try_from(len).map_err(|_| ImageReject::BadNotes)?;
        self.remaining_len = self.remaining_len.checked_sub(len).ok_or(ImageReject::BadNotes)?;
        let mut excerpt = Excerpt::default();
        let data = excerpt.read(file, start, len).ok_or(ImageReject::Truncated)?;
        let notes =
            NoteIterator::<FileHeader64<LittleEndian>>::new(LE, header.p_align.get(LE), data);
        for note in notes.map_err(|_| ImageReject::BadNotes)? {
            let note = note.map_err(|_| ImageReject::BadNotes)?;
            if note.name() != NOTE_NAME.as_bytes() || note.n_type(LE).0 != NOTE_TYPE {
                continue;
            }
            let version = note.desc().try_into().map_err(|_| ImageReject::BadNotes)?;
            let version = u32::from_le_bytes(version);
            let is_known = [ABI_VERSION, HOST_VERSION].contains(&version);
            if !is_known || self.version.is_some_and(|other| other != version) {
                return Err(ImageReject::UnknownAbi(version));
            }
            self.version = Some(version);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

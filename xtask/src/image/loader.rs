//! Appending the payload to the UEFI loader, as a section of its PE file.
//!
//! Fields by the Microsoft PE format: file header, optional header of PE32+, section table.

const SECTION_HEADER_LEN: usize = 40;
const FILE_HEADER_LEN: usize = 24;
/// Sections begin at multiples of this in memory, and of [`FILE_ALIGNMENT`] in the file.
const MEMORY_ALIGNMENT: usize = 4096;
const FILE_ALIGNMENT: usize = 512;
/// Initialised data that can be read.
const CHARACTERISTICS: u32 = 0x4000_0040;

/// The program with a section `.payload` at its end, and that many bytes of padding in front of
/// it. `None` if it is no PE file with room in its section table.
pub fn append(program: &[u8], payload: &[u8], padding: usize) -> Option<Vec<u8>> {
    let word = |at: usize| Some(u32::from_le_bytes(*program.get(at..)?.first_chunk()?) as usize);
    let header = word(0x3c)?;
    let count_at = header + 6;
    let optional = header + FILE_HEADER_LEN;
    let (image_len_at, headers_len_at) = (optional + 56, optional + 60);
    let count = word(count_at)? & 0xffff;
    let table = optional + (word(header + 20)? & 0xffff);
    let entry = table + count * SECTION_HEADER_LEN;
    let room = program.get(entry..word(headers_len_at)?)?.get(..SECTION_HEADER_LEN)?;
    if program.get(header..header + 4)? != b"PE\0\0" || room.iter().any(|byte| *byte != 0) {
        return None;
    }
    let address = word(image_len_at)?.next_multiple_of(MEMORY_ALIGNMENT);
    let offset = program.len().next_multiple_of(FILE_ALIGNMENT) + padding;
    let len = payload.len().next_multiple_of(FILE_ALIGNMENT);

    let mut result = program.to_vec();
    let mut put =
        |at: usize, value: usize| super::put(&mut result, at, &(value as u32).to_le_bytes());
    put(entry + 8, payload.len());
    put(entry + 12, address);
    put(entry + 16, len);
    put(entry + 20, offset);
    put(entry + 36, CHARACTERISTICS as usize);
    put(image_len_at, (address + len).next_multiple_of(MEMORY_ALIGNMENT));
    super::put(&mut result, entry, b".payload");
    super::put(&mut result, count_at, &(count as u16 + 1).to_le_bytes());
    result.resize(offset, 0);
    result.extend_from_slice(payload);
    result.resize(offset + len, 0);
    Some(result)
}

//! What a crash record reads of the machine.

use core::fmt;

use x86_64::registers::control::{Cr0, Cr2, Cr3, Cr4};

use super::area;
use super::registers::Registers;
use memory::core_area;

unsafe extern "C" {
    static __build_id_start: u8;
    static __build_id_end: u8;
}

/// Type, name and their lengths, before the id itself (gABI, "Note Section").
const NOTE_HEADER_LEN: usize = 16;

/// The id the linker computed from this kernel: it names the one file that explains an address.
#[must_use]
pub fn build_id() -> BuildId {
    let start = &raw const __build_id_start;
    let len = (&raw const __build_id_end).addr() - start.addr();
    // SAFETY: the linker script puts both symbols around one read-only section.
    let note = unsafe { core::slice::from_raw_parts(start, len) };
    BuildId(note.get(NOTE_HEADER_LEN..).unwrap_or_default())
}

/// Prints as hexadecimal digits.
#[derive(Clone, Copy, Debug)]
pub struct BuildId(&'static [u8]);

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The registers of the action that stopped last on the calling core. `None` before the core has
/// its own tables.
#[must_use]
pub fn action_registers() -> Option<Registers> {
    if !core_area::is_mapped() {
        return None;
    }
    // SAFETY: the area is mapped and belongs to this core, whose entry code does not run now. The
    // copy makes no reference, so it does not matter who holds one.
    Some(unsafe { (&raw const (*area::entry_area()).registers).read() })
}

/// The control registers of the calling core.
#[derive(Clone, Copy, Debug)]
pub struct ControlRegisters {
    cr0: u64,
    cr2: u64,
    cr3: u64,
    cr4: u64,
}

impl ControlRegisters {
    /// Reads them.
    #[must_use]
    pub fn read() -> Self {
        let (root, flags) = Cr3::read_raw();
        Self {
            cr0: Cr0::read_raw(),
            cr2: Cr2::read_raw(),
            cr3: root.start_address().as_u64() | u64::from(flags),
            cr4: Cr4::read_raw(),
        }
    }
}

impl fmt::Display for ControlRegisters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cr0, cr2, cr3, cr4 } = self;
        write!(f, "cr0 {cr0:016x} cr2 {cr2:016x} cr3 {cr3:016x} cr4 {cr4:016x}")
    }
}

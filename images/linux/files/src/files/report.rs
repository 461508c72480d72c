//! The texts of `/proc`, written when they are opened. Formats: `proc(5)`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write;

use super::Files;
use crate::host::{Host, Region};
use crate::limits::{DESCRIPTORS_MAX, PAGE_LEN};
use crate::tree::Text;

const PAGE: u64 = PAGE_LEN as u64;
/// Clock ticks of `/proc` in a second (`USER_HZ`).
const TICK_NS: u64 = 10_000_000;
const SECOND_NS: u64 = 1_000_000_000;
/// Longest name of a process, without the final zero.
const COMMAND_NAME_LEN_MAX: usize = 15;
/// Where the name of a mapping begins in its line.
const MAP_NAME_COLUMN: usize = 73;

/// Appends to a text; writing to one cannot fail.
macro_rules! add {
    ($text:expr, $($argument:tt)*) => { let _ = write!($text, $($argument)*); };
}

impl Files<'_> {
    pub(super) fn report(&self, host: &mut dyn Host, text: Text) -> Box<[u8]> {
        let mut out = String::new();
        match text {
            Text::Maps => return maps(host).into_boxed_slice(),
            Text::CommandLine => return Box::from(host.command_line()),
            Text::Environment => return Box::from(host.environment()),
            Text::CommandName => {
                let mut name = name(host).to_vec();
                name.push(b'\n');
                return name.into_boxed_slice();
            }
            Text::Processors => return processors(host),
            Text::Status => self.status(host, &mut out),
            Text::ProcessStat => process_stat(host, &mut out),
            Text::ProcessMemory => {
                let memory = host.memory();
                let (mapped, resident) = (memory.mapped / PAGE, memory.resident / PAGE);
                add!(out, "{mapped} {resident} 0 0 0 {resident} 0\n");
            }
            Text::Limits => self.limits(&mut out),
            Text::MountList => self.mount_list(&mut out),
            Text::MountInfo => self.mount_info(&mut out),
            Text::Memory => memory(host, &mut out),
            Text::MachineStat => machine_stat(host, &mut out),
            Text::Uptime => {
                let uptime_ns = host.monotonic_ns();
                let (seconds, rest) = (uptime_ns / SECOND_NS, uptime_ns % SECOND_NS / TICK_NS);
                add!(out, "{seconds}.{rest:02} 0.00\n");
            }
            Text::Load => {
                add!(out, "0.00 0.00 0.00 1/{} {}\n", host.threads(), host.process_id());
            }
            Text::BootId | Text::Uuid => uuid(host, &mut out),
        }
        out.into_bytes().into_boxed_slice()
    }

    fn status(&self, host: &mut dyn Host, out: &mut String) {
        let (memory, id, threads) = (host.memory(), host.process_id(), host.threads());
        let name = String::from_utf8_lossy(name(host)).into_owned();
        let (user, group) = (self.tree.owner.user, self.tree.owner.group);
        add!(out, "Name:\t{name}\nUmask:\t{:04o}\nState:\tR (running)\n", self.mask);
        add!(out, "Tgid:\t{id}\nNgid:\t0\nPid:\t{id}\nPPid:\t0\nTracerPid:\t0\n");
        add!(out, "Uid:\t{user}\t{user}\t{user}\t{user}\n");
        add!(out, "Gid:\t{group}\t{group}\t{group}\t{group}\n");
        add!(
            out,
            "FDSize:\t{}\nGroups:\t{group} \n",
            self.table.slots().next_power_of_two().max(64)
        );
        let (mapped, resident) = (memory.mapped / 1024, memory.resident / 1024);
        for (key, value) in
            [("Peak", mapped), ("Size", mapped), ("HWM", resident), ("RSS", resident)]
        {
            add!(out, "Vm{key}:\t{value:8} kB\n");
        }
        add!(out, "Threads:\t{threads}\nSigQ:\t0/1024\nNoNewPrivs:\t1\nSeccomp:\t0\n");
        add!(out, "Cpus_allowed:\t1\nCpus_allowed_list:\t0\n");
        add!(out, "Mems_allowed:\t1\nMems_allowed_list:\t0\n");
    }

    fn limits(&self, out: &mut String) {
        let mut line = |name: &str, soft: &str, hard: &str, unit: &str| {
            add!(out, "{name:26}{soft:21}{hard:21}{unit:10}\n");
        };
        line("Limit", "Soft Limit", "Hard Limit", "Units");
        let mut text = [String::new(), String::new()];
        add!(text[0], "{}", self.table.limit);
        add!(text[1], "{DESCRIPTORS_MAX}");
        line("Max cpu time", "unlimited", "unlimited", "seconds");
        line("Max file size", "unlimited", "unlimited", "bytes");
        line("Max stack size", "8388608", "unlimited", "bytes");
        line("Max open files", &text[0], &text[1], "files");
        line("Max address space", "unlimited", "unlimited", "bytes");
    }

    fn mount_list(&self, out: &mut String) {
        for mount in &self.tree.mounts {
            let path = self.tree.path(mount.root).unwrap_or_default();
            let (path, kind) = (String::from_utf8_lossy(&path), mount.kind.name());
            let access = if mount.is_read_only { "ro" } else { "rw" };
            add!(out, "{kind} {path} {kind} {access},noatime 0 0\n");
        }
    }

    fn mount_info(&self, out: &mut String) {
        for (index, mount) in self.tree.mounts.iter().enumerate() {
            let path = self.tree.path(mount.root).unwrap_or_default();
            let (path, kind) = (String::from_utf8_lossy(&path), mount.kind.name());
            let access = if mount.is_read_only { "ro" } else { "rw" };
            let (id, parent) = (index + 20, if index == 0 { 1 } else { 20 });
            let minor = index + 1;
            add!(
                out,
                "{id} {parent} 0:{minor} / {path} {access},noatime - {kind} {kind} {access}\n"
            );
        }
    }
}

/// The last part of the executable's path, as long as names are.
fn name(host: &dyn Host) -> &[u8] {
    let path = host.executable();
    let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or(path);
    &name[..name.len().min(COMMAND_NAME_LEN_MAX)]
}

fn maps(host: &dyn Host) -> Vec<u8> {
    let mut out = Vec::new();
    host.regions(&mut |region: &Region<'_>| {
        let right =
            |bit: u32, letter: char| if region.protection & bit != 0 { letter } else { '-' };
        let (read, write, execute) = (right(1, 'r'), right(2, 'w'), right(4, 'x'));
        let shared = if region.is_shared { 's' } else { 'p' };
        let is_file = region.name.starts_with(b"/");
        let mut line = String::new();
        let (start, end, offset) = (region.start, region.end, region.offset);
        add!(line, "{start:08x}-{end:08x} {read}{write}{execute}{shared} {offset:08x} 00:01 ");
        add!(line, "{} ", u8::from(is_file));
        if !region.name.is_empty() {
            add!(line, "{:1$}", "", MAP_NAME_COLUMN.saturating_sub(line.len()));
        }
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(region.name);
        out.push(b'\n');
    });
    out
}

fn processors(host: &dyn Host) -> Box<[u8]> {
    let mut out = b"processor\t: 0\n".to_vec();
    out.extend_from_slice(host.processor());
    out.push(b'\n');
    out.into_boxed_slice()
}

/// `/proc/self/stat`: 52 fields, of which those that have a meaning here are filled in.
fn process_stat(host: &dyn Host, out: &mut String) {
    let (memory, id) = (host.memory(), host.process_id());
    let name = String::from_utf8_lossy(name(host)).into_owned();
    add!(out, "{id} ({name}) R 0 {id} {id} 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 ");
    let (mapped, resident) = (memory.mapped, memory.resident / PAGE);
    add!(out, "{} 0 0 {mapped} {resident} {}", host.threads(), u64::MAX);
    // From start_code on: addresses, signals, the processor, priorities.
    for _ in 26..=52 {
        out.push_str(" 0");
    }
    out.push('\n');
}

fn memory(host: &dyn Host, out: &mut String) {
    let memory = host.memory();
    let lines = [
        ("MemTotal", memory.total),
        ("MemFree", memory.available),
        ("MemAvailable", memory.available),
        ("Buffers", 0),
        ("Cached", 0),
        ("SwapCached", 0),
        ("Active", memory.resident),
        ("Inactive", 0),
        ("SwapTotal", 0),
        ("SwapFree", 0),
        ("Shmem", 0),
        ("Slab", 0),
        ("HugePages_Total", 0),
    ];
    for (key, bytes) in lines {
        let kib = bytes / 1024;
        let label_len = 16 - key.len() - 1;
        match key {
            "HugePages_Total" => {
                add!(out, "{key}:{kib:label_len$}\n");
            }
            _ => {
                add!(out, "{key}:{kib:width$} kB\n", width = label_len + 8);
            }
        }
    }
    add!(out, "Hugepagesize:       2048 kB\n");
}

fn machine_stat(host: &mut dyn Host, out: &mut String) {
    let ticks = host.monotonic_ns() / TICK_NS;
    let boot = host.realtime().seconds - (ticks * TICK_NS / SECOND_NS) as i64;
    let idle = "0 0 0 0 0 0 0";
    add!(out, "cpu  {ticks} 0 0 {idle}\ncpu0 {ticks} 0 0 {idle}\n");
    add!(out, "intr 0\nctxt 0\nbtime {boot}\nprocesses 1\nprocs_running 1\nprocs_blocked 0\n");
}

/// A random one: version 4 of RFC 9562, section 5.4.
fn uuid(host: &mut dyn Host, out: &mut String) {
    let mut bytes = [0; 16];
    host.random(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            out.push('-');
        }
        add!(out, "{byte:02x}");
    }
    out.push('\n');
}

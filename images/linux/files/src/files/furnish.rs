//! What is in every tree: `/dev`, `/etc`, `/proc`, `/sys`, `/tmp`.

use super::Files;
use crate::errno::Errno;
use crate::tree::{Base, Content, Device, Magic, MountKind, Node, Number, ROOT, Text};

const DEVICES: [(&[u8], Device); 7] = [
    (b"null", Device::Null),
    (b"zero", Device::Zero),
    (b"full", Device::Full),
    (b"random", Device::Random),
    (b"urandom", Device::Urandom),
    (b"tty", Device::Terminal),
    (b"hostkernel-freeze", Device::Freeze),
];

/// Links, by path and target.
const LINKS: [(&str, &[u8]); 7] = [
    ("/dev/fd", b"/proc/self/fd"),
    ("/dev/stdin", b"/proc/self/fd/0"),
    ("/dev/stdout", b"/proc/self/fd/1"),
    ("/dev/stderr", b"/proc/self/fd/2"),
    ("/proc/mounts", b"self/mounts"),
    ("/proc/thread-self", b"self"),
    ("/proc/self/root", b"/"),
];

const TEXTS: [(&str, Text); 17] = [
    ("/proc/self/maps", Text::Maps),
    ("/proc/self/cmdline", Text::CommandLine),
    ("/proc/self/comm", Text::CommandName),
    ("/proc/self/environ", Text::Environment),
    ("/proc/self/status", Text::Status),
    ("/proc/self/stat", Text::ProcessStat),
    ("/proc/self/statm", Text::ProcessMemory),
    ("/proc/self/limits", Text::Limits),
    ("/proc/self/mounts", Text::MountList),
    ("/proc/self/mountinfo", Text::MountInfo),
    ("/proc/cpuinfo", Text::Processors),
    ("/proc/meminfo", Text::Memory),
    ("/proc/stat", Text::MachineStat),
    ("/proc/uptime", Text::Uptime),
    ("/proc/loadavg", Text::Load),
    ("/proc/sys/kernel/random/boot_id", Text::BootId),
    ("/proc/sys/kernel/random/uuid", Text::Uuid),
];

/// Files that say the same everywhere.
const FIXED: [(&str, &[u8]); 20] = [
    ("/proc/version", b"Linux version 6.1.0 (hostkernel) #1 SMP\n"),
    ("/proc/filesystems", b"nodev\ttmpfs\nnodev\tproc\n"),
    ("/proc/self/cgroup", b"0::/\n"),
    ("/proc/self/oom_score_adj", b"0\n"),
    ("/proc/sys/kernel/osrelease", b"6.1.0\n"),
    ("/proc/sys/kernel/ostype", b"Linux\n"),
    ("/proc/sys/kernel/hostname", b"hostkernel\n"),
    ("/proc/sys/kernel/pid_max", b"4194304\n"),
    ("/proc/sys/kernel/ngroups_max", b"65536\n"),
    ("/proc/sys/kernel/cap_last_cap", b"40\n"),
    ("/proc/sys/vm/overcommit_memory", b"1\n"),
    ("/proc/sys/vm/max_map_count", b"65530\n"),
    ("/proc/sys/fs/pipe-max-size", b"1048576\n"),
    ("/proc/sys/net/core/somaxconn", b"4096\n"),
    ("/sys/kernel/mm/transparent_hugepage/enabled", b"always madvise [never]\n"),
    ("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", b"2097152\n"),
    ("/sys/devices/system/cpu/online", b"0\n"),
    ("/sys/devices/system/cpu/possible", b"0\n"),
    ("/sys/devices/system/cpu/present", b"0\n"),
    ("/sys/devices/system/node/online", b"0\n"),
];

/// Configuration of the C library. An archive at `/` may bring its own.
const CONFIGURATION: [(&str, &[u8]); 9] = [
    ("/etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n"),
    ("/etc/group", b"root:x:0:\nnogroup:x:65534:\n"),
    ("/etc/hosts", b"127.0.0.1\tlocalhost\n::1\tlocalhost\n"),
    ("/etc/hostname", b"hostkernel\n"),
    // No name server: a look-up fails at once instead of waiting for one.
    ("/etc/resolv.conf", b""),
    ("/etc/nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files\n"),
    ("/etc/services", b"http\t80/tcp\nhttps\t443/tcp\n"),
    ("/etc/localtime", UTC),
    ("/etc/os-release", b"ID=hostkernel\nNAME=hostkernel\nPRETTY_NAME=\"hostkernel\"\n"),
];

/// UTC as `tzfile(5)`, version 2: a header and a block in 32 bits, the same in 64, and the rule.
const UTC: &[u8] = b"TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\
    \0\0\0\0\0\0UTC\0\
    TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0\0\x04\
    \0\0\0\0\0\0UTC\0\nUTC0\n";

impl<'p> Files<'p> {
    pub(super) fn furnish(&mut self) -> Result<(), Errno> {
        let part = |files: &mut Self, path: &[u8], kind, is_read_only| {
            let root = files.make_directories(path)?;
            files.add_mount(kind, is_read_only, root)?;
            Ok::<Number, Errno>(root)
        };
        let devices = part(self, b"/dev", MountKind::Devices, true)?;
        for (name, device) in DEVICES {
            let mount = self.tree.inode(devices).mount;
            self.put(devices, name, Node::Device(device), 0o666, mount)?;
        }
        let shared = part(self, b"/dev/shm", MountKind::Memory, false)?;
        self.tree.inode_mut(shared).permissions = 0o1777;
        self.places.process = part(self, b"/proc", MountKind::Process, true)?;
        self.places.own = self.make_directories(b"/proc/self")?;
        part(self, b"/sys", MountKind::System, true)?;
        self.node("/proc/self/fd", Node::Descriptors, 0o500)?;
        self.node("/proc/self/exe", Node::Magic(Magic::Executable), 0o777)?;
        self.node("/proc/self/cwd", Node::Magic(Magic::WorkingDirectory), 0o777)?;
        for (path, target) in LINKS {
            self.node(path, Node::Link(target.into()), 0o777)?;
        }
        for (path, text) in TEXTS {
            self.node(path, Node::Text(text), 0o444)?;
        }
        for (path, text) in FIXED {
            self.node(path, Node::File(Content::new(Base::Stored(text))), 0o444)?;
        }
        for (path, text) in CONFIGURATION {
            self.node(path, Node::File(Content::new(Base::Stored(text))), 0o644)?;
        }
        let temporary = part(self, b"/tmp", MountKind::Memory, false)?;
        self.tree.inode_mut(temporary).permissions = 0o1777;
        self.tree.inode_mut(ROOT).permissions = 0o755;
        Ok(())
    }

    fn node(&mut self, path: &str, node: Node<'p>, permissions: u32) -> Result<(), Errno> {
        let (directory, name) = path.rsplit_once('/').ok_or(Errno::EINVAL)?;
        let directory = self.make_directories(directory.as_bytes())?;
        let mount = self.tree.inode(directory).mount;
        self.put(directory, name.as_bytes(), node, permissions, mount).map(drop)
    }
}

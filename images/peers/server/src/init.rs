//! What a Linux system needs before a program can serve: file systems, drivers, an address.

use std::fs::{self, File};
use std::io;
use std::net::Ipv4Addr;
use std::process::Command;

use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::wait::wait;
use nix::unistd::{chdir, chroot, dup2_stdin};

use crate::netlink;

/// Names of the drivers' files in the order in which they must be loaded.
const MODULES: &str = "/modules/order";
/// The one network card.
const CARD: &str = "eth0";
/// The word of the kernel's command line with the card's address, in the form hostkernel takes too:
/// `ip=ADDRESS::GATEWAY:NETMASK`. The gateway is of no use here; of several words the first counts.
const ADDRESS_WORD: &str = "ip=";

/// File systems: where, kind, options.
const FILE_SYSTEMS: [(&str, &str, Option<&str>); 5] = [
    ("/proc", "proc", None),
    ("/sys", "sysfs", None),
    ("/dev", "devtmpfs", None),
    ("/run", "tmpfs", Some("mode=0755")),
    ("/sys/fs/cgroup", "cgroup2", None),
];

/// Prepares the system, starts the server and collects orphans until the machine is switched off.
///
/// When this returns, the kernel panics and says so on the console.
pub fn run() -> io::Result<()> {
    make_root_movable()?;
    for (path, kind, options) in FILE_SYSTEMS {
        fs::create_dir_all(path)?;
        mount(Some(kind), path, Some(kind), MsFlags::empty(), options)?;
    }
    dup2_stdin(File::open("/dev/null")?)?;
    load_modules()?;
    set_address(&fs::read_to_string("/proc/cmdline")?)?;
    let server = Command::new("/proc/self/exe").spawn()?.id();
    loop {
        match wait() {
            // Containers leave processes behind whose parents have ended: nothing to do for them.
            Ok(ended) if ended.pid().is_none_or(|pid| pid.as_raw().unsigned_abs() != server) => {}
            Ok(ended) => return Err(io::Error::other(format!("the server has ended: {ended:?}"))),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The first root cannot be exchanged by `pivot_root`, which is how containers get theirs. The same
/// files mounted once more can.
fn make_root_movable() -> io::Result<()> {
    const NOTHING: Option<&str> = None;
    const NEW_ROOT: &str = "/root";
    fs::create_dir_all(NEW_ROOT)?;
    mount(Some("/"), NEW_ROOT, NOTHING, MsFlags::MS_BIND, NOTHING)?;
    chdir(NEW_ROOT)?;
    mount(Some("."), "/", NOTHING, MsFlags::MS_MOVE, NOTHING)?;
    chroot(".")?;
    Ok(())
}

fn load_modules() -> io::Result<()> {
    for name in fs::read_to_string(MODULES)?.lines() {
        let file = File::open(format!("/modules/{name}"))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            // A driver for another processor than this one, whose own may be there already.
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENODEV | Errno::EEXIST) => {}
            Err(error) => return Err(io::Error::other(format!("module {name}: {error}"))),
        }
    }
    Ok(())
}

fn set_address(command_line: &str) -> io::Result<()> {
    let word = command_line.split_whitespace().find_map(|word| word.strip_prefix(ADDRESS_WORD));
    let (address, prefix) = word.and_then(parse_address).ok_or_else(|| {
        io::Error::other(format!("no {ADDRESS_WORD}A.B.C.D::G.G.G.G:M.M.M.M on the command line"))
    })?;
    let index = fs::read_to_string(format!("/sys/class/net/{CARD}/ifindex"))?;
    let index = index.trim().parse().map_err(io::Error::other)?;
    netlink::set_up(index, address, prefix)
}

/// Address and length of the prefix.
fn parse_address(word: &str) -> Option<(Ipv4Addr, u8)> {
    let mut fields = word.split(':');
    let address = fields.next()?.parse().ok()?;
    let mask: Ipv4Addr = fields.nth(2)?.parse().ok()?;
    Some((address, u8::try_from(mask.to_bits().leading_ones()).ok()?))
}

//! The description of a virtual machine, and how it becomes a QEMU command line.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::media::{Drive, Firmware, Medium};
use super::node::Place;
use super::plan::Plan;
use super::{Accelerator, Engine, NODE_PORT, Node, QemuError, Tap};
use crate::prerequisites::find_ovmf;

/// How often another free port is tried when somebody else was quicker.
const FREE_PORT_ATTEMPTS: u32 = 8;

/// QEMU's machine types that the kernel supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MachineKind {
    /// PCI Express, the default.
    #[default]
    Q35,
    /// Conventional PCI, as old clouds show it.
    Pc,
    /// No PCI: virtio over MMIO, found through ACPI.
    Microvm,
    /// PCI Express that is reached through memory alone, and no firmware that sets it up.
    MicrovmPci,
}

impl MachineKind {
    /// The name QEMU and people use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Q35 => "q35",
            Self::Pc => "pc",
            Self::Microvm => "microvm",
            Self::MicrovmPci => "microvm-pci",
        }
    }

    const fn default_nic(self) -> &'static str {
        match self {
            Self::Q35 | Self::Pc | Self::MicrovmPci => "virtio-net-pci",
            Self::Microvm => "virtio-net-device",
        }
    }

    /// Whether the machine has a place for this network card, a QEMU device with its properties:
    /// those that virtio makes without PCI are called `…-device`.
    #[must_use]
    pub fn takes(self, nic: &str) -> bool {
        let name = nic.split(',').next().unwrap_or_default();
        name.ends_with("-device") == (self == Self::Microvm)
    }
}

impl FromStr for MachineKind {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "q35" => Ok(Self::Q35),
            "pc" => Ok(Self::Pc),
            "microvm" => Ok(Self::Microvm),
            "microvm-pci" => Ok(Self::MicrovmPci),
            _ => Err("expected q35, pc, microvm or microvm-pci".to_owned()),
        }
    }
}

/// How the machine reaches the network.
#[derive(Clone, Debug, Default)]
pub enum Network {
    /// Without a network card.
    None,
    /// QEMU's user-mode network.
    #[default]
    User,
    /// A network of QEMU's with its properties, without `id`. Nobody knows the node's address.
    Other(String),
    /// A tap device. The node is at [`Tap::NODE`], for threads in the tap's namespace; ports are
    /// not forwarded.
    Tap(Tap),
}

/// Where the kernel comes from.
#[derive(Clone, Debug)]
enum Boot {
    /// QEMU loads this file.
    Kernel(PathBuf),
    /// Firmware starts an image.
    Medium(Medium),
}

/// A virtual machine that is not running yet. The setters return the machine, so that a
/// description reads as one expression.
#[derive(Clone, Debug)]
pub struct Machine {
    boot: Boot,
    kind: MachineKind,
    cores: u32,
    memory_mib: u32,
    accelerator: Accelerator,
    cpu: Option<String>,
    words: Vec<String>,
    network: Network,
    nic: Option<String>,
    bridges: Vec<String>,
    port: u16,
    node_port: u16,
    forwards: Vec<(u16, u16)>,
    gdb_port: Option<u16>,
    capture: Option<PathBuf>,
    bundle: Option<PathBuf>,
    files: Vec<(String, PathBuf)>,
    debug_exit: bool,
    reboots: bool,
    arguments: Vec<OsString>,
}

impl Machine {
    /// A q35 machine with 2 cores and 512 MiB, reachable at a free port of 127.0.0.1.
    pub fn new(kernel: impl Into<PathBuf>) -> Self {
        Self::starting(Boot::Kernel(kernel.into()))
    }

    /// The same machine with an image in a drive, and firmware that starts it.
    pub fn with_image(image: impl Into<PathBuf>, drive: Drive, firmware: Firmware) -> Self {
        Self::starting(Boot::Medium(Medium { image: image.into(), drive, firmware }))
    }

    fn starting(boot: Boot) -> Self {
        Self {
            boot,
            kind: MachineKind::default(),
            cores: 2,
            memory_mib: 512,
            accelerator: Accelerator::default(),
            cpu: None,
            words: Vec::new(),
            network: Network::default(),
            nic: None,
            bridges: Vec::new(),
            port: 0,
            node_port: NODE_PORT,
            forwards: Vec::new(),
            gdb_port: None,
            capture: None,
            bundle: None,
            files: Vec::new(),
            debug_exit: false,
            reboots: false,
            arguments: Vec::new(),
        }
    }

    /// Machine type.
    #[must_use]
    pub fn kind(mut self, kind: MachineKind) -> Self {
        self.kind = kind;
        self
    }

    /// Number of processor cores.
    #[must_use]
    pub fn cores(mut self, cores: u32) -> Self {
        self.cores = cores;
        self
    }

    /// Amount of memory in MiB.
    #[must_use]
    pub fn memory_mib(mut self, memory_mib: u32) -> Self {
        self.memory_mib = memory_mib;
        self
    }

    /// Which engine runs the instructions.
    #[must_use]
    pub fn accelerator(mut self, accelerator: Accelerator) -> Self {
        self.accelerator = accelerator;
        self
    }

    /// QEMU's processor model with flags. The default shows all the engine can do.
    #[must_use]
    pub fn cpu(mut self, model: impl Into<String>) -> Self {
        self.cpu = Some(model.into());
        self
    }

    /// Appends words to the kernel's command line. An image has its own.
    #[must_use]
    pub fn kernel_words(mut self, words: impl Into<String>) -> Self {
        self.words.push(words.into());
        self
    }

    /// Network.
    #[must_use]
    pub fn network(mut self, network: Network) -> Self {
        self.network = network;
        self
    }

    /// Network card, a QEMU device with its properties, without `netdev`. A machine type without a
    /// place for it keeps its own, see [`MachineKind::takes`].
    #[must_use]
    pub fn nic(mut self, device: impl Into<String>) -> Self {
        self.nic = Some(device.into());
        self
    }

    /// A device that must be there before the network card, which hangs on it: a bridge, a QEMU
    /// device with its properties.
    #[must_use]
    pub fn bridge(mut self, device: impl Into<String>) -> Self {
        self.bridges.push(device.into());
        self
    }

    /// The port of 127.0.0.1 at which the node's HTTP port appears. 0 chooses a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Says at which port the node serves, for settings that name another than the usual one.
    #[must_use]
    pub fn node_port(mut self, port: u16) -> Self {
        self.node_port = port;
        self
    }

    /// Forwards another port of 127.0.0.1 to a port of the node.
    #[must_use]
    pub fn forward(mut self, host_port: u16, node_port: u16) -> Self {
        self.forwards.push((host_port, node_port));
        self
    }

    /// Waits before the first instruction for a debugger on this port of 127.0.0.1.
    #[must_use]
    pub fn gdb(mut self, port: u16) -> Self {
        self.gdb_port = Some(port);
        self
    }

    /// Records every frame the card sends and receives in a pcap file.
    #[must_use]
    pub fn capture(mut self, file: impl Into<PathBuf>) -> Self {
        self.capture = Some(file.into());
        self
    }

    /// Boots with this file beside the kernel: a boot bundle.
    #[must_use]
    pub fn bundle(mut self, file: impl Into<PathBuf>) -> Self {
        self.bundle = Some(file.into());
        self
    }

    /// Hands over a file by `fw_cfg`, under this name below `opt/org.hostkernel/`.
    #[must_use]
    pub fn file(mut self, name: &str, file: impl Into<PathBuf>) -> Self {
        self.files.push((name.to_owned(), file.into()));
        self
    }

    /// Lets the kernel end QEMU with a status of its choice, as the in-kernel tests do.
    #[must_use]
    pub fn debug_exit(mut self) -> Self {
        self.debug_exit = true;
        self
    }

    /// Lets a reset start the kernel again. Without this a reset, also one by triple fault, ends
    /// QEMU, so that a boot loop cannot look like a slow boot.
    #[must_use]
    pub fn reboots(mut self) -> Self {
        self.reboots = true;
        self
    }

    /// Appends an argument to QEMU's command line as it is.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Whether this computer could boot the machine at this moment: for those who want to know
    /// before they spend time on building a kernel.
    ///
    /// # Errors
    /// [`QemuError::NoKvm`] or [`QemuError::PortTaken`].
    pub fn check(&self) -> Result<(), QemuError> {
        self.accelerator.resolve()?;
        if self.port != 0 && TcpListener::bind(("127.0.0.1", self.port)).is_err() {
            return Err(QemuError::PortTaken { port: self.port });
        }
        Ok(())
    }

    /// Starts QEMU. Returns as soon as the machine runs, long before the node is ready.
    ///
    /// # Errors
    /// See [`QemuError`]; among them a missing QEMU or kernel, a taken port, and QEMU refusing the
    /// machine.
    pub fn boot(self) -> Result<Node, QemuError> {
        self.check()?;
        let firmware = match &self.boot {
            Boot::Kernel(file) | Boot::Medium(Medium { image: file, .. }) if !file.is_file() => {
                return Err(QemuError::NoKernel(file.clone()));
            }
            Boot::Medium(Medium { firmware: Firmware::Uefi, .. }) => {
                Some(find_ovmf().ok_or(QemuError::NoOvmf)?)
            }
            _ => None,
        };
        let firmware = firmware.as_deref();
        let engine = self.accelerator.resolve()?;
        let start = |port: u16| Node::start(&self.plan(engine, port, firmware), self.place(port));
        let is_forwarded = matches!(self.network, Network::User);
        if self.port != 0 || !is_forwarded {
            return start(self.port);
        }
        // Between choosing a free port and QEMU's taking it, another process may be quicker.
        let mut attempts = 0;
        loop {
            attempts += 1;
            let port = free_port().map_err(|cause| QemuError::Spawn { cause })?;
            match start(port) {
                Err(QemuError::PortTaken { .. }) if attempts < FREE_PORT_ATTEMPTS => {}
                result => return result,
            }
        }
    }

    /// Where the node will be, if `port` is forwarded to it.
    fn place(&self, port: u16) -> Option<Place> {
        match &self.network {
            Network::None | Network::Other(_) => None,
            Network::User => {
                Some(Place { address: ([127, 0, 0, 1], port).into(), namespace: None })
            }
            Network::Tap(tap) => Some(Place {
                address: SocketAddr::from((Tap::NODE, self.node_port)),
                namespace: Some(tap.namespace().clone()),
            }),
        }
    }

    /// QEMU's arguments, without those that connect its streams to us.
    fn plan(&self, engine: Engine, port: u16, firmware: Option<&Path>) -> Plan {
        let mut plan = Plan::default();
        let machine = match self.kind {
            // Without ACPI there would be no power button and no list of cores.
            MachineKind::Microvm => "microvm,acpi=on",
            MachineKind::MicrovmPci => "microvm,acpi=on,pcie=on",
            kind => kind.name(),
        };
        plan.option("-machine", machine);
        plan.option("-accel", engine.name());
        plan.option("-cpu", self.cpu.as_deref().unwrap_or(engine.default_cpu()));
        plan.option("-smp", self.cores.to_string());
        plan.option("-m", format!("{}M", self.memory_mib));
        plan.flag("-nodefaults");
        plan.flag("-no-user-config");
        plan.option("-display", "none");
        if !self.reboots {
            plan.flag("-no-reboot");
        }
        match &self.boot {
            Boot::Kernel(file) => plan.option("-kernel", file),
            Boot::Medium(medium) => medium.plan(firmware, &mut plan),
        }
        let mut words = self.words.clone();
        if let Network::Tap(_) = self.network {
            // At the front: of two addresses the kernel takes the last one.
            words.insert(0, Tap::kernel_word());
        }
        if !words.is_empty() && matches!(self.boot, Boot::Kernel(_)) {
            plan.option("-append", words.join(" "));
        }
        if let Some(file) = &self.bundle {
            plan.option("-initrd", file);
        }
        for (name, file) in &self.files {
            let name = format!("name=opt/org.hostkernel/{name},file=");
            plan.option("-fw_cfg", with_file(&name, file));
        }
        self.plan_network(&mut plan, port);
        if self.debug_exit {
            plan.option("-device", "isa-debug-exit,iobase=0xf4,iosize=4");
        }
        if let Some(port) = self.gdb_port {
            plan.option("-gdb", format!("tcp:127.0.0.1:{port}"));
            plan.flag("-S");
        }
        plan.arguments.extend(self.arguments.iter().cloned());
        plan
    }

    fn plan_network(&self, plan: &mut Plan, port: u16) {
        let netdev = match &self.network {
            Network::None => return,
            Network::User => self.user_netdev(port),
            Network::Other(netdev) => format!("{netdev},id=net0"),
            Network::Tap(tap) => tap.netdev("net0"),
        };
        let nic = self.nic.as_deref().filter(|nic| self.kind.takes(nic));
        let nic = nic.unwrap_or(self.kind.default_nic());
        // Without option ROM: nobody boots from this network, and the ROM is a package of its own.
        let rom = if self.kind == MachineKind::Microvm { "" } else { ",romfile=" };
        plan.option("-netdev", netdev);
        self.bridges.iter().for_each(|bridge| plan.option("-device", bridge));
        plan.option("-device", format!("{nic},netdev=net0{rom}"));
        if let Some(file) = &self.capture {
            plan.option("-object", with_file("filter-dump,id=pcap,netdev=net0,file=", file));
        }
    }

    /// QEMU's user-mode network with its forwarded ports.
    fn user_netdev(&self, port: u16) -> String {
        let mut user = "user,id=net0".to_owned();
        for (host_port, node_port) in [(port, self.node_port)].iter().chain(&self.forwards) {
            user.push_str(&format!(",hostfwd=tcp:127.0.0.1:{host_port}-:{node_port}"));
        }
        user
    }
}

/// An option that ends with a file. A comma separates QEMU's options; doubled it stands for itself.
fn with_file(option: &str, file: &Path) -> String {
    format!("{option}{}", file.to_string_lossy().replace(',', ",,"))
}

/// A port of 127.0.0.1 that nobody listens on at this moment.
///
/// # Errors
/// If there is none.
pub fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::super::TapError;
    use super::*;

    fn words(machine: &Machine, port: u16) -> String {
        let plan = machine.plan(Engine::Tcg, port, None);
        let words: Vec<_> = plan.arguments.iter().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn the_default_is_a_q35_with_one_forwarded_port() {
        let words = words(&Machine::new("k.elf"), 4000);
        assert!(words.contains("-machine q35 -accel tcg -cpu max -smp 2 -m 512M"), "{words}");
        assert!(words.contains("user,id=net0,hostfwd=tcp:127.0.0.1:4000-:3233 "), "{words}");
        assert!(words.contains("-device virtio-net-pci,netdev=net0,romfile="), "{words}");
        assert!(!words.contains("-append"), "{words}");
    }

    #[test]
    fn microvm_keeps_acpi_and_has_its_own_card() {
        let words = words(&Machine::new("k.elf").kind(MachineKind::Microvm), 1);
        assert!(words.contains("-machine microvm,acpi=on"), "{words}");
        assert!(words.ends_with("-device virtio-net-device,netdev=net0"), "{words}");
    }

    #[test]
    fn a_card_goes_where_there_is_a_place_for_it() {
        use MachineKind::{Microvm, Pc, Q35};
        let on = |kind| words(&Machine::new("k.elf").kind(kind).nic("e1000e,mac=52:54:0:0:0:9"), 1);
        for kind in [Q35, Pc] {
            let words = on(kind);
            assert!(words.contains("-device e1000e,mac=52:54:0:0:0:9,netdev=net0"), "{words}");
        }
        assert!(on(Microvm).contains("-device virtio-net-device,netdev=net0"));
        assert!(Microvm.takes("virtio-net-device") && !Q35.takes("virtio-net-device,mq=on"));
    }

    #[test]
    fn every_option_reaches_qemu() {
        let machine = Machine::new("k.elf")
            .cpu("qemu64,+smep")
            .kernel_words("ip=dhcp")
            .kernel_words("log=json")
            .forward(99, 98)
            .gdb(1234)
            .capture("a,b.pcap")
            .bundle("c,d.cpio")
            .file("config", "e,f")
            .debug_exit()
            .bridge("pcie-root-port,id=r")
            .nic("virtio-net-pci,bus=r")
            .argument("-icount")
            .argument("shift=0");
        let words = words(&machine, 1);
        for expected in [
            "-cpu qemu64,+smep",
            "-append ip=dhcp log=json",
            "hostfwd=tcp:127.0.0.1:99-:98",
            "-gdb tcp:127.0.0.1:1234 -S",
            "-initrd c,d.cpio -fw_cfg name=opt/org.hostkernel/config,file=e,,f",
            "-object filter-dump,id=pcap,netdev=net0,file=a,,b.pcap",
            "-device isa-debug-exit,iobase=0xf4,iosize=4",
            "-device pcie-root-port,id=r -device virtio-net-pci,bus=r,netdev=net0",
            "-no-reboot",
            "-icount shift=0",
        ] {
            assert!(words.contains(expected), "{expected} not in {words}");
        }
    }

    #[test]
    fn an_image_takes_the_place_of_the_kernel() {
        let machine = Machine::with_image("a,b.img", Drive::Usb, Firmware::Bios);
        let words = words(&machine, 1);
        assert!(
            words.contains("format=raw,snapshot=on,file=a,,b.img -device qemu-xhci"),
            "{words}"
        );
        assert!(words.contains("-device usb-storage,drive=image,bootindex=0"), "{words}");
        assert!(!words.contains("-kernel") && !words.contains("-bios"), "{words}");
    }

    #[test]
    fn a_machine_without_network_has_no_card() {
        assert!(!words(&Machine::new("k.elf").network(Network::None), 0).contains("net0"));
    }

    #[test]
    fn a_tap_replaces_forwarded_ports_and_gives_the_node_its_address() {
        let tap = match Tap::new() {
            Err(error @ TapError::NeedsRoot) => return eprintln!("skipped: {error}"),
            result => result.expect("a tap device").netdev_properties("vhost=off"),
        };
        let words = words(&Machine::new("k.elf").network(Network::Tap(tap)).kernel_words("x=y"), 1);
        for expected in [
            "-append ip=10.77.0.2::10.77.0.1:255.255.255.0 x=y",
            "-netdev tap,id=net0,ifname=tap0,script=no,downscript=no,vhost=off ",
            "-device virtio-net-pci,netdev=net0",
        ] {
            assert!(words.contains(expected), "{expected} not in {words}");
        }
        assert!(!words.contains("hostfwd"), "{words}");
    }

    #[test]
    fn a_taken_port_is_named() {
        let holder = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = holder.local_addr().expect("an address").port();
        let error = Machine::new("/proc/self/exe").port(port).boot().expect_err("taken");
        assert!(matches!(error, QemuError::PortTaken { port: named } if named == port));
    }
}

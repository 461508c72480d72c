//! The boot order, on one page.
#![forbid(unsafe_code)]

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use spin::Once;

use crate::arch::cpu::Features;
use crate::arch::essentials::Missing;
use crate::arch::interrupt::{self, Arrived};
use crate::arch::trap::{self, Upward};
use crate::arch::{self, apic, clock, machine_check, vector};
use crate::boot::actions::deploy_all;
use crate::boot::{acpi, smp, sources};
use crate::device::fw_cfg::FwCfg;
use crate::device::{mmio, pci, power, probe, screen, serial, time};
use crate::front::Front;
use crate::handover::BootInfo;
use crate::platform::Signal;
use crate::platform::starting::Role;
use crate::worker::{Worker, go_on};
use crate::{console, crash, entropy};
use limits::{MEMORY_LEN_MIN, QUEUES_HEAP_DIVISOR};
use memory::module::{BootModule, TooLong};
use memory::{frames, heap, kernel_map};
use node::api::Boot;
use node::bundle::Bundle;
use node::dispatch::{Dispatcher, Patience};
use node::mitigation::{self, Mode, Report};
use node::serve::Service;
use node::settings::{Server, Settings};

/// When the first node was built: 2026-01-01. A clock that shows less was never set.
const OLDEST_TIME_S: u64 = 1_767_225_600;

static BOOT: Once<(&BootInfo, Features)> = Once::new();
static SETTINGS: Once<Settings> = Once::new();
static MITIGATIONS: Once<Report> = Once::new();
static DISPATCHER: Once<Dispatcher> = Once::new();

fn boot() -> (&'static BootInfo, &'static Features) {
    let (info, features) = BOOT.get().expect("core 0 sets this before anything else");
    (info, features)
}

/// Core 0, on the boot stack and the first page tables.
pub(crate) fn start(info: &'static BootInfo) -> ! {
    clock::start();
    let (exception, machine, is_survived) = (crash::exception, crash::machine, crash::is_survived);
    trap::set_upward(Upward { exception, machine, is_survived });
    serial::initialise();
    console::initialise();
    // What the command line wants is known when its turn comes; so much of it is for all lines.
    console::set_format(Settings::early_log_format(info.command_line().unwrap_or_default()));
    log::info!("hostkernel {}", env!("CARGO_PKG_VERSION"));
    screen::find(info);
    if let Some(missing) = Missing::detect() {
        refuse(missing);
    }
    let memory_len = info.memory.bytes();
    if memory_len < MEMORY_LEN_MIN as u64 {
        let (found, least) = (memory_len >> 20, MEMORY_LEN_MIN >> 20);
        refuse(format_args!("too little memory: {found} MiB, and at least {least} are needed"));
    }
    let features = Features::detect();
    BOOT.call_once(|| (info, features));
    kernel_map::build(info.layout(), features.huge_pages)
        .expect("a machine has memory for page tables");
    screen::map();
    let tables = arch::area::new_core(0).expect("a machine has memory for its first core");
    arch::switch_to_own_tables(tables, start_on_own_tables)
}

/// Core 0, on its own tables and stack.
extern "C" fn start_on_own_tables() -> ! {
    let (info, features) = boot();
    arch::initialise_core(features);
    screen::open();
    kernel_map::add_high_memory(info.layout());
    heap::initialise().expect("a machine has memory for the heap");
    log::info!("memory: {} MiB, heap {} MiB", frames::installed() >> 8, heap::len() >> 20);
    log::info!("processor: {features}");
    let mut platform = acpi::read(info.rsdp);
    if platform.virtio.is_empty() {
        let named = mmio::named(info.command_line().unwrap_or_default());
        let with_line = |(address, line)| (address, platform.line(line, Signal::TRANSPORT));
        platform.virtio = named.map(with_line).collect();
    }
    arch::initialise_interrupts(features);
    match clock::calibrate(features, platform.timer_port) {
        Ok((hz, source)) => log::info!("clock: {} MHz, {source}", hz / 1_000_000),
        Err(reason) => refuse(reason),
    }
    set_wall_clock(platform.century);
    let free = info.layout().ranges;
    let (memory, ports) = (pci::Memory::of(&platform.ecam, free), pci::Ports);
    let mut functions = pci::functions(&memory, &ports);
    pci::place(&platform, functions.all(), free);
    let need = !entropy::has_processor();
    entropy::initialise(probe::entropy(&mut functions, &platform, need));
    power::initialise(&platform);
    let module = BootModule::take(info.layout());
    let bundle = match &module {
        Ok(module) => module.as_ref().map(|module| Bundle::read(module.bytes())),
        Err(TooLong) => Some(Bundle::too_long()),
    };
    let fw_cfg = FwCfg::find();
    let settings = SETTINGS.call_once(|| read_settings(info, bundle.as_ref(), fw_cfg.as_ref()));
    info.log_memory();
    let mitigations = MITIGATIONS.call_once(|| decide_mitigations(settings));
    arch::mitigation::enable(&mitigations.plan);
    #[cfg(feature = "selftest")]
    platform.processors.insert(0, crate::selftest::ABSENT_PROCESSOR);
    // The front's core first; the others wait for the dispatcher before they serve it.
    let (cores_max, hyperthreads) = (settings.cores_max, settings.hyperthreads);
    let cores = smp::start_others(info, &platform.processors, cores_max, hyperthreads, start_core);
    log::info!("cores: {cores} of {}", platform.processors.len().max(1));
    frames::hold_back_for(cores);
    let workers: Vec<usize> = if cores == 1 { vec![0] } else { (1..cores).collect() };
    let room = heap::len() / QUEUES_HEAP_DIVISOR;
    let queue_len =
        Dispatcher::queue_len(settings.queue_len, workers.len(), room, Service::INVOCATION_LEN);
    log::info!("queues: {queue_len} invocations for each of {} workers", workers.len());
    let dispatcher = DISPATCHER.call_once(|| {
        Dispatcher::new(&workers, 0, queue_len, |core| {
            apic::send(smp::apic_id(core), vector::WAKE);
        })
    });
    (1..cores).for_each(|core| apic::send(smp::apic_id(core), vector::WAKE));
    #[cfg(feature = "selftest")]
    crate::selftest::run(dispatcher, cores);
    let nic = probe::network_card(&mut functions, &platform).unwrap_or_else(|error| refuse(error));
    let runs_actions = cores == 1 || settings.shared_front;
    let frames_later = module.iter().flatten().map(BootModule::frames).sum();
    let front =
        Front::new(nic, settings, dispatcher, runs_actions, frames_later, |node, wall_ms| {
            node.set_mitigations(*mitigations);
            node.set_boot_times(clock::before_start(info.loader_start()));
            // Of this core's own: it serves nobody yet.
            let mut worker = None;
            let mut run =
                |invocation| worker.get_or_insert_with(Worker::new).run(invocation, &mut go_on);
            let mut boot = Boot { wall_ms, run: &mut run };
            deploy_all(node, bundle.as_ref(), fw_cfg.as_ref(), &mut boot);
        });
    drop(bundle);
    drop(module);
    front.serve()
}

/// Says, wherever somebody may read it, why this machine cannot be a node.
fn refuse(reason: impl fmt::Display) -> ! {
    log::error!("{reason}. This machine cannot serve, and halts");
    screen::status(format_args!("halted: this machine cannot serve"));
    screen::open();
    interrupt::halt_forever()
}

fn set_wall_clock(century: Option<u8>) {
    time::initialise(century);
    match time::told() {
        Some((ns, source)) => {
            clock::set_wall(ns);
            log::info!("wall clock: set by {source}");
            if ns < OLDEST_TIME_S * 1_000_000_000 {
                log::warn!("wall clock: before this software was written; is a battery empty?");
            }
        }
        None => log::warn!("no wall clock: until a time server answers, records carry no times"),
    }
}

/// Does not return if serving with these settings could let somebody in who should not be, or show
/// another node than was meant.
fn read_settings(info: &BootInfo, bundle: Option<&Bundle<'_>>, fw_cfg: Option<&FwCfg>) -> Settings {
    let loaded = sources::read(info, bundle, fw_cfg);
    log::set_max_level(loaded.settings.log_level);
    console::set_format(loaded.settings.log_format);
    if loaded.settings.log_server != Server::Nobody {
        console::open_syslog();
    }
    log::info!("configuration: {}", loaded.origin());
    loaded.problems.iter().for_each(|problem| log::error!("{problem}"));
    if loaded.is_refused {
        log::error!(
            "what this node is to be, or to whom, is not clear: it does not serve, and halts"
        );
        interrupt::halt_forever();
    }
    let settings = loaded.settings;
    crash::halt_after_crash(settings.halt_after_crash);
    crash::survive_nmi(settings.survives_nmi);
    if settings.crash_call {
        log::warn!("hostkernel.debug=crash: every action can crash this node");
        node::call::crash::enable();
    }
    settings
}

/// What is done about this processor's leaks. Does not return if the operator would rather have no
/// node.
fn decide_mitigations(settings: &Settings) -> Report {
    let words = arch::mitigation::words();
    let threads = arch::mitigation::threads(settings.hyperthreads);
    let report = mitigation::decide(&words, settings.mitigations, threads);
    let is_warning = report.needs_microcode() || report.mode == Mode::Off;
    let level = if is_warning { log::Level::Warn } else { log::Level::Info };
    log::log!(level, "mitigations: {report}");
    log::debug!("mitigations: {words:x?}");
    for (leak, state) in report.leaks() {
        log::debug!("mitigations: {}: {state}", leak.name());
    }
    if report.is_refused() {
        refuse("hostkernel.mitigations=strict, and this processor leaks");
    }
    report
}

/// A further core, on its own tables and stack.
fn start_core() -> ! {
    let (_, features) = boot();
    arch::initialise_core(features);
    arch::initialise_interrupts(features);
    let mitigations = MITIGATIONS.get().expect("core 0 sets this before it starts another core");
    arch::mitigation::enable(&mitigations.plan);
    if smp::report() == Role::Parked {
        park();
    }
    let dispatcher = loop {
        match DISPATCHER.get() {
            Some(dispatcher) => break dispatcher,
            None => interrupt::halt(),
        }
    };
    let settings = SETTINGS.get().expect("core 0 sets this before it starts another core");
    Worker::new().serve(dispatcher, Patience::new(settings.poll_ns()))
}

/// Waits, on tables and stacks of its own, for what concerns the machine as a whole: a machine
/// check, another core's crash, and the question whether hardware corrected errors.
fn park() -> ! {
    loop {
        interrupt::halt();
        let _woken = Arrived::take();
        machine_check::poll(clock::now_ns());
    }
}

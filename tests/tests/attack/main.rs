//! The network under attack: raw frames and ordinary clients against one node, through a tap.
//!
//! While each attack of the table runs, and after it, a good client asks the node for `hello`, on
//! new connections and on a kept one, and every answer has to come in time. In the end the node has
//! its memory and its connections back.
//!
//! Everything random comes from one seed, which is printed. `HOSTKERNEL_ATTACK_SEED` repeats a run,
//! `HOSTKERNEL_ATTACK_ROUNDS` goes through the table more often, each time with another seed, and
//! `HOSTKERNEL_ATTACK_ONLY` takes only attacks with these words in their names.
//! `--nocapture` shows one line per attack. Without root there is no tap, and the test says so.

mod attacker;
mod client;
mod clients;
mod link;
mod segments;

use std::thread;
use std::time::{Duration, Instant};

use attacker::Attacker;
use client::GoodClient;
use system_tests::{Network, Tap, TapError, TestNode, boot, machine};

/// One attack and its name.
type Attack = (&'static str, fn(&mut Attacker));

const ATTACKS: [Attack; 33] = [
    ("frames of every size", link::sizes),
    ("length fields that lie", link::lengths),
    ("wrong checksums", link::checksums),
    ("odd IPv4 headers", link::headers),
    ("IPv4 options", link::options),
    ("impossible senders", link::senders),
    ("fragments", link::fragments),
    ("fragments without end", link::fragment_storm),
    ("ARP from everybody", link::arp_flood),
    ("ARP in the client's name", link::arp_spoofing),
    ("ARP that makes no sense", link::arp_nonsense),
    ("IPv6 and other protocols", link::other_protocols),
    ("ICMP", link::icmp),
    ("UDP to any port", link::udp),
    ("frames that were good once", link::mutations),
    ("half-open connections", segments::half_open),
    ("resets out of the blue", segments::resets),
    ("resets within a connection", segments::reset_connection),
    ("all flags", segments::flags),
    ("acknowledgements of nothing", segments::acknowledgements),
    ("windows that are closed", segments::closed_windows),
    ("windows that shrink", segments::shrinking_windows),
    ("odd but legal requests", segments::odd_requests),
    ("requests in fragments", segments::fragmented_requests),
    ("malformed TCP options", segments::options),
    ("idle connections beyond the table", segments::idle_crowd),
    ("slow heads", clients::slow_heads),
    ("slow bodies", clients::slow_bodies),
    ("clients that do not read", clients::deaf),
    ("other languages than HTTP", clients::nonsense),
    ("requests without end", clients::pipelines),
    ("deploys that are long when unpacked", clients::deploy_storm),
    ("calls on every connection", clients::slot_storm),
];

/// Good answers that have to come while an attack goes on, and after it.
const ANSWERS_DURING: u64 = 4;
const ANSWERS_AFTER: u64 = 2;
/// Pause between two rounds of an attack. Attacker, node and client share the processors, and one
/// who takes them all is no test of the network.
const ROUND_PAUSE: Duration = Duration::from_millis(30);
/// How long an attack may take to let them through; the client's own bound is shorter.
const ATTACK_TIMEOUT: Duration = Duration::from_secs(120);
/// The node's longest time-out is 60 s: after that nothing of an attack may be left.
const RECOVERY_TIMEOUT: Duration = Duration::from_secs(120);
/// Enough for all connections a node can have.
const MEMORY_MIB: u32 = 1024;

const OPEN_CONNECTIONS: &str = "hostkernel_open_connections";
const MEMORY_AVAILABLE: &str = r#"hostkernel_memory_bytes{kind="available"}"#;

/// A number from the environment.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn the_service_answers_during_every_attack() {
    let tap = match Tap::new() {
        Err(error @ TapError::NeedsRoot) => return eprintln!("skipped: {error}"),
        result => result.expect("a tap device"),
    };
    let _inside = tap.namespace().enter().expect("who made the namespace may enter");
    // The host's own clients do not mind: the node tells them what it takes.
    tap.ip("link set tap0 mtu 65521").expect("a tap takes long frames");
    let node = boot(machine().memory_mib(MEMORY_MIB).network(Network::Tap(tap)));
    node.deploy("hello");
    node.deploy("echo");
    node.deploy("sleepless");
    node.warm_up();
    let before = usage(&node);

    let only = std::env::var("HOSTKERNEL_ATTACK_ONLY").unwrap_or_default();
    let seed = number("HOSTKERNEL_ATTACK_SEED").unwrap_or(0x5EED);
    for round in 0..number("HOSTKERNEL_ATTACK_ROUNDS").unwrap_or(1) {
        let seed = seed.wrapping_add(round);
        println!("HOSTKERNEL_ATTACK_SEED={seed}");
        let mut attacker = Attacker::new(seed);
        let client = GoodClient::start(node.address());
        for attack in ATTACKS.into_iter().filter(|(name, _)| name.contains(&only)) {
            withstand(&node, attack, &mut attacker, &client);
        }
    }
    recovers(&node, before);
}

/// Attacks until the client had its answers meanwhile, and then lets go.
fn withstand(
    node: &TestNode,
    (name, attack): Attack,
    attacker: &mut Attacker,
    client: &GoodClient,
) {
    let (begin, answers, sent) = (Instant::now(), client.answers(), attacker.sent());
    while client.answers() < answers + ANSWERS_DURING {
        attack(attacker);
        attacker.settle();
        thread::sleep(ROUND_PAUSE);
        client.assert_served(name);
        assert!(node.exit_status().is_none(), "{name}: the node ended");
        assert!(begin.elapsed() < ATTACK_TIMEOUT, "{name}: the client gets no answers");
    }
    let during = client.answers() - answers;
    attacker.let_go();
    client.wait(ANSWERS_AFTER, name);
    let (frames, bytes) = (attacker.sent().0 - sent.0, attacker.sent().1 - sent.1);
    println!(
        "{name:34} {frames:6} frames {:5} kB  {during:4} good answers, slowest {:4} ms  {} ms",
        bytes / 1000,
        client.take_slowest().as_millis(),
        begin.elapsed().as_millis(),
    );
}

/// Open connections, the one that asks included, and memory available.
fn usage(node: &TestNode) -> (u64, u64) {
    (node.metric(OPEN_CONNECTIONS), node.metric(MEMORY_AVAILABLE))
}

/// Waits until the node has back what the attacks took.
fn recovers(node: &TestNode, before: (u64, u64)) {
    let end = Instant::now() + RECOVERY_TIMEOUT;
    loop {
        let (open, now) = usage(node);
        if open <= before.0 && now == before.1 {
            break;
        }
        assert!(
            Instant::now() < end,
            "connections and bytes were {before:?} and are {:?}\n{}",
            (open, now),
            node.report()
        );
        thread::sleep(Duration::from_millis(100));
    }
    node.greets("after");
}

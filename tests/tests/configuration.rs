//! What a node boots with: settings from every source, boot bundles, namespaces and their quotas.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use system_tests::{
    ACTIONS, AUTHORIZATION, BOOT_TIMEOUT, Connection, Response, TestNode, boot, machine, request,
    sample,
};
use xtask::bundle::Contents;
use xtask::qemu::{Machine, MachineKind, Node, PowerOff};

/// A file with this content, of this test alone.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("configuration-{name}"));
    fs::write(&path, content).expect("the folder can be written");
    path
}

fn key(key: &str) -> String {
    format!("Authorization: Basic {}", STANDARD.encode(key))
}

/// Asks with a key.
fn ask(node: &TestNode, header: &str, method: &str, target: &str, body: &[u8]) -> Response {
    node.request(method, target, &[header], body)
}

fn deploy(node: &TestNode, header: &str, name: &str, sample_name: &str) -> Response {
    let target = format!("{ACTIONS}/{name}?memory=16");
    ask(node, header, "PUT", &target, &sample(sample_name))
}

/// Waits for a line of the log.
#[track_caller]
fn wait_for(node: &Node, line: &str) -> String {
    let begin = Instant::now();
    loop {
        let log = node.serial();
        if log.contains(line) {
            return log;
        }
        assert!(begin.elapsed() < BOOT_TIMEOUT, "no {line:?}: {}", node.report());
        thread::sleep(Duration::from_millis(50));
    }
}

fn bundle(name: &str, config: &str, actions: &[(&str, &[u8])]) -> PathBuf {
    let actions = actions.iter().map(|(path, content)| ((*path).to_owned(), content.to_vec()));
    let contents = Contents {
        config: Some(config.as_bytes().to_vec()),
        actions: actions.collect(),
        ..Contents::default()
    };
    file(name, &contents.archive().expect("it is short"))
}

/// SMBIOS strings; QEMU wants commas doubled.
fn smbios(machine: Machine, strings: &[&str]) -> Machine {
    strings.iter().fold(machine, |machine, string| {
        let value = format!("type=11,value={}", string.replace(',', ",,"));
        machine.argument("-smbios").argument(value)
    })
}

#[test]
fn each_source_is_read_and_later_ones_win() {
    let config = bundle(
        "precedence.cpio",
        "# all\nhostkernel.auth=bundle:k\nhostkernel.queue_len=11\nhostkernel.admin_key=a:b\n",
        &[],
    );
    let fw_cfg = file("precedence.conf", b"hostkernel.auth=fw:k\nhostkernel.queue_len=13\n");
    let strings = [
        "io.systemd.credential:hostkernel.auth=smbios:k",
        "hostkernel.queue_len=12",
        "somebody.elses=1",
    ];
    let alone = |machine: Machine, user: &str, queue_len: u32| {
        let node = boot(machine);
        assert_eq!(ask(&node, &key(user), "GET", ACTIONS, b"").status, 200, "{user}");
        assert_eq!(ask(&node, AUTHORIZATION, "GET", ACTIONS, b"").status, 401, "{user}");
        let log = node.serial();
        assert!(log.contains(&format!("queues: {queue_len} invocations")), "{log}");
        log
    };
    let log = alone(machine().bundle(&config), "bundle:k", 11);
    assert!(log.contains("configuration: 3 from boot bundle\r\n"), "{log}");
    let log = alone(smbios(machine(), &strings), "smbios:k", 12);
    assert!(log.contains("configuration: 2 from SMBIOS\r\n"), "{log}");
    let log = alone(machine().file("config", &fw_cfg), "fw:k", 13);
    assert!(log.contains("configuration: 2 from fw_cfg\r\n"), "{log}");
    let words = "hostkernel.auth=line:k hostkernel.queue_len=14";
    let all = smbios(machine(), &strings).bundle(&config).file("config", &fw_cfg);
    let log = alone(all.kernel_words(words), "line:k", 14);
    let counts = "3 from boot bundle, 2 from SMBIOS, 2 from fw_cfg, 2 from command line";
    assert!(log.contains(&format!("configuration: {counts}\r\n")), "{log}");
    assert!(!log.contains("error"), "{log}");
}

#[test]
fn machines_without_pci_have_bundles_and_fw_cfg_too() {
    let config = file("microvm.conf", b"hostkernel.auth=fw:k\n");
    let bundle = bundle("microvm.cpio", "", &[("guest/hello", &sample("hello"))]);
    let machine = machine().kind(MachineKind::Microvm).file("config", config).bundle(bundle);
    let node = boot(machine);
    assert_eq!(ask(&node, &key("fw:k"), "GET", ACTIONS, b"").status, 200);
    node.greets("microvm");
}

#[test]
fn a_node_that_cannot_know_who_may_use_it_does_not_serve() {
    let long = format!("hostkernel.port=80{}", " ".repeat(4096));
    let not_text = file("not-text.conf", b"hostkernel.auth=\xff\n");
    for (machine, reason) in [
        (machine().kernel_words("hostkernel.auth=secret"), "hostkernel.auth is UUID:KEY"),
        (machine().kernel_words("hostkernel.atuh=x:secret"), "unknown key; there are ip, log,"),
        (machine().kernel_words("hostkernel.namespace=a"), "hostkernel.namespace is NAME,key="),
        (machine().kernel_words("hostkernel.store=https://r/x"), "hostkernel.store is http://HOST"),
        (machine().kernel_words(long), "command line: refused: longer than 4096 bytes"),
        (machine().file("config", not_text), "fw_cfg: refused: not UTF-8 text"),
    ] {
        let node = machine.boot().expect("QEMU runs");
        let log = wait_for(&node, "does not serve, and halts");
        assert!(log.contains(reason), "{reason}: {log}");
        assert!(!log.contains("secret") && !log.contains("ready after"), "{log}");
    }
}

#[test]
fn a_bundle_is_deployed_before_the_node_is_ready() {
    let hello = sample("hello");
    let bundle = bundle(
        "good.cpio",
        "hostkernel.auth=g:k\nhostkernel.namespace=other,key=o:k\n",
        &[
            ("guest/hello.elf", &hello),
            ("guest/hello.json", br#"{"limits":{"memory":9,"timeout":777}}"#),
            ("other/theirs", &sample("echo")),
        ],
    );
    let by_firmware = file("echo.elf", &sample("echo"));
    let node = boot(machine().bundle(&bundle).file("action/echo", by_firmware));
    assert!(node.serial().contains("deployed: 3 actions that came with the boot"));
    node.greets("from the bundle");
    assert_eq!(node.request("POST", "/function/echo", &[], b"fw_cfg").text(), "fw_cfg");
    assert_eq!(node.request("POST", "/function/theirs", &[], b"").status, 404);
    let limits = ask(&node, &key("g:k"), "GET", &format!("{ACTIONS}/hello?code=false"), b"");
    let limits = limits.json()["limits"].clone();
    assert_eq!((limits["memory"].as_u64(), limits["timeout"].as_u64()), (Some(9), Some(777)));
    let target = format!("{ACTIONS}/theirs?blocking=true&result=true");
    assert_eq!(ask(&node, &key("o:k"), "POST", &target, b"{\"a\":1}").text(), "{\"a\":1}");
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[test]
fn the_memory_of_a_bundle_comes_back() {
    // Zeros behind an archive are its padding, as `cpio` writes it.
    let mut large = fs::read(bundle("large.cpio", "", &[])).expect("it was written");
    large.resize(64 << 20, 0);
    let large = file("large-padded.cpio", &large);
    let memory = |machine: Machine| {
        let node = boot(machine);
        let bytes = |kind| node.metric(&format!("hostkernel_memory_bytes{{kind=\"{kind}\"}}"));
        (bytes("installed"), bytes("available"))
    };
    let (without, with) = (memory(machine()), memory(machine().bundle(large)));
    assert_eq!(without.0, with.0);
    // The heap is a little smaller: its share was of the memory that was free then.
    assert!(with.1 >= without.1, "{without:?} {with:?}");
}

#[test]
fn what_is_wrong_in_a_bundle_is_said_and_the_rest_is_served() {
    let hello = sample("hello");
    let path = bundle(
        "wrong.cpio",
        "hostkernel.auth=g:k\ncolour=blue\nhostkernel.cores=0\n",
        &[
            ("guest/hello", &hello),
            ("guest/text", b"#!/bin/sh\n"),
            ("guest/large", &[hello.as_slice(), &vec![0; 49 << 20]].concat()),
            ("absent/hello", &hello),
            ("guest/lonely.json", b"{}"),
        ],
    );
    let node = boot(machine().memory_mib(512).bundle(&path));
    let log = node.serial();
    for line in [
        "boot bundle, line 2: \"colour\" ignored: unknown key",
        "boot bundle, line 3: \"hostkernel.cores=0\" ignored: hostkernel.cores is 1 to 256",
        "boot bundle: actions/guest/text refused: The code is not an ELF executable",
        "boot bundle: actions/guest/large refused: it is too long",
        "boot bundle: actions/absent/hello refused: there is no such namespace",
        "boot bundle: actions/guest/lonely.json refused: there is no image of that name",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
    node.greets("the rest");
    assert_eq!(ask(&node, &key("g:k"), "GET", ACTIONS, b"").status, 200);
}

#[test]
fn a_bundle_that_is_cut_short_or_none_opens_nothing() {
    let hello = sample("hello");
    // The configuration is last, so that cutting the end off loses the key.
    let actions = vec![("guest/hello".into(), hello)];
    let mut cut = Contents { actions, ..Contents::default() }.archive().expect("it is short");
    cut.truncate(cut.len() - 60);
    for (name, bytes, reason) in [
        ("cut.cpio", &cut[..], "the archive is truncated"),
        ("none.gz", b"\x1f\x8b\x08\0something else", "this is not a cpio archive"),
    ] {
        let node = boot(machine().bundle(file(name, bytes)));
        assert!(node.serial().contains(&format!("boot bundle: {reason}")), "{}", node.serial());
        assert_eq!(ask(&node, AUTHORIZATION, "GET", ACTIONS, b"").status, 401);
        if name == "cut.cpio" {
            node.greets("what was whole");
        }
    }
}

#[test]
fn two_tenants_see_nothing_of_each_other() {
    let node = boot(machine().kernel_words(
        "hostkernel.namespace=a,key=a:k hostkernel.namespace=b,key=b:k hostkernel.public=b",
    ));
    let (a, b) = (key("a:k"), key("b:k"));
    assert_eq!(deploy(&node, &a, "hello", "hello").status, 200);
    assert_eq!(deploy(&node, &a, "private", "hello").status, 200);
    assert_eq!(deploy(&node, &b, "hello", "echo").status, 200);
    let names = |header: &str| {
        let list = ask(&node, header, "GET", ACTIONS, b"").json();
        let list = list.as_array().expect("a list").clone();
        list.into_iter().map(|action| action["name"].clone()).collect::<Vec<_>>()
    };
    assert_eq!((names(&a).len(), names(&b)), (2, vec!["hello".into()]));
    let own = ask(&node, &b, "GET", "/api/v1/namespaces", b"");
    assert_eq!(own.text(), r#"["b"]"#);
    // By name, by namespace, in any way and with any method.
    for method in ["GET", "POST", "PUT", "DELETE"] {
        let foreign = "/api/v1/namespaces/a/actions/private?blocking=true&overwrite=true";
        assert_eq!(ask(&node, &b, method, foreign, b"{}").status, 403, "{method}");
    }
    for method in ["GET", "POST", "DELETE"] {
        let target = format!("{ACTIONS}/private?blocking=true");
        assert_eq!(ask(&node, &b, method, &target, b"{}").status, 404, "{method}");
    }
    assert_eq!(ask(&node, &b, "GET", "/api/v1/namespaces/a/limits", b"").status, 403);
    // The same name is another action; the public one is b's.
    let run = |header: &str| {
        let target = format!("{ACTIONS}/hello?blocking=true&result=true");
        ask(&node, header, "POST", &target, br#"{"name":"x"}"#).text()
    };
    assert_eq!(
        (run(&a).as_str(), run(&b).as_str()),
        (r#"{"greeting":"Hello, x!"}"#, r#"{"name":"x"}"#)
    );
    assert_eq!(node.request("POST", "/function/hello", &[], b"b's").text(), "b's");
    assert_eq!(node.request("POST", "/function/private", &[], b"").status, 404);
    // Deleting one's own leaves the other's.
    assert_eq!(ask(&node, &b, "DELETE", &format!("{ACTIONS}/hello"), b"").status, 200);
    assert_eq!(names(&a).len(), 2);
    assert_eq!(ask(&node, AUTHORIZATION, "GET", ACTIONS, b"").status, 401, "nobody is guest");
}

#[test]
fn without_a_public_namespace_every_call_needs_a_key() {
    let node = boot(machine().kernel_words("hostkernel.public=none"));
    node.deploy("hello");
    assert_eq!(node.request("POST", "/function/hello", &[], b"{}").status, 404);
    assert_eq!(node.activation("hello", &serde_json::json!({}))["response"]["success"], true);
}

/// Starts an invocation that keeps its core busy for so long, and does not wait for it.
fn start(node: &TestNode, header: &str, ms: u64) -> Connection {
    let mut connection = node.established();
    let body = format!(r#"{{"ms":{ms}}}"#);
    let target = format!("{ACTIONS}/sleepless?blocking=true");
    let bytes = request("POST", &target, &[header], body.as_bytes());
    connection.send(&bytes).expect("an open connection");
    connection
}

#[test]
fn invocations_at_the_same_time_are_bounded_on_every_way_out() {
    let words = "hostkernel.namespace=a,key=a:k,concurrency=2 hostkernel.auth=g:k \
                 hostkernel.public=a";
    let node = boot(machine().cores(3).kernel_words(words));
    let (a, guest) = (key("a:k"), key("g:k"));
    assert_eq!(deploy(&node, &a, "sleepless", "sleepless").status, 200);
    assert_eq!(deploy(&node, &a, "hello", "hello").status, 200);
    assert_eq!(deploy(&node, &guest, "hello", "hello").status, 200);
    let call = |header: &str| {
        let target = format!("{ACTIONS}/hello?blocking=true");
        ask(&node, header, "POST", &target, b"{}")
    };
    let mut running = [start(&node, &a, 4000), start(&node, &a, 4000)];
    wait_for_metric(&node, "hostkernel_inflight_invocations", 2);
    for answer in [call(&a), node.request("POST", "/function/hello", &[], b"{}")] {
        let text = "Too many concurrent requests in flight (count: 2, allowed: 2).";
        assert_eq!((answer.status, answer.json()["error"].as_str()), (429, Some(text)));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(call(&guest).status, 200, "others are not concerned");
    for connection in &mut running {
        assert_eq!(connection.receive().expect("an answer").status, 200);
    }
    // Clients that leave have their places until the action has ended, not longer.
    drop([start(&node, &a, 1500), start(&node, &a, 1500)]);
    wait_for_metric(&node, "hostkernel_inflight_invocations", 0);
    for _ in 0..5 {
        assert_eq!(call(&a).status, 200);
        // A refused request takes none.
        let target = format!("{ACTIONS}/hello?blocking=true");
        assert_eq!(ask(&node, &a, "POST", &target, b"[").status, 400);
    }
    assert_eq!(node.power_off(), PowerOff::Clean);
}

#[track_caller]
fn wait_for_metric(node: &TestNode, name: &str, value: u64) {
    let begin = Instant::now();
    while node.metric(name) != value {
        assert!(begin.elapsed() < BOOT_TIMEOUT, "{name} is not {value}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn the_other_quotas_are_told_and_kept() {
    let words = "hostkernel.namespace=a,key=a:k,rate=3,memory=16,code=1";
    let node = boot(machine().kernel_words(words));
    let a = key("a:k");
    let limits = ask(&node, &a, "GET", "/api/v1/namespaces/_/limits", b"").json();
    assert_eq!(
        (limits["invocationsPerMinute"].as_u64(), limits["maxCodeMb"].as_u64()),
        (Some(3), Some(1))
    );
    assert_eq!(limits["maxActionMemory"], "16 MB");
    assert_eq!(deploy(&node, &a, "hello", "hello").status, 200);
    let large = [sample("hello"), vec![0; 1 << 20]].concat();
    let answer = ask(&node, &a, "PUT", &format!("{ACTIONS}/large"), &large);
    assert_eq!(answer.status, 413, "{}", answer.text());
    let answer = ask(&node, &a, "PUT", &format!("{ACTIONS}/greedy?memory=17"), &sample("hello"));
    let text = "memory 17 MB exceeds allowed threshold of 16 MB";
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some(text)));
    // More than fit into two minutes, in less time than two minutes.
    let target = format!("{ACTIONS}/hello?blocking=true");
    let statuses: Vec<u16> =
        (0..7).map(|_| ask(&node, &a, "POST", &target, b"{}").status).collect();
    assert!(statuses[..3].iter().all(|status| *status == 200), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    let answer = ask(&node, &a, "POST", &target, b"{}");
    if answer.status == 429 {
        assert!(
            answer.text().contains("Too many requests in the last minute (count: 4, allowed: 3).")
        );
        let seconds: u32 =
            answer.header("retry-after").and_then(|it| it.parse().ok()).expect("one");
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
}

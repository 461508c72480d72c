//! Linux programs on a node, deployed as they are: what they answer is what they answer on this
//! computer, byte for byte, and how they end is said in Linux's words.

mod input;
mod programs;
#[path = "../../linux-emulator/tests/programs/tree.rs"]
mod tree;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{fs, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hk::{DeployOptions, Receipt};
use serde_json::{Value, json};
use system_tests::openwhisk::{deploy_json, deploy_raw, error};
use system_tests::{SharedNode, TestNode, boot, machine, sample};
use xtask::bundle::Contents;
use xtask::lab::Hosted;
use xtask::trial::books::Books;

use programs::{busybox_as, c, dynamic, go, movable, on_this_computer};

static NODE: SharedNode = SharedNode::new(|| boot(machine()));

/// The limits that programs are deployed with.
const LIMITS: &str = "memory=64&timeout=20000&overwrite=true";
/// So that the node does more than to take them.
const BETWEEN_INTERRUPTS: Duration = Duration::from_millis(2);
/// Longer than what becomes an argument too.
const LONG_INPUT_LINES: usize = 1000;

/// Deploys a program and returns the answer.
#[track_caller]
fn deployed(node: &TestNode, name: &str, file: &[u8]) -> Value {
    let answer = deploy_raw(node, &format!("{name}?{LIMITS}"), file);
    assert_eq!(answer.status, 200, "{name}: {}", answer.text());
    answer.json()
}

/// What a program answers to bytes.
#[track_caller]
fn answered(node: &TestNode, name: &str, input: &[u8]) -> String {
    let reply = node.client().call(name, input).expect("an answer");
    assert_eq!(reply.status, 200, "{name}: {}", reply.text());
    reply.text().to_string()
}

/// Why a program did not answer.
#[track_caller]
fn ended(node: &TestNode, name: &str, input: &str) -> (u16, String) {
    let answer = node.request("POST", &format!("/function/{name}"), &[], input.as_bytes());
    (answer.status, answer.text())
}

#[test]
fn c_programs_answer_as_on_this_computer() {
    let node = NODE.get();
    for compiler in ["musl-gcc", "gcc"] {
        let program = c(compiler);
        let name = format!("c-{compiler}");
        deployed(&node, &name, &program.file());
        for input in ["", "{\"name\": \"you\"}\nsecond line\n"] {
            let expected = on_this_computer(&program.path, &[input], input.as_bytes());
            assert_eq!(answered(&node, &name, input.as_bytes()), expected, "{compiler}");
        }
    }
}

#[test]
fn a_go_program_answers_as_on_this_computer() {
    let node = NODE.get();
    let program = go();
    deployed(&node, "go", &program.file());
    let input = r#"{"name":"Gopher","numbers":[1,2,3,40,500]}"#;
    let expected = on_this_computer(&program.path, &[input], input.as_bytes());
    assert!(expected.contains("Hello, Gopher") && expected.contains("nil pointer"), "{expected}");
    for _ in 0..3 {
        assert_eq!(answered(&node, "go", input.as_bytes()), expected);
    }
}

#[test]
fn busybox_in_an_archive_answers_as_on_this_computer() {
    let node = NODE.get();
    let input: String =
        (0..LONG_INPUT_LINES).map(|line| format!("line {} of it\n", line * 7919 % 1009)).collect();
    for applet in ["sha256sum", "sort", "wc", "tac", "xxd", "base64"] {
        let (archive, path) = busybox_as(applet);
        deployed(&node, applet, &archive);
        let mut expected = on_this_computer(&path, &[applet], input.as_bytes());
        let ours = answered(&node, applet, input.as_bytes());
        assert_eq!(ours.len(), expected.len(), "{applet}: {ours}");
        if ours != expected {
            expected.truncate(200);
            panic!("{applet}: {ours} instead of {expected}…");
        }
    }
}

/// The most that a call of a small program may take at any time, with its tables.
const SMALL_LIVE_LEN: u64 = 80 << 10;
/// The most that it may take deployed besides its file: what was frozen, tables, notes.
const SMALL_DEPLOYED_PAGES: u64 = 30;

#[test]
fn a_small_program_takes_little_memory() {
    let node = NODE.get();
    let program = Hosted::CMusl.build(|doing| eprintln!("{doing}")).expect("it builds");
    let file = fs::read(program).expect("it was built");
    let answer = deployed(&node, "small", &file);
    let annotations = answer["annotations"].as_array().expect("a list");
    let frozen = annotations.iter().find(|it| it["key"] == "frozen").expect("it was frozen");
    let besides = frozen["value"]["memory"].as_u64().expect("bytes") - pages(file.len()) * 4096;
    assert!(besides <= SMALL_DEPLOYED_PAGES * 4096, "{frozen}");
    let input: Value = serde_json::from_slice(Hosted::INPUT).expect("it is JSON");
    // What the first ones touch, later ones begin with.
    for _ in 0..10 {
        let done = node.client().invoke("small", &input).expect("an answer");
        let receipt = Receipt::read(&done.activation.annotations);
        let peak = receipt.memory_peak_bytes.expect("it is told");
        assert!((4096..=SMALL_LIVE_LEN).contains(&peak), "{receipt:?}");
    }
}

fn pages(len: usize) -> u64 {
    len.div_ceil(4096) as u64
}

#[test]
fn how_a_program_ended_is_said_as_linux_says_it() {
    let node = NODE.get();
    let program = c("musl-gcc");
    deployed(&node, "ends", &program.file());
    for (input, reason) in [
        ("crash", "killed by SIGSEGV at 0x0 (null pointer)"),
        ("abort", "killed by SIGABRT"),
        ("status", "exited with status 3"),
    ] {
        let (status, text) = ended(&node, "ends", input);
        assert_eq!(status, 502, "{text}");
        assert!(text.contains(reason), "{input}: {text}");
    }
    let query = "hurried?memory=64&timeout=300&overwrite=true";
    assert_eq!(deploy_raw(&node, query, &program.file()).status, 200);
    let (status, text) = ended(&node, "hurried", "spin");
    assert_eq!(status, 502, "{text}");
    assert!(text.contains("deadline of 300 ms exceeded"), "{text}");
}

/// Who arms timers without end ends at its deadline, and takes nothing from others: the only core
/// serves the network meanwhile.
#[test]
fn a_storm_of_alarms_ends_at_the_deadline() {
    let node = boot(machine().cores(1));
    let program = c("musl-gcc");
    let query = "storm?memory=64&timeout=2000&overwrite=true";
    assert_eq!(deploy_raw(&node, query, &program.file()).status, 200);
    thread::scope(|scope| {
        let storm = scope.spawn(|| ended(&node, "storm", "alarms"));
        while !storm.is_finished() {
            assert_eq!(node.request("GET", "/healthz", &[], b"").status, 200);
        }
        let (status, text) = storm.join().expect("it ends");
        assert_eq!(status, 502, "{text}");
        assert!(text.contains("deadline of 2000 ms exceeded"), "{text}");
    });
    assert_eq!(answered(&node, "storm", b"mark"), "static 0, file new\n");
}

/// A page far from all others takes tables of its own, which count as the page does.
#[test]
fn pages_here_and_there_count_with_their_tables() {
    let node = boot(machine());
    deployed(&node, "scatter", &c("musl-gcc").file());
    // What the first ones touch is kept for later ones.
    for _ in 0..4 {
        assert_eq!(ended(&node, "scatter", "mark").0, 200);
    }
    let before = Books::at_rest(&node).expect("the node tells");
    for _ in 0..3 {
        let (status, text) = ended(&node, "scatter", "scatter");
        assert_eq!(status, 502, "{text}");
        assert!(text.contains("memory limit of 64 MB exceeded"), "{text}");
    }
    // These are 8,192 pages, half of what may be taken; their tables are the other half.
    let (status, text) = ended(&node, "scatter", "scatter far");
    assert_eq!(status, 502, "{text}");
    assert!(text.contains("memory limit of 64 MB exceeded"), "{text}");
    before.wait_for(&node).expect("all of it came back");
    assert_eq!(ended(&node, "scatter", "mark").0, 200);
}

#[test]
fn a_dynamic_program_is_refused_with_a_sentence() {
    let node = NODE.get();
    let answer = deploy_raw(&node, &format!("dynamic?{LIMITS}"), &dynamic());
    let text = error(&answer);
    assert_eq!(answer.status, 400, "{text}");
    assert!(text.contains("needs /lib64/ld-linux-x86-64.so.2; link it statically"), "{text}");
}

#[test]
fn an_invocation_sees_nothing_of_another() {
    let node = NODE.get();
    deployed(&node, "marks", &c("gcc").file());
    for _ in 0..6 {
        assert_eq!(answered(&node, "marks", b"mark"), "static 0, file new\n");
    }
}

/// Who knows where things are in one action knows nothing of another, nor of the same one when it
/// was deployed again; code that is linked to an address stays there.
#[test]
fn each_deploy_has_a_layout_of_its_own() {
    const DEPLOYS: usize = 5;
    let node = NODE.get();
    for (name, program, moves) in [("fixed", c("musl-gcc"), false), ("movable", movable(), true)] {
        let mut seen: [HashSet<String>; 4] = Default::default();
        for number in 0..DEPLOYS {
            // The same code again would be the same template.
            let file = [program.file(), format!("{number}").into_bytes()].concat();
            deployed(&node, name, &file);
            let answer = answered(&node, name, b"places");
            assert_eq!(answered(&node, name, b"places"), answer, "it is frozen with the program");
            let places: Vec<_> = answer.split_whitespace().collect();
            assert_eq!(places.len(), seen.len(), "{answer}");
            for (seen, place) in seen.iter_mut().zip(places) {
                seen.insert(place.to_owned());
            }
        }
        let [code, rest @ ..] = seen.map(|places| places.len());
        assert_eq!(code, if moves { DEPLOYS } else { 1 }, "{name}");
        // The heap of a fixed program begins at one of 32 pages.
        assert!(rest[0] == DEPLOYS && rest[1] > 1 && rest[2] == DEPLOYS, "{name}: {rest:?}");
    }
}

#[test]
fn the_kind_is_found_by_looking_and_any_word_is_accepted() {
    let node = NODE.get();
    let program = c("musl-gcc").file();
    let kind = |document: &Value| document["exec"]["kind"].as_str().map(str::to_owned);
    let found = deployed(&node, "found", &program);
    assert_eq!(kind(&found).as_deref(), Some("linux"));
    let options = DeployOptions {
        annotations: [("note".to_owned(), json!(1))].into_iter().collect(),
        memory_mb: Some(64),
        ..DeployOptions::default()
    };
    let by_document = node.client().deploy("document", &program, &options).expect("deployed");
    assert_eq!(by_document.other["exec"]["kind"], "linux");
    let native = deployed(&node, "native", &sample("hello"));
    assert_eq!(kind(&native).as_deref(), Some("native:1"));
    for word in ["linux", "rust", "go:1.19", "blackbox", "native", "native:1"] {
        let exec = json!({ "kind": word, "code": STANDARD.encode(&program) });
        let document = json!({ "exec": exec, "limits": { "memory": 64, "timeout": 20_000 } });
        let answer = deploy_json(&node, "said?overwrite=true", &document);
        assert_eq!(answer.status, 200, "{word}: {}", answer.text());
        assert_eq!(kind(&answer.json()).as_deref(), Some(word));
        assert!(answered(&node, "said", b"").ends_with("e-300\n"));
    }
}

#[test]
fn what_a_program_called_in_vain_is_in_its_receipt() {
    let node = NODE.get();
    deployed(&node, "vain", &c("musl-gcc").file());
    let reply = node.client().call("vain", b"in vain").expect("an answer");
    assert!(reply.text().starts_with("Function not implemented\n"), "{}", reply.text());
    let id = reply.activation_id.expect("the node names it");
    let record = node.client().activation(&id).expect("it is kept");
    let receipt = Receipt::read(&record.annotations);
    assert_eq!(receipt.unsupported.as_deref(), Some("io_uring_setup × 1"));
}

#[test]
fn programs_come_with_the_boot() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let path = folder.path().join("bundle.cpio");
    let limits = br#"{"limits":{"memory":64,"timeout":20000}}"#;
    let contents = Contents {
        actions: [
            ("guest/program", c("musl-gcc").file()),
            ("guest/program.json", limits.to_vec()),
            ("guest/broken", dynamic()),
            ("guest/broken.json", limits.to_vec()),
            ("guest/hello", sample("hello")),
        ]
        .map(|(path, content)| (path.to_owned(), content))
        .to_vec(),
        ..Contents::default()
    };
    fs::write(&path, contents.archive().expect("it is short")).expect("it can be written");
    let node = boot(machine().bundle(&path));
    node.greets("with the boot");
    for _ in 0..2 {
        assert!(answered(&node, "program", b"").ends_with("e-300\n"));
    }
    let log = node.serial();
    assert!(log.contains("deployed: 2 actions that came with the boot"), "{log}");
    assert!(log.contains("actions/guest/broken refused: The code could not be prepared"), "{log}");
}

/// On the way to the handler the kernel has neither a stack of its own nor tables: what interrupts
/// it there finds both all the same.
#[test]
fn interrupts_that_nobody_can_mask_change_nothing_for_a_program() {
    let node = boot(machine().kernel_words("hostkernel.nmi=log"));
    deployed(&node, "calls", &c("musl-gcc").file());
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let interrupts = scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                node.execute("inject-nmi").expect("QEMU listens");
                thread::sleep(BETWEEN_INTERRUPTS);
            }
        });
        let answers: Vec<_> = (0..5).map(|_| answered(&node, "calls", b"calls")).collect();
        is_over.store(true, Ordering::Relaxed);
        interrupts.join().expect("QEMU listens");
        assert!(answers.iter().all(|answer| answer == "0 wrong\n"), "{answers:?}");
    });
    assert!(node.metric("hostkernel_nmi_total") > 0);
    assert_eq!(answered(&node, "calls", b"mark"), "static 0, file new\n");
}

//! Keys, sources and what becomes of mistakes.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::registry::Quotas;
use limits::{CONFIG_LEN_MAX, CONFIG_PROBLEMS_MAX, NAMESPACES_MAX};

fn words(text: &str) -> Loaded {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, text);
    loader.finish()
}

fn texts(loaded: &Loaded) -> Vec<String> {
    loaded.problems.iter().map(ToString::to_string).collect()
}

fn namespace(name: &str, key: &str, quotas: Quotas) -> NamespaceSettings {
    NamespaceSettings { name: name.into(), key: Secret::new(key).expect("a key"), quotas }
}

#[test]
fn every_key_is_read() {
    let text = "ip=10.0.2.15::10.0.2.2:255.255.255.0:node1::off log=json loglevel=debug \
        panic=halt hostkernel.debug=crash hostkernel.ntp=10.0.2.2 hostkernel.port=80 \
        hostkernel.syslog=10.0.2.3:1514 hostkernel.nmi=log \
        hostkernel.auth=a:b hostkernel.queue_len=4 \
        hostkernel.cores=2 hostkernel.hyperthreads=on hostkernel.mitigations=strict \
        hostkernel.admin_key=c:d \
        hostkernel.public=other hostkernel.front=dedicated hostkernel.poll_us=0 \
        hostkernel.body_mb=64 \
        hostkernel.idle_s=620 hostkernel.drain_s=30 hostkernel.drain_readers_s=0 \
        hostkernel.dns=10.0.2.4 hostkernel.store=http://a-b.c:5000/x/y hostkernel.store_auth=g:h \
        hostkernel.store_fresh_ms=0 hostkernel.runtimes=python:3,nodejs:20 hostkernel.node=7 \
        hostkernel.namespace=other,rate=5,key=e:f,memory=6,code=7,concurrency=8 \
        console=ttyS0 -- ip=dhcp";
    let loaded = words(text);
    assert_eq!(texts(&loaded), [""; 0]);
    assert!(KEYS.iter().all(|key| text.contains(&format!("{}=", key.name))));
    assert_eq!((loaded.counts, loaded.is_refused), ([0, 0, 0, KEYS.len()], false));
    let quotas =
        Quotas { concurrency: Some(8), rate: Some(5), memory_mb: Some(6), code_mb: Some(7) };
    let expected = Settings {
        address: Address::Static {
            address: Ipv4Addr::new(10, 0, 2, 15),
            prefix_len: 24,
            gateway: Some(Ipv4Addr::new(10, 0, 2, 2)),
        },
        time_server: Server::At(SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 2), 123)),
        log_server: Server::At(SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 3), 1514)),
        name_server: Server::At(SocketAddrV4::new(Ipv4Addr::new(10, 0, 2, 4), 53)),
        store: Some(Store { host: "a-b.c".into(), port: 5000, prefix: "x/y".into() }),
        store_auth: Secret::new("g:h"),
        store_fresh_ms: 0,
        runtimes: vec!["python:3".into(), "nodejs:20".into()],
        node: 7,
        port: 80,
        access: AccessSettings {
            namespaces: vec![
                namespace("guest", "a:b", Quotas::default()),
                namespace("other", "e:f", quotas),
            ],
            admin_key: Secret::new("c:d"),
            public: Some("other".into()),
            is_closed: false,
        },
        queue_len: 4,
        body_len_max: 64 << 20,
        shared_front: false,
        poll_us: 0,
        idle_ms: 620_000,
        drain: Drain { accept_ms: 30_000, readers_ms: 0 },
        cores_max: 2,
        hyperthreads: true,
        mitigations: crate::mitigation::Mode::Strict,
        log_format: Format::Json,
        log_level: log::LevelFilter::Debug,
        halt_after_crash: true,
        survives_nmi: true,
        crash_call: true,
    };
    assert_eq!(loaded.settings, expected);
}

#[test]
fn the_form_of_the_log_is_known_early() {
    for line in ["log=json", "log=text log=json ip=dhcp", "log=json log=xml", "-- log=text"] {
        let format = words(line).settings.log_format;
        assert_eq!(Settings::early_log_format(line), format, "{line}");
    }
    assert_eq!(Settings::early_log_format("a log=json -- log=text"), Format::Json);
}

#[test]
fn nothing_means_the_defaults() {
    let loaded = words("");
    assert_eq!((&loaded.settings, loaded.problems.len()), (&Settings::default(), 0));
    assert!(loaded.settings.access.is_development() && loaded.origin() == "built-in");
    // What the table says of words and numbers is so.
    for key in KEYS.iter().filter(|key| key.mistake != Mistake::Secret && key.default != "nothing")
    {
        let loaded = words(&format!("{}={}", key.name, key.default));
        assert_eq!((loaded.settings, loaded.problems.len()), (Settings::default(), 0));
    }
}

#[test]
fn the_ranges_of_the_table_are_those_of_the_parser() {
    for key in &KEYS {
        let Some((min, max)) = key.syntax.split_once(" to ") else { continue };
        let (Ok(min), Ok(max)) = (min.parse::<u64>(), max.parse::<u64>()) else { continue };
        let is_read = |value: String| words(&format!("{}={value}", key.name)).problems.is_empty();
        assert!(is_read(min.to_string()) && is_read(max.to_string()), "{}", key.name);
        let below = min.checked_sub(1).map_or("-1".into(), |below| below.to_string());
        for wrong in [below, (max + 1).to_string(), "+1".into(), "".into()] {
            assert!(!is_read(wrong.clone()), "{}={wrong}", key.name);
        }
    }
}

#[test]
fn what_makes_no_sense_is_named_and_ignored() {
    for word in [
        "quiet",
        "ip=10.0.2",
        "ip=10.0.2.15:::255.0.255.0",
        "ip=224.0.0.1",
        "loglevel=loud",
        "panic=maybe",
        "hostkernel.debug=all",
        "hostkernel.port=70000",
        "hostkernel.ntp=pool.ntp.org",
        "hostkernel.ntp=10.0.2.2:0",
        "hostkernel.syslog=",
        "hostkernel.syslog=on",
        "hostkernel.syslog=10.0.2.256",
        "hostkernel.syslog=10.0.2.2:",
        "hostkernel.syslog=10.0.2.2:0",
        "hostkernel.syslog=10.0.2.2:65536",
        "hostkernel.syslog=10.0.2.2:514/tcp",
        "hostkernel.syslog=[::1]:514",
        "hostkernel.syslog=0.0.0.0",
        "hostkernel.syslog=224.0.0.1",
        "hostkernel.syslog=255.255.255.255",
        "hostkernel.dns=ns.example",
        "hostkernel.store_fresh_ms=3600001",
        "hostkernel.node=65536",
        "hostkernel.queue_len=5000",
        "hostkernel.cores=257",
        "hostkernel.front=both",
        "hostkernel.poll_us=1001",
        "hostkernel.idle_s=74",
        "hostkernel.idle_s=3601",
        "hostkernel.drain_s=-1",
        "hostkernel.drain_readers_s=3601",
        "hostkernel.hyperthreads=1",
        "colour",
    ] {
        let loaded = words(word);
        assert_eq!((&loaded.settings, loaded.is_refused), (&Settings::default(), false), "{word}");
        let expected = format!("command line: \"{word}\" ignored: ");
        assert!(texts(&loaded)[0].starts_with(&expected), "{word}: {:?}", texts(&loaded));
    }
    let texts = texts(&words("hostkernel.port=0 colour=blue"));
    let port = "command line: \"hostkernel.port=0\" ignored: hostkernel.port is 1 to 65535";
    assert_eq!(texts[0], port);
    assert!(texts[1].starts_with("command line: \"colour\" ignored: unknown key; there are ip, "));
}

#[test]
fn a_node_that_was_to_have_a_store_does_not_serve_without() {
    for word in [
        "hostkernel.store=registry:5000/x",
        "hostkernel.store=https://registry/x",
        "hostkernel.store=http://registry",
        "hostkernel.store=http://registry/",
        "hostkernel.store=http://registry:0/x",
        "hostkernel.store=http://a:b@registry/x",
        "hostkernel.store=http://registry/X",
        "hostkernel.store=http://registry/x//y",
        "hostkernel.store=http://registry/x/",
        "hostkernel.store=http:///x",
    ] {
        let loaded = words(word);
        assert_eq!((&loaded.settings, loaded.is_refused), (&Settings::default(), true), "{word}");
        let expected = format!("command line: \"{word}\" refused: hostkernel.store is http://");
        assert!(texts(&loaded)[0].starts_with(&expected), "{word}: {:?}", texts(&loaded));
    }
}

#[test]
fn what_could_open_the_node_is_refused_and_tells_no_secret() {
    let long = "x".repeat(400);
    for word in [
        "hostkernel.auth=secret",
        "hostkernel.auth=:secret",
        "hostkernel.auth=secret:",
        "hostkernel.auth",
        "hostkernel.auth:secret",
        "hostkernel.auth=sec:r\u{e9}t",
        &format!("hostkernel.auth=secret:{long}"),
        "hostkernel.admin_key=secret",
        "hostkernel.store_auth=secret",
        "hostkernel.admin-key=se:cret",
        "hostkernel.autth=se:cret",
        "HOSTKERNEL.AUTH=se:cret",
        "hostkernel.public=",
        "hostkernel.public=a/b",
        "hostkernel.public=_",
        "hostkernel.public=absent",
        "hostkernel.namespace=a",
        "hostkernel.namespace=key=se:cret",
        "hostkernel.namespace=,key=se:cret",
        "hostkernel.namespace=_,key=se:cret",
        "hostkernel.namespace=a/b,key=se:cret",
        "hostkernel.namespace=a,key=secret",
        "hostkernel.namespace=a,key=se:cret,key=se:cret",
        "hostkernel.namespace=a,key=se:cret,rate=0",
        "hostkernel.namespace=a,key=se:cret,rate=1000001",
        "hostkernel.namespace=a,key=se:cret,memory=131073",
        "hostkernel.namespace=a,key=se:cret,colour=1",
        "hostkernel.namespace=a,key=se:cret,",
        "hostkernel.namespace=a,key=se:cret hostkernel.namespace=b,key=se:cret",
        "hostkernel.namespace=a,key=se:cret hostkernel.admin_key=se:cret",
        "hostkernel.auth=se:cret hostkernel.auth=wrong",
        &format!("hostkernel.namespace={},key=se:cret", "a".repeat(65)),
    ] {
        let loaded = words(word);
        let text = texts(&loaded).concat();
        assert!(loaded.is_refused && text.contains("refused"), "{word}: {text}");
        assert!(!text.contains("cret"), "{text}");
    }
    let many = |count: usize| {
        let word = |number| format!("hostkernel.namespace=n{number},key=u:{number} ");
        words(&(0..count).map(word).collect::<String>()).is_refused
    };
    assert!(!many(NAMESPACES_MAX) && many(NAMESPACES_MAX + 1));
}

#[test]
fn any_key_ends_the_development_key() {
    for word in
        ["hostkernel.auth=a:b", "hostkernel.admin_key=a:b", "hostkernel.namespace=a,key=a:b"]
    {
        assert!(!words(word).settings.access.is_development(), "{word}");
    }
    assert!(words("hostkernel.public=none").settings.access.is_development());
    let mut loader = Loader::default();
    loader.close();
    assert!(!loader.finish().settings.access.is_development());
}

#[test]
fn later_sources_win_and_the_key_of_guest_keeps_its_quotas() {
    let mut loader = Loader::default();
    loader.lines(
        Source::BootBundle,
        b"# who\n\n hostkernel.port = 1 \r\nhostkernel.cores=1\nloglevel=error\n\
          hostkernel.namespace=guest,key=a:a,rate=3\n",
    );
    loader.string(b"hostkernel.port=2");
    loader.string(b"io.systemd.credential:hostkernel.auth=b:b");
    loader.string(b"io.systemd.credential:hostkernel.loglevel=warn");
    loader.lines(Source::FirmwareConfig, b"hostkernel.port=3\nhostkernel.cores=3");
    loader.words(Source::CommandLine, "hostkernel.port=4");
    let loaded = loader.finish();
    assert_eq!(texts(&loaded), [""; 0]);
    let settings = &loaded.settings;
    assert_eq!((settings.port, settings.cores_max), (4, 3));
    assert_eq!(settings.log_level, log::LevelFilter::Warn);
    let quotas = Quotas { rate: Some(3), ..Quotas::default() };
    assert_eq!(settings.access.namespaces, [namespace("guest", "b:b", quotas)]);
    let origin = "4 from boot bundle, 3 from SMBIOS, 2 from fw_cfg, 1 from command line";
    assert_eq!(loaded.origin(), origin);
}

#[test]
fn strings_of_others_are_passed_over() {
    let mut loader = Loader::default();
    for string in [
        &b"colour=blue"[..],
        b"console=tty0",
        b"io.systemd.credential:passwd=secret",
        b"io.systemd.credential:ip=10.0.0.1",
        b"io.systemd.credential.binary:x=eA==",
        b"vendor",
        b"\xff\xfe",
        b"",
    ] {
        loader.string(string);
    }
    let loaded = loader.finish();
    assert_eq!((texts(&loaded).len(), loaded.settings), (0, Settings::default()));
    for string in [&b"hostkernel.x=1"[..], b"hostkernel.auth=\xff", b"hostkernel.auth"] {
        let mut loader = Loader::default();
        loader.string(string);
        assert!(loader.finish().is_refused);
    }
}

#[test]
fn files_are_bounded_and_text() {
    let lines = |bytes: &[u8]| {
        let mut loader = Loader::default();
        loader.lines(Source::FirmwareConfig, bytes);
        loader.finish()
    };
    let text = texts(&lines(b"# ours\n\nloglevel=loud")).concat();
    assert!(text.starts_with("fw_cfg, line 3: \"loglevel=loud\" ignored: "), "{text}");
    assert!(lines(b"\xff").is_refused);
    assert!(!lines(&[b'\n'; CONFIG_LEN_MAX]).is_refused);
    assert!(lines(&[b'\n'; CONFIG_LEN_MAX + 1]).is_refused);
    let many = lines("x\n".repeat(1000).as_bytes());
    assert_eq!((many.problems.len(), many.is_refused), (CONFIG_PROBLEMS_MAX, false));
    // A refusal behind those that are listed counts all the same.
    assert!(lines(format!("{}hostkernel.auth=x", "x\n".repeat(1000)).as_bytes()).is_refused);
}

proptest! {
    #[test]
    fn nothing_panics_and_every_item_counts_or_is_named(
        lines in proptest::collection::vec(
            prop_oneof![
                "[a-z.=:,0-9]{1,20}",
                "(ip|hostkernel\\.(auth|port|namespace|public|cores))=[a-z0-9:,=.]{0,20}",
                "\\PC{1,10}",
            ],
            0..20,
        ),
    ) {
        let mut loader = Loader::default();
        loader.lines(Source::FirmwareConfig, lines.join("\n").as_bytes());
        for line in &lines {
            loader.string(line.as_bytes());
        }
        let loaded = loader.finish();
        let access = &loaded.settings.access;
        prop_assert!(loaded.is_refused || access.conflict().is_none());
        prop_assert!(loaded.problems.iter().all(|problem| !problem.to_string().contains('\n')));
    }
}

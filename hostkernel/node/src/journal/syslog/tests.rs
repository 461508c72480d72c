//! What a log server gets, whatever is written; and what becomes of lines that find no room.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

const HOST: Option<Ipv4Addr> = Some(Ipv4Addr::new(10, 0, 2, 15));
const AT: &str = "2026-11-23T02:50:41.123456Z";

fn queue() -> Queue {
    Queue::new(LevelFilter::Info, || Some(1_795_402_241_123_456_789))
}

fn text(datagram: &Datagram) -> &str {
    core::str::from_utf8(datagram.as_bytes()).expect("characters are whole")
}

fn take(queue: &Queue) -> Option<String> {
    queue.take(HOST).map(|datagram| text(&datagram).to_string())
}

fn log(queue: &Queue, level: Level, target: &str, message: &str) {
    let args = format_args!("{message}");
    queue.log(&Record::builder().level(level).target(target).args(args).build());
}

/// Reads a message by the grammar of RFC 5424, 6: its parameters, and what follows them.
fn parse(message: &str) -> (Vec<(String, String)>, &str) {
    let header = format!("<134>1 {AT} 10.0.2.15 hostkernel - access [hostkernel@32473");
    let mut rest = message.strip_prefix(&header).expect("the header");
    let mut parameters = Vec::new();
    while let Some(parameter) = rest.strip_prefix(' ') {
        let (name, value) = parameter.split_once("=\"").expect("a value");
        let mut text = String::new();
        let mut chars = value.char_indices();
        loop {
            match chars.next().expect("the value ends") {
                (at, '"') => {
                    rest = &value[at + 1..];
                    break;
                }
                (_, '\\') => {
                    let (_, char) = chars.next().expect("what is escaped");
                    assert!(matches!(char, '"' | '\\' | ']'), "{message}");
                    text.push(char);
                }
                (_, char) => {
                    assert_ne!(char, ']', "{message}");
                    text.push(char);
                }
            }
        }
        parameters.push((name.to_string(), text));
    }
    (parameters, rest.strip_prefix(']').expect("the end of the data"))
}

#[test]
fn a_record_is_a_line() {
    let queue = queue();
    log(&queue, Level::Info, "hostkernel::front", "ready after 7 us");
    let expected = format!("<134>1 {AT} 10.0.2.15 hostkernel - log - ready after 7 us");
    assert_eq!(take(&queue), Some(expected));
    for (level, priority) in [(Level::Error, "<131>"), (Level::Warn, "<132>")] {
        log(&queue, level, "hostkernel", "x");
        assert!(take(&queue).expect("a line").starts_with(priority));
    }
    let nowhere = Queue::new(LevelFilter::Trace, || None);
    log(&nowhere, Level::Trace, "hostkernel", "two\nlines\0");
    let datagram = nowhere.take(None).expect("a line");
    assert_eq!(text(&datagram), "<135>1 - - hostkernel - log - two lines ");
}

#[test]
fn what_nobody_asked_for_is_left_out() {
    let queue = queue();
    log(&queue, Level::Debug, "hostkernel", "below the level");
    log(&queue, Level::Error, "smoltcp::iface", "of others");
    log(&queue, Level::Error, SENDER, "of sending");
    assert!(queue.is_empty() && take(&queue).is_none());
    log(&queue, Level::Error, module_path!(), "x");
    queue.close();
    log(&queue, Level::Error, module_path!(), "x");
    assert!(queue.is_empty() && queue.lost() == 0);
    queue.open();
    log(&queue, Level::Error, module_path!(), "x");
    assert!(!queue.is_empty());
}

#[test]
fn what_finds_no_room_is_counted_and_told() {
    let queue = queue();
    let message = "x".repeat(300);
    let total = 10 * SYSLOG_LINES_MAX as u64;
    (0..total).for_each(|_| log(&queue, Level::Info, "hostkernel", &message));
    let lost = queue.lost();
    let mut sent = 0;
    let last = loop {
        let line = take(&queue).expect("the last line says how many were lost");
        if !line.ends_with(&message) {
            break line;
        }
        sent += 1;
    };
    assert!(last.ends_with(&format!(" log - {lost} lines before this one were lost")), "{last}");
    assert_eq!((sent + lost, queue.is_empty()), (total, true));
    assert!(sent as usize * message.len() > SYSLOG_QUEUE_LEN / 2, "{sent}");
    queue.lose();
    assert!(!queue.is_empty() && take(&queue).expect("a line").contains(" 1 lines "));
    assert_eq!(queue.lost(), lost + 1);
}

#[test]
fn the_longest_header_leaves_the_body_whole() {
    let head = Head { level: Level::Error, kind: About::Access, wall_ns: Some(u64::MAX) };
    let host = Some(Ipv4Addr::new(255, 255, 255, 255));
    let body = [b'x'; SYSLOG_LEN_MAX - SYSLOG_HEADER_LEN_MAX];
    let datagram = head.datagram(host, &body);
    assert!(datagram.as_bytes().ends_with(&body), "{}", text(&datagram));
}

proptest! {
    #[test]
    fn no_value_breaks_the_frame(
        values in prop::collection::vec("(\\PC|[\\]\"\\\\\r\n\0]|ä|𝄞){0,300}", 0..9),
        message in "(\\PC|[\r\n\0\u{1b}]){0,200}",
    ) {
        let queue = queue();
        let mut body = Body::default();
        body.begin_data();
        values.iter().for_each(|value| body.parameter("name", value));
        body.end_data();
        let whole = write!(body, " {message}").is_ok();
        queue.push(Level::Info, About::Access, &body);
        let line = take(&queue).expect("a line");
        let is_control = |char: char| char.is_ascii_control();
        prop_assert!(line.len() <= SYSLOG_LEN_MAX && !line.contains(is_control));
        let (parameters, rest) = parse(&line);
        let clean = |text: &str| text.replace(is_control, " ");
        for ((_, found), value) in parameters.iter().zip(&values) {
            prop_assert!(clean(value).starts_with(found));
        }
        // Only what has no room is cut.
        let len = values.iter().map(|value| 2 * value.len() + 8).sum::<usize>();
        if len + message.len() < 800 {
            prop_assert!(whole && parameters.len() == values.len());
            let mut pairs = parameters.iter().zip(&values);
            prop_assert!(pairs.all(|((_, found), value)| *found == clean(value)));
        }
        let message = alloc::format!(" {}", clean(&message));
        prop_assert!(message.starts_with(rest) && (rest == message || !whole));
    }
}

//! A time server that answers, one that lies, one that is silent, and what the node makes of them.

use alloc::vec::Vec;

use smoltcp::wire::IpEndpoint;

use super::lab::{Lab, NS_PER_MS};
use super::peer::PEER_IP;
use super::syslog::{ABSENT, asked_ms};
use super::wire::UDP_CHECKSUM;
use crate::settings::{Server, Settings};
use crate::wall::trust::Opinion;
use core::net::SocketAddrV4;
use limits::{
    CLOCK_AGREEING, CLOCK_MOVE_MAX_MS, SNTP_DOUBT_MS, SNTP_INTERVAL_MS, SNTP_PORT, SNTP_RETRY_MS,
    SNTP_RETRY_MS_MAX, SNTP_TIMEOUT_MS,
};

/// 2026-11-23T02:50:41Z, since 1900 and since 1970.
const NOW_1900_S: u32 = 4_004_391_041;
const NOW_NS: u64 = 1_795_402_241_000_000_000;

type Question = (Vec<u8>, IpEndpoint);

fn lab() -> Lab {
    let time_server = Server::At(SocketAddrV4::new(PEER_IP, SNTP_PORT));
    let mut lab = Lab::with_settings(Settings { time_server, ..Settings::default() });
    lab.peer.listen_to_datagrams(SNTP_PORT);
    lab
}

fn question(lab: &mut Lab) -> Question {
    let (packet, from) = lab.until_longer("a question", |lab| lab.peer.take_datagram());
    assert_eq!((packet.len(), packet[0]), (48, 0x23), "version 4, client");
    assert!(packet[1..40].iter().all(|byte| *byte == 0), "nothing about the node");
    (packet, from)
}

/// A good answer, changed.
fn answer(lab: &mut Lab, question: &Question, change: impl FnOnce(&mut [u8])) {
    let mut packet = [0; 48];
    packet[..2].copy_from_slice(&[0x24, 2]);
    packet[24..32].copy_from_slice(&question.0[40..]);
    packet[32..36].copy_from_slice(&NOW_1900_S.to_be_bytes());
    packet[40..44].copy_from_slice(&NOW_1900_S.to_be_bytes());
    change(&mut packet);
    lab.peer.send_datagram(&packet, question.1);
}

#[test]
fn a_good_answer_is_the_time_and_the_server_is_asked_again_much_later() {
    let mut lab = lab();
    let first = question(&mut lab);
    answer(&mut lab, &first, |_| {});
    let (reading, _) = lab.until("a reading", |lab| lab.hear_time(None));
    let asked_ns = lab.now_ns;
    assert!(reading.at_ns <= lab.now_ns && reading.delay_ns < 10 * NS_PER_MS, "{reading:?}");
    assert_eq!(reading.wall_ns, NOW_NS + reading.delay_ns / 2);
    let second = question(&mut lab);
    assert!(lab.since_ms(asked_ns) >= SNTP_INTERVAL_MS - 1);
    assert_ne!((&first.0[40..], first.1.port), (&second.0[40..], second.1.port));
}

#[test]
fn an_answer_of_the_same_host_needs_no_checksum_and_any_other_does() {
    for (stated, is_taken) in [(UDP_CHECKSUM, true), (UDP_CHECKSUM + 10, false)] {
        let mut lab = lab();
        let asked = question(&mut lab);
        lab.to_node.borrow_mut().left_at = Some(stated);
        answer(&mut lab, &asked, |_| {});
        lab.pass_ms(SNTP_TIMEOUT_MS / 2);
        assert_eq!(lab.hear_time(None).is_some(), is_taken, "{stated}");
    }
}

#[test]
fn a_silent_server_is_asked_less_and_less_often() {
    let mut lab = lab();
    let mut wait_ms = SNTP_RETRY_MS;
    let _ = question(&mut lab);
    for _ in 0..12 {
        let asked_ns = lab.now_ns;
        let _ = lab.until_longer("a question", |lab| lab.peer.take_datagram());
        let expected_ms = SNTP_TIMEOUT_MS + wait_ms;
        assert!(lab.since_ms(asked_ns).abs_diff(expected_ms) <= 5, "{expected_ms}");
        wait_ms = (2 * wait_ms).min(SNTP_RETRY_MS_MAX);
    }
}

#[test]
fn an_answer_from_somebody_else_changes_nothing() {
    let mut lab = lab();
    let asked = question(&mut lab);
    answer(&mut lab, &asked, |packet| packet[31] ^= 1);
    answer(&mut lab, &asked, |packet| packet[0] = 0x23);
    lab.pass_ms(SNTP_TIMEOUT_MS / 2);
    assert_eq!(lab.hear_time(None), None);
    answer(&mut lab, &asked, |_| {});
    lab.until("the reading", |lab| lab.hear_time(None));
    answer(&mut lab, &asked, |_| {});
    lab.pass_ms(SNTP_TIMEOUT_MS);
    assert_eq!(lab.hear_time(None), None, "each question has one answer");
}

/// A kiss-o'-death (RFC 5905, 7.4).
fn kiss(lab: &mut Lab, question: &Question, code: &[u8; 4]) {
    answer(lab, question, |packet| {
        packet[1] = 0;
        packet[12..16].copy_from_slice(code);
    });
}

#[test]
fn a_server_that_wants_to_be_asked_less_often_is() {
    let mut lab = lab();
    let mut asked = question(&mut lab);
    let mut interval_ms = SNTP_INTERVAL_MS;
    for _ in 0..3 {
        kiss(&mut lab, &asked, b"RATE");
        interval_ms *= 2;
        for _ in 0..2 {
            let asked_ns = lab.now_ns;
            asked = question(&mut lab);
            assert!(lab.since_ms(asked_ns) >= interval_ms - 1, "{interval_ms}");
            assert_eq!(say(&mut lab, &asked, 0, None), Opinion::Believed);
        }
        asked = question(&mut lab);
    }
}

#[test]
fn a_server_that_does_not_want_to_be_asked_is_left_alone() {
    for code in [b"DENY", b"RSTR"] {
        let mut lab = lab();
        let asked = question(&mut lab);
        kiss(&mut lab, &asked, code);
        lab.pass_ms(4 * SNTP_RETRY_MS_MAX);
        assert!(lab.peer.take_datagram().is_none());
        assert_eq!(lab.hear_time(None), None);
    }
}

#[test]
fn a_server_that_has_just_been_started_is_asked_again_soon() {
    let mut lab = lab();
    let asked = question(&mut lab);
    kiss(&mut lab, &asked, b"INIT");
    let asked_ns = lab.now_ns;
    let _ = question(&mut lab);
    assert!(lab.since_ms(asked_ns) <= SNTP_RETRY_MS + 5);
}

/// Answers with what the time is, but for `wrong_s`, and returns what becomes of it.
fn say(lab: &mut Lab, asked: &Question, wrong_s: i64, machine: Option<i64>) -> Opinion {
    let elapsed_s = (lab.now_ns / 1_000_000_000) as i64;
    let seconds = (i64::from(NOW_1900_S) + elapsed_s + wrong_s) as u32;
    answer(lab, asked, |packet| {
        packet[32..36].copy_from_slice(&seconds.to_be_bytes());
        packet[40..44].copy_from_slice(&seconds.to_be_bytes());
    });
    lab.until("an opinion", |lab| {
        let machine_s = machine.map(|wrong_s| elapsed_s + wrong_s);
        let machine_ns = machine_s.and_then(|s| NOW_NS.checked_add_signed(s * 1_000_000_000));
        lab.hear_time(machine_ns).map(|(_, opinion)| opinion)
    })
}

#[test]
fn a_server_that_begins_to_lie_is_asked_again_and_followed_if_it_insists_on_little() {
    let (near_s, far_s) = (CLOCK_MOVE_MAX_MS as i64 / 1000 - 1, 86_400);
    for (wrong_s, machine, is_believed) in [
        (near_s, None, true),
        (-near_s, None, true),
        (far_s, None, false),
        (-far_s, Some(0), false),
        // It slept.
        (far_s, Some(far_s), true),
    ] {
        let mut lab = lab();
        let asked = question(&mut lab);
        assert_eq!(say(&mut lab, &asked, 0, None), Opinion::Believed);
        let mut asked = question(&mut lab);
        for _ in 1..CLOCK_AGREEING {
            let opinion = say(&mut lab, &asked, wrong_s, machine);
            assert!(matches!(opinion, Opinion::Doubted(_)), "{opinion:?}");
            let answered_ns = lab.now_ns;
            asked = question(&mut lab);
            let waited_ms = lab.since_ms(answered_ns);
            assert!(waited_ms.abs_diff(SNTP_DOUBT_MS) <= 5, "{waited_ms}");
        }
        let opinion = say(&mut lab, &asked, wrong_s, machine);
        assert_eq!(opinion.is_belief(), is_believed, "{wrong_s} {machine:?}");
        // In the end it says the truth.
        let asked = question(&mut lab);
        assert_eq!(say(&mut lab, &asked, 0, None).is_belief(), !is_believed);
    }
}

#[test]
fn a_server_that_is_not_there_is_sought_only_while_a_question_waits() {
    let time_server = Server::At(SocketAddrV4::new(ABSENT, SNTP_PORT));
    let mut lab = Lab::with_settings(Settings { time_server, ..Settings::default() });
    lab.pass_ms(8 * SNTP_RETRY_MS);
    let asked = asked_ms(&lab);
    // Three questions, during each of which smoltcp asks once a second.
    let asked_max = 3 * SNTP_TIMEOUT_MS as usize / 1000;
    assert!((1..=asked_max).contains(&asked.len()), "{asked:?}");
}

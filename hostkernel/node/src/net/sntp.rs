//! The time from the network: a client of SNTP version 4 (RFC 4330, and RFC 5905 for the checks).
//!
//! It asks one server now and then. The node's own time is in no request: where a server would copy
//! it from stands a random number, which also tells a forger off who does not see the request.

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::udp::{self, PacketBuffer, PacketMetadata};
use smoltcp::wire::IpEndpoint;

use alloc::vec;

use crate::random::Random;
use crate::wall::trust::Reading;
use limits::{
    SNTP_DISTANCE_MAX_MS, SNTP_DOUBT_MS, SNTP_INTERVAL_MS, SNTP_INTERVAL_MS_MAX, SNTP_RETRY_MS,
    SNTP_RETRY_MS_MAX, SNTP_TIMEOUT_MS,
};

const NS_PER_MS: u64 = 1_000_000;
const NS_PER_S: u64 = 1_000_000_000;
const PACKET_LEN: usize = 48;
/// No leap second announced, version 4, client.
const REQUEST: u8 = 4 << 3 | 3;
const MODE_SERVER: u8 = 4;
const UNSYNCHRONISED: u8 = 3;
const STRATUM_MAX: u8 = 15;
/// From 1900 to 1970.
const UNIX_S: u64 = 2_208_988_800;
/// Timestamps have 32 bits of seconds. Smaller ones than this, 2025-01-01, are of the next era.
const ERA_START_S: u64 = 3_944_678_400;
/// Dynamic ports (RFC 6335).
pub const SOURCE_PORTS: u16 = 0xc000;

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is not the answer to what was asked. Another may come.
    Foreign,
    /// The server does not know, or its times cannot be.
    Useless,
    /// The server asks to be asked less often (a kiss-o'-death, RFC 5905, 7.4) ...
    TooOften,
    /// ... or no more.
    Unwanted,
}

/// A question without an answer.
#[derive(Clone, Copy)]
struct Question {
    /// The number in it.
    cookie: [u8; 8],
    /// When it left: that may have to wait for the server's hardware address.
    sent_ns: Option<u64>,
}

/// Asks for the time.
pub struct Sntp {
    socket: SocketHandle,
    server: Option<IpEndpoint>,
    question: Option<Question>,
    next_ns: Option<u64>,
    interval_ms: u64,
    retry_ms: u64,
}

impl Sntp {
    /// A client that has no server yet.
    pub fn new(sockets: &mut SocketSet<'static>) -> Self {
        let buffer = || PacketBuffer::new(vec![PacketMetadata::EMPTY; 2], vec![0; 4 * PACKET_LEN]);
        let socket = sockets.add(udp::Socket::new(buffer(), buffer()));
        let (interval_ms, retry_ms) = (SNTP_INTERVAL_MS, SNTP_RETRY_MS);
        Self { socket, server: None, question: None, next_ns: None, interval_ms, retry_ms }
    }

    /// Says whom to ask; nobody while the node has no address.
    pub fn set_server(&mut self, server: Option<IpEndpoint>, now_ns: u64) {
        if self.server != server {
            self.server = server;
            self.question = None;
            self.interval_ms = SNTP_INTERVAL_MS;
            self.retry_ms = SNTP_RETRY_MS;
            self.next_ns = server.map(|_| now_ns);
        }
    }

    /// Whom it asks.
    pub fn server(&self) -> Option<IpEndpoint> {
        self.server
    }

    /// When to be called again.
    pub fn next_ns(&self) -> Option<u64> {
        self.next_ns
    }

    /// Takes an answer, asks when it is time to.
    pub fn poll(
        &mut self,
        sockets: &mut SocketSet<'static>,
        random: &mut Random,
        now_ns: u64,
    ) -> Option<Reading> {
        let server = self.server?;
        let socket = sockets.get_mut::<udp::Socket>(self.socket);
        while let Ok((packet, from)) = socket.recv() {
            let Some(Question { cookie, sent_ns: Some(sent_ns) }) = self.question else { continue };
            if from.endpoint != server {
                continue;
            }
            match read(packet, cookie, sent_ns, now_ns) {
                Ok(reading) => {
                    self.rest(self.interval_ms, now_ns);
                    self.retry_ms = SNTP_RETRY_MS;
                    return Some(reading);
                }
                Err(Refusal::Foreign) => {}
                Err(Refusal::Useless) => self.try_later(now_ns),
                Err(Refusal::TooOften) => {
                    self.interval_ms = (self.interval_ms * 2).min(SNTP_INTERVAL_MS_MAX);
                    self.rest(self.interval_ms, now_ns);
                }
                Err(Refusal::Unwanted) => {
                    log::warn!("the time server {} does not want to be asked", server.addr);
                    (self.question, self.next_ns) = (None, None);
                }
            }
        }
        if self.next_ns.is_some_and(|next_ns| next_ns <= now_ns) {
            if self.question.is_some() {
                // It may not have left: whoever does not find the server looks for nobody else.
                sockets.get_mut::<udp::Socket>(self.socket).close();
                self.try_later(now_ns);
            } else {
                self.ask(sockets, random, server, now_ns);
            }
        }
        None
    }

    fn ask(
        &mut self,
        sockets: &mut SocketSet<'static>,
        random: &mut Random,
        server: IpEndpoint,
        now_ns: u64,
    ) {
        let word = random.word();
        let cookie = random.word().to_be_bytes();
        let mut packet = [0; PACKET_LEN];
        packet[0] = REQUEST;
        packet[40..].copy_from_slice(&cookie);
        let socket = sockets.get_mut::<udp::Socket>(self.socket);
        socket.close();
        // Port and room are there; if not, this is a question without an answer.
        let _ = socket.bind(SOURCE_PORTS | word as u16);
        let _ = socket.send_slice(&packet, server);
        self.question = Some(Question { cookie, sent_ns: None });
        self.next_ns = Some(now_ns + SNTP_TIMEOUT_MS * NS_PER_MS);
    }

    /// Looks whether the question has left, after the sockets were given the chance.
    pub fn note_sent(&mut self, sockets: &SocketSet<'static>, now_ns: u64) {
        if let Some(Question { sent_ns: sent_ns @ None, .. }) = &mut self.question
            && sockets.get::<udp::Socket>(self.socket).send_queue() == 0
        {
            *sent_ns = Some(now_ns);
        }
    }

    /// Asks again soon: the last answer was doubted. Whoever wants to be asked seldom is.
    pub fn ask_again(&mut self, now_ns: u64) {
        if self.interval_ms == SNTP_INTERVAL_MS && self.server.is_some() {
            self.rest(SNTP_DOUBT_MS, now_ns);
        }
    }

    fn try_later(&mut self, now_ns: u64) {
        self.rest(self.retry_ms, now_ns);
        self.retry_ms = (self.retry_ms * 2).min(SNTP_RETRY_MS_MAX);
    }

    fn rest(&mut self, ms: u64, now_ns: u64) {
        self.question = None;
        self.next_ns = Some(now_ns + ms * NS_PER_MS);
    }
}

/// Checks an answer that arrived at `now_ns` to the question `cookie`, sent at `sent_ns`.
fn read(packet: &[u8], cookie: [u8; 8], sent_ns: u64, now_ns: u64) -> Result<Reading, Refusal> {
    let (packet, _) = packet.split_first_chunk::<PACKET_LEN>().ok_or(Refusal::Foreign)?;
    let [first, stratum, ..] = *packet;
    let (leap, version, mode) = (first >> 6, first >> 3 & 7, first & 7);
    let word = |at: usize| packet[at..].first_chunk().map_or(0, |word| u32::from_be_bytes(*word));
    if mode != MODE_SERVER || packet[24..32] != cookie || !(3..=4).contains(&version) {
        return Err(Refusal::Foreign);
    }
    if stratum == 0 {
        return Err(match &packet[12..16] {
            b"DENY" | b"RSTR" => Refusal::Unwanted,
            b"RATE" => Refusal::TooOften,
            // It has just been started, or says what nobody knows.
            _ => Refusal::Useless,
        });
    }
    // The server's distance from the true time, in units of 1/65536 s.
    let (root_delay, root_dispersion) = (u64::from(word(4)), u64::from(word(8)));
    let distance_ms = (root_delay / 2 + root_dispersion) * 1000 >> 16;
    if leap == UNSYNCHRONISED || stratum > STRATUM_MAX || distance_ms > SNTP_DISTANCE_MAX_MS {
        return Err(Refusal::Useless);
    }
    let timestamp = |at: usize| {
        let (seconds, fraction) = (u64::from(word(at)), u64::from(word(at + 4)));
        let era_s = if seconds < ERA_START_S { 1 << 32 } else { 0 };
        (seconds != 0).then(|| (seconds + era_s - UNIX_S) * NS_PER_S + (fraction * NS_PER_S >> 32))
    };
    let received_ns = timestamp(32).ok_or(Refusal::Useless)?;
    let transmitted_ns = timestamp(40).ok_or(Refusal::Useless)?;
    let within_ns = transmitted_ns.checked_sub(received_ns).ok_or(Refusal::Useless)?;
    // Where the clocks run differently fast, an answer at once may seem to come before that.
    let delay_ns = now_ns.saturating_sub(sent_ns).checked_sub(within_ns).ok_or(Refusal::Useless)?;
    Ok(Reading { at_ns: now_ns, wall_ns: transmitted_ns + delay_ns / 2, delay_ns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOKIE: [u8; 8] = *b"question";
    /// 2026-11-23T02:50:41Z.
    const NOW_S: u64 = 1_795_402_241;

    /// What a server of stratum 2 answers that got the question at `NOW_S` and thought for 1 ms.
    fn answer() -> [u8; PACKET_LEN] {
        let mut packet = [0; PACKET_LEN];
        packet[..2].copy_from_slice(&[4 << 3 | MODE_SERVER, 2]);
        packet[24..32].copy_from_slice(&COOKIE);
        let seconds = ((NOW_S + UNIX_S) as u32).to_be_bytes();
        packet[32..36].copy_from_slice(&seconds);
        packet[40..44].copy_from_slice(&seconds);
        packet[44..].copy_from_slice(&4_294_968_u32.to_be_bytes());
        packet
    }

    fn with(change: impl FnOnce(&mut [u8; PACKET_LEN])) -> Result<Reading, Refusal> {
        let mut packet = answer();
        change(&mut packet);
        read(&packet, COOKIE, 1_000 * NS_PER_MS, 1_011 * NS_PER_MS)
    }

    #[test]
    fn the_time_is_what_the_server_said_and_half_the_way() {
        let reading = with(|_| {}).expect("a good answer");
        assert_eq!(reading.at_ns, 1_011 * NS_PER_MS);
        let ns_of = |ns: u64, of: u64| ns.abs_diff(of) < 1_000;
        assert!(ns_of(reading.delay_ns, 10 * NS_PER_MS), "{reading:?}");
        assert!(ns_of(reading.wall_ns, NOW_S * NS_PER_S + 6 * NS_PER_MS), "{reading:?}");
        // After 2036 the seconds begin again.
        let reading = with(|packet| {
            packet[32..36].copy_from_slice(&1_u32.to_be_bytes());
            packet[40..44].copy_from_slice(&1_u32.to_be_bytes());
        });
        let second_s = reading.expect("a good answer").wall_ns / NS_PER_S;
        assert_eq!(second_s, (1 << 32) + 1 - UNIX_S);
    }

    #[test]
    fn what_is_no_good_answer_is_refused() {
        let refused = |refusal, change: fn(&mut [u8; PACKET_LEN])| {
            assert_eq!(with(change), Err(refusal));
        };
        refused(Refusal::Foreign, |packet| packet[24] ^= 1);
        refused(Refusal::Foreign, |packet| packet[0] = REQUEST);
        refused(Refusal::Foreign, |packet| packet[0] = 1 << 3 | MODE_SERVER);
        refused(Refusal::Useless, |packet| packet[1] = 0);
        for (code, refusal) in [
            (b"DENY", Refusal::Unwanted),
            (b"RSTR", Refusal::Unwanted),
            (b"RATE", Refusal::TooOften),
            (b"INIT", Refusal::Useless),
        ] {
            let kiss = with(|packet| {
                packet[1] = 0;
                packet[12..16].copy_from_slice(code);
            });
            assert_eq!(kiss, Err(refusal));
        }
        refused(Refusal::Useless, |packet| packet[1] = 16);
        refused(Refusal::Useless, |packet| packet[0] |= UNSYNCHRONISED << 6);
        refused(Refusal::Useless, |packet| packet[9] = 2);
        refused(Refusal::Useless, |packet| packet[40..].fill(0));
        refused(Refusal::Useless, |packet| packet[43] -= 1);
        refused(Refusal::Useless, |packet| packet[43] += 1);
        let short = read(&answer()[..47], COOKIE, 0, 1);
        assert_eq!(short, Err(Refusal::Foreign));
    }

    proptest! {
        #[test]
        fn nothing_panics(packet: [u8; PACKET_LEN], more: bool, sent_ns: u64, now_ns: u64) {
            let mut packet = packet;
            if more {
                packet[0] = answer()[0];
                packet[24..32].copy_from_slice(&COOKIE);
            }
            let _ = read(&packet, COOKIE, sent_ns, now_ns);
        }
    }
}

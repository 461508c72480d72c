//! Frames, addresses, connections from outside, and servers of time, names of hosts and logs.

use crate::HEAD_LEN_MAX;

/// TCP port of the API unless configured.
pub const PORT_DEFAULT: u16 = 3233;
/// Open connections. Fewer on a node with little heap.
pub const CONNECTIONS_MAX: usize = 1024;
/// Share of the heap that connections may take, as a divisor.
pub const CONNECTIONS_HEAP_DIVISOR: usize = 2;
/// Share of the connections that is kept, as a divisor: half for requests with a key, half for
/// health checks, metrics and draining, however many wait for their answers.
pub const CONNECTIONS_KEPT_DIVISOR: usize = 8;
/// Half-open connections that are safe from being given up for newer ones while the table is full.
pub const HALF_OPEN_MIN: usize = 64;
/// Neighbours whose hardware address is known at a time ...
pub const NEIGHBOURS_MAX: usize = 256;
/// ... in sets of so many, of which a neighbour is in one.
pub const NEIGHBOUR_WAYS: usize = 4;
/// A neighbour that was silent for so long is asked whether it is still there ...
pub const NEIGHBOUR_FRESH_MS: u64 = 45_000;
/// ... and after so long it is not known any more.
pub const NEIGHBOUR_LIFE_MS: u64 = 60_000;
/// How long the holder of an address has to object when another claims it.
pub const NEIGHBOUR_ANSWER_MS: u64 = 1_000;
/// How often a packet from elsewhere makes the node ask whether a neighbour has moved.
pub const NEIGHBOUR_DOUBT_MS: u64 = 5_000;
/// How long what was found for one packet holds for the next ones to or from the same address.
pub const WAY_KEPT_MS: u64 = 1_000;
/// Neighbours that are looked for at a time.
pub const ARP_ASKED_MAX: usize = 32;
/// How often each is asked, and the pause between.
pub const ARP_TRIES: u8 = 3;
/// See [`ARP_TRIES`].
pub const ARP_INTERVAL_MS: u64 = 1_000;
/// Frames that wait for the hardware address of a neighbour, all together.
pub const FRAMES_HELD_MAX: usize = 32;
/// How often a new address is announced (RFC 5227), and the pause between.
pub const ANNOUNCEMENTS: u8 = 2;
/// See [`ANNOUNCEMENTS`].
pub const ANNOUNCE_INTERVAL_MS: u64 = 2_000;
/// How often at most somebody is told that the node's address is taken (RFC 5227).
pub const CONFLICT_INTERVAL_MS: u64 = 10_000;
/// Routes besides that to the node's own network.
pub const ROUTES_MAX: usize = 16;
/// Smallest packet that every host takes whole (RFC 791); nobody is believed who says less.
pub const MTU_MIN: usize = 576;
/// Smallest packet size that is believed of a path. No link in use today takes less.
pub const PATH_MTU_MIN: usize = 552;
/// Paths that are known to take less than the wire.
pub const PATHS_MAX: usize = 64;
/// How long that is remembered (RFC 1191, 6.3).
pub const PATH_MTU_KEPT_MS: u64 = 600_000;
/// Nothing acknowledged for so long means that large packets vanish: two repetitions were in vain.
pub const BLACK_HOLE_MS: u64 = 3_000;
/// With every connection taken one is given up for a newer one on which no request was admitted for
/// this long: none has come, or it was refused and the answer is not taken.
pub const UNADMITTED_SPARED_MS: u64 = 2_000;
/// Receive buffer of a connection: the TCP window.
pub const RECEIVE_BUFFER_LEN: usize = 8 * 1024;
/// Send buffer of a connection.
pub const SEND_BUFFER_LEN: usize = 16 * 1024;
/// Largest receive buffer of a connection whose client sends much.
pub const RECEIVE_WIDE_LEN_MAX: usize = 256 * 1024;
/// Largest send buffer of one that gets a long answer.
pub const SEND_WIDE_LEN_MAX: usize = 1024 * 1024;
/// Less is not worth it.
pub const WIDE_LEN_MIN: usize = 64 * 1024;
/// A request that is longer than this gets a larger receive buffer.
pub const WIDE_AFTER_LEN: usize = 16 * 1024;
/// What all larger buffers take together, for each connection that there can be ...
pub const WIDE_LEN_PER_CONNECTION: usize = 8 * 1024;
/// ... and at least.
pub const WIDE_LEN_TOTAL_MIN: usize = 2 << 20;
/// What is under way at first on a connection with a larger send buffer, in segments (RFC 6928) ...
pub const INITIAL_WINDOW_SEGMENTS: usize = 10;
/// ... and in bytes.
pub const INITIAL_WINDOW_LEN_MAX: usize = 14_600;
/// After this, and so many round trips, what was not acknowledged is sent again for the first time.
/// Clients may put an acknowledgement off by 200 ms.
pub const HURRY_MS: u64 = 250;
/// See [`HURRY_MS`]: what RFC 6298 makes of one round trip.
pub const HURRY_ROUND_TRIPS: u64 = 3;
/// Steps in which one acknowledgement counts for congestion control at most.
pub const ACKNOWLEDGED_STEPS_MAX: usize = 64;
/// What a connection costs at most unless it needs more: its buffers and the head of its request.
pub const CONNECTION_LEN: usize = RECEIVE_BUFFER_LEN + SEND_BUFFER_LEN + HEAD_LEN_MAX;
/// Connections that even a node with the least memory can have.
pub const CONNECTIONS_MIN: usize = 256;
/// A connection on which no request is under way is closed after this unless configured: more than
/// the 60 s for which common load balancers keep theirs, so that it is they who close.
pub const IDLE_TIMEOUT_MS: u64 = 75_000;
/// Longest configurable idle time.
pub const IDLE_TIMEOUT_MS_MAX: u64 = 3_600_000;
/// A connection whose client takes nothing of an answer for this long is given up.
pub const STALL_TIMEOUT_MS: u64 = 60_000;
/// A request whose head or body makes no progress for this long is answered 408.
pub const PROGRESS_TIMEOUT_MS: u64 = 10_000;
/// A request must be complete this long after its first byte ...
pub const REQUEST_TIMEOUT_MS: u64 = 120_000;
/// ... and a second later for each so many bytes that have arrived: who sends at least as fast may
/// send for as long as it takes.
pub const REQUEST_RATE_MIN: u64 = 16 * 1024;
/// Descriptors of each queue of a network card.
pub const NIC_QUEUE_LEN: usize = 256;
/// Buffer for one frame: virtio's header, Ethernet's, 1,500 bytes, rounded up.
pub const NIC_BUFFER_LEN: usize = 2048;
/// Largest packet sent or asked for: Ethernet's. A card that says more gets no more.
pub const MTU_MAX: usize = 1500;
/// Packets in parts that may be incomplete at a time ...
pub const FRAGMENTED_MAX: usize = 32;
/// ... of one sender, which the others must not wait for ...
pub const FRAGMENTED_PER_SENDER_MAX: usize = 8;
/// ... and parts of each, duplicates included. A router makes none of less than 48 bytes but the
/// last (RFC 791, 3.2).
pub const FRAGMENTS_EACH_MAX: u32 = 64;
const _: () = assert!(FRAGMENTED_PER_SENDER_MAX < FRAGMENTED_MAX);
const _: () = assert!(FRAGMENTS_EACH_MAX as usize >= MTU_MAX / 48);
/// When the rest of a packet has to be there.
pub const FRAGMENT_TIMEOUT_MS: u64 = 30_000;
/// Frames taken from the NIC before completions and timers get their turn.
pub const FRAMES_PER_POLL_MAX: usize = 256;
/// Ranges of buses that firmware may name, and of addresses for their functions.
pub const PCI_RANGES_MAX: usize = 64;
/// PCI functions that are remembered; a machine with more may not see all of its cards.
pub const PCI_FUNCTIONS_MAX: usize = 1024;
/// Capabilities of a PCI function: as many as its configuration space has room for.
pub const PCI_CAPABILITIES_MAX: usize = 48;
/// Where time servers listen.
pub const SNTP_PORT: u16 = 123;
/// How often a time server is asked that answers.
pub const SNTP_INTERVAL_MS: u64 = 512_000;
/// How long to wait for its answer.
pub const SNTP_TIMEOUT_MS: u64 = 2_000;
/// How long to wait before it is asked again if there was none, at first; then twice as long ...
pub const SNTP_RETRY_MS: u64 = 2_000;
/// ... up to this.
pub const SNTP_RETRY_MS_MAX: u64 = 1_024_000;
/// A time server that says it may be wrong by more than this is not believed (RFC 5905, `MAXDIST`).
pub const SNTP_DISTANCE_MAX_MS: u64 = 1_500;
/// How seldom a time server is asked in the end that wants to be asked less (RFC 5905, `MAXPOLL`).
pub const SNTP_INTERVAL_MS_MAX: u64 = 131_072_000;
/// How long to wait before a time server is asked again whose answer was doubted.
pub const SNTP_DOUBT_MS: u64 = 64_000;
/// A wall clock that is behind by less is not set but runs a little faster.
pub const CLOCK_STEP_MS: u64 = 128;
/// So many answers that agree make good that they do not agree with those believed before ...
pub const CLOCK_AGREEING: u32 = 6;
/// ... which is to take some minutes (RFC 5905, `WATCH`).
const CLOCK_DOUBT_MS_MIN: u64 = 300_000;
const _: () = assert!(SNTP_DOUBT_MS * (CLOCK_AGREEING as u64 - 1) >= CLOCK_DOUBT_MS_MIN);
/// By how much a time server may so move the clock (RFC 5905, `PANICT`) ...
pub const CLOCK_MOVE_MAX_MS: u64 = 1_000_000;
/// ... once in this time. More is believed if the machine's own clock says the same.
pub const CLOCK_MOVE_INTERVAL_MS: u64 = 3_600_000;
/// Counters that were measured at boot are wrong by less than one in so many.
pub const CLOCK_DRIFT_DIVISOR: u64 = 256;
/// Where log servers listen.
pub const SYSLOG_PORT: u16 = 514;
/// Longest datagram for a log server. All of them take 480 bytes, most 2,048 (RFC 5424, 6.1).
pub const SYSLOG_LEN_MAX: usize = 1024;
/// What of it is left to what stands in front of structured data and message.
pub const SYSLOG_HEADER_LEN_MAX: usize = 80;
/// Lines that wait for the log server, all together; further ones are lost ...
pub const SYSLOG_QUEUE_LEN: usize = 64 * 1024;
/// ... and their number.
pub const SYSLOG_LINES_MAX: usize = 512;
/// Lines sent before frames and completions get their turn.
pub const SYSLOG_LINES_PER_POLL_MAX: usize = 64;
/// How long to wait before a log server is tried again that could not be reached, at first; then
/// twice as long ...
pub const SYSLOG_RETRY_MS: u64 = 1_000;
/// ... up to this.
pub const SYSLOG_RETRY_MS_MAX: u64 = 64_000;
/// Longest DHCP message whose options are looked at.
pub const DHCP_LEN_MAX: usize = 1_472;
/// Longest list of classless routes in one.
pub const DHCP_ROUTES_LEN_MAX: usize = 512;
/// A lease that names no time ...
pub const DHCP_LEASE_MS_DEFAULT: u64 = 3_600_000;
/// ... and one that names less than this lasts this long.
pub const DHCP_LEASE_MS_MIN: u64 = 10_000;
/// The shortest pause before a lease is renewed, and before that is tried again.
pub const DHCP_RENEW_MS_MIN: u64 = 4_000;
/// The first pause before a server is asked again for an address; then twice as long ...
pub const DHCP_RETRY_MS: u64 = 4_000;
/// ... up to this.
pub const DHCP_RETRY_MS_MAX: u64 = 64_000;
/// How often an offer is asked for before others are.
pub const DHCP_REQUESTS_MAX: u32 = 4;
/// How long a node that was asked to leave goes on serving unless configured, so that load
/// balancers notice: three failed checks two seconds apart, or endpoints taken out of every proxy.
pub const DRAIN_ACCEPT_MS: u64 = 10_000;
/// The same if nobody has asked it anything for as long.
pub const DRAIN_QUIET_MS: u64 = 2_000;
/// How long it waits for clients to take their answers when everything has ended, unless
/// configured.
pub const DRAIN_READERS_MS: u64 = 10_000;
/// Longest configurable time of either kind.
pub const DRAIN_MS_MAX: u64 = 3_600_000;

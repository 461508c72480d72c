//! Every limit and size of the node, with compile-time checks between those that depend on each
//! other.
//!
//! Units are last in the name: `_LEN` bytes, `_PAGES` pages of 4 KiB, `_NS` / `_MS` time, `_MAX`
//! and `_MIN` inclusive bounds. A loop, queue or table over anything from outside refers to one of
//! these.
#![no_std]
#![forbid(unsafe_code)]

/// Smallest unit of mapping, in bytes.
pub const PAGE_LEN: usize = action_abi::PAGE_LEN;

// --- machine ---------------------------------------------------------------------------------

/// Processors the node takes over; further ones stay as firmware left them.
pub const CORES_MAX: usize = 256;
/// Kernel stack of a core. The deepest path is a deploy: HTTP, API, JSON, ELF, template.
pub const KERNEL_STACK_LEN: usize = 64 * 1024;
/// Each of the per-core stacks for NMI, double fault, machine check and debug exceptions.
pub const EMERGENCY_STACK_LEN: usize = 2 * PAGE_LEN;
/// Machine check banks of a processor that are looked at: as many as have registers in a row.
pub const MACHINE_CHECK_BANKS_MAX: u64 = 32;
/// How often a core that wakes looks for errors that its hardware corrected.
pub const MACHINE_CHECK_POLL_NS: u64 = 5_000_000_000;
/// How long a core may take to report that it started; then it is stopped for good.
pub const START_TIMEOUT_NS: u64 = 1_000_000_000;
/// Entries of the boot loader's memory map that are looked at; real ones have some hundred.
pub const MEMORY_ENTRIES_MAX: usize = 4096;
/// Ranges of memory that are used; further ones are not, and the log says so.
pub const MEMORY_RANGES_MAX: usize = 256;
/// Bytes of an ACPI table that are looked at. The longest of real boards have some 300 KiB.
pub const ACPI_TABLE_LEN_MAX: usize = 1 << 20;
/// ACPI tables that are looked at.
pub const ACPI_TABLES_MAX: usize = 256;
/// I/O APICs of a machine that are used.
pub const IOAPICS_MAX: usize = 64;
/// Interrupt lines that firmware says are not as usual. The old PC's bus has 16.
pub const LINE_OVERRIDES_MAX: usize = 64;
/// Interrupts of a source that are looked at together, to see whether they are for anything ...
pub const INTERRUPTS_WATCHED: u32 = 1000;
/// ... and how many of them may be for nothing. With more the source is switched off and polled.
pub const INTERRUPTS_UNSERVICED_MAX: u32 = 900;
/// An interrupt for nothing so long after the last is the first of new ones.
pub const INTERRUPT_GAP_NS: u64 = 100_000_000;
/// How long an action that was interrupted goes on at least while the network has more to do.
pub const FRONT_SLICE_MIN_NS: u64 = 50_000;
/// From so much on that the network owes an action which it interrupted, the card is kept quiet.
pub const FRONT_OWED_MIN_NS: u64 = 200_000;
/// The most time that the network owes an action which it interrupted: how long a frame can wait.
pub const FRONT_OWED_MAX_NS: u64 = 20_000_000;
/// How often a network card is polled whose interrupts are switched off.
pub const CARD_POLL_NS: u64 = 1_000_000;
/// How often the power button is polled, likewise.
pub const BUTTON_POLL_NS: u64 = 250_000_000;
/// Modules of the boot loader that are looked at for the machine's description.
pub const BOOT_MODULES_MAX: usize = 16;
/// Devices that the command line may name by `virtio_mmio.device=`.
pub const VIRTIO_WORDS_MAX: usize = 32;
/// With less memory the node does not start.
pub const MEMORY_LEN_MIN: usize = 56 << 20;
/// Frames that move between a core's own list and the shared one at a time.
pub const FRAME_BATCH: usize = 32;
/// Frames a core zeroes in advance while it has nothing to do: what two small instances take.
pub const FRAMES_ZEROED_AHEAD: usize = 16;
/// Frames that a core zeroes between two looks whether it has something better to do.
pub const FRAMES_ZEROED_AT_ONCE: usize = 4;
/// Frames that can rest in one core's lists where no other core can take them.
pub const FRAMES_STRANDED_PER_CORE: usize = 3 * FRAME_BATCH;
/// The heap takes this much ...
pub const HEAP_LEN_BASE: usize = 15 << 20;
/// ... plus this fraction of memory ...
pub const HEAP_MEMORY_DIVISOR: usize = 8;
/// ... up to this much.
pub const HEAP_LEN_MAX: usize = 512 << 20;
/// With less free heap than this a request is refused with 503 before it allocates anything.
pub const HEAP_RESERVE_LEN: usize = 1 << 20;

// --- configuration ---------------------------------------------------------------------------

/// Kernel command line; a node with a longer one does not serve, for what was cut off may be a key.
pub const COMMAND_LINE_LEN_MAX: usize = 4096;
/// A file with settings.
pub const CONFIG_LEN_MAX: usize = 64 * 1024;
/// Mistakes in the configuration that are listed in the log.
pub const CONFIG_PROBLEMS_MAX: usize = 32;
/// What the log shows of a text in the configuration, in characters.
pub const PROBLEM_LEN_MAX: usize = 80;
/// Namespaces with a key. Every request with a key is compared with all of them.
pub const NAMESPACES_MAX: usize = 64;
/// Name of a namespace.
pub const NAMESPACE_LEN_MAX: usize = 64;
/// Key of a namespace, both parts.
pub const KEY_LEN_MAX: usize = 256;
/// Largest configurable quota, whatever it counts.
pub const QUOTA_MAX: u64 = 1_000_000;
/// Boot bundle.
pub const BUNDLE_LEN_MAX: usize = 1 << 30;
/// Files and folders in a boot bundle.
pub const BUNDLE_ENTRIES_MAX: usize = 4096;
/// Path in a boot bundle.
pub const BUNDLE_PATH_LEN_MAX: usize = 1024;
/// Limits, annotations and parameters of an action in a boot bundle, as JSON text.
pub const BUNDLE_DOCUMENT_LEN_MAX: usize = 2 * PARAMETERS_LEN_MAX + 64 * 1024;
/// Files in QEMU's list of them that are looked at.
pub const FW_CFG_FILES_MAX: usize = 1024;
/// SMBIOS tables, all together.
pub const SMBIOS_LEN_MAX: usize = 256 * 1024;

// --- network ---------------------------------------------------------------------------------

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

// --- HTTP ------------------------------------------------------------------------------------

/// Request line and header fields together.
pub const HEAD_LEN_MAX: usize = 16 * 1024;
/// Request target (path and query).
pub const TARGET_LEN_MAX: usize = 8 * 1024;
/// Header fields of one request.
pub const HEADERS_MAX: usize = 100;
/// Request method. The longest the node knows has 7 letters; registered ones go up to 17.
pub const METHOD_LEN_MAX: usize = 32;
/// Header fields that an action makes, all together.
pub const ACTION_FIELDS_LEN_MAX: usize = 16 * 1024;
/// Name of such a field, as JSON text.
pub const HEADER_NAME_LEN_MAX: usize = 256;
/// Empty lines skipped before a request line; some old clients send one after a body.
pub const BLANK_LINES_MAX: usize = 4;
/// Trailer fields and chunk extensions of a chunked body, all together.
pub const CHUNK_OVERHEAD_LEN_MAX: usize = 16 * 1024;
/// Hexadecimal digits of a chunk's size, leading zeros included.
pub const CHUNK_SIZE_DIGITS_MAX: usize = 16;
/// Bodies up to this long are copied behind the head of the answer, so that both leave in one TCP
/// segment of 1,460 bytes.
pub const INLINE_BODY_LEN_MAX: usize = 1024;
/// Room for answers that an idle connection keeps, so that the next one needs no allocation.
pub const OUTPUT_LEN_KEPT_MAX: usize = 2048;
/// Likewise for the text of requests and the header fields of answers.
pub const TEXT_LEN_KEPT_MAX: usize = 2048;
/// What `Keep-Alive: timeout` announces: a little less than [`IDLE_TIMEOUT_MS`], so that a client
/// does not send into a connection that is just being closed.
pub const KEEP_ALIVE_ANNOUNCED_S: u64 = IDLE_TIMEOUT_MS / 1000 - 5;
/// Requests answered on one connection before it is closed, so that load balancers rebalance.
pub const REQUESTS_PER_CONNECTION_MAX: u32 = 1_000_000;

// --- connections out -------------------------------------------------------------------------

/// Connections that the node itself has opened.
pub const OUTGOING_MAX: usize = 8;
/// Receive buffer of one: as much as may be under way to it ...
pub const OUTGOING_RECEIVE_LEN: usize = 64 * 1024;
/// ... and its send buffer.
pub const OUTGOING_SEND_LEN: usize = 16 * 1024;
/// Requests of the node that are under way or wait for a connection.
pub const CALLS_MAX: usize = 32;
/// How long a server may take to accept a connection: the first repetitions are after 1 and 3 s.
pub const CONNECT_TIMEOUT_MS: u64 = 4_000;
/// How long it may take from the end of the request to the first byte of its answer.
pub const FIRST_BYTE_TIMEOUT_MS: u64 = 10_000;
/// How long nothing may move while request or answer are under way.
pub const CALL_PROGRESS_TIMEOUT_MS: u64 = 5_000;
/// How long a whole exchange may take ...
pub const CALL_TIMEOUT_MS: u64 = 30_000;
/// ... and a second longer for each so many bytes that have moved.
pub const CALL_RATE_MIN: u64 = 256 * 1024;
/// How long an open connection waits for the next request; less than servers wait.
pub const OUTGOING_IDLE_MS: u64 = 20_000;
/// Status line and header fields of an answer.
pub const ANSWER_HEAD_LEN_MAX: usize = 16 * 1024;
/// Header fields of an answer.
pub const ANSWER_HEADERS_MAX: usize = 64;
/// Interim answers before the one that counts.
pub const ANSWER_INTERIM_MAX: usize = 4;
/// Redirects that are followed, one after the other.
pub const REDIRECTS_MAX: usize = 4;
/// An address on the web that the node goes to.
pub const URL_LEN_MAX: usize = 4096;
/// Bytes that are taken from one connection, or hashed for one, before others get their turn.
pub const CALL_SLICE_LEN: usize = 64 * 1024;
/// Where name servers listen.
pub const DNS_PORT: u16 = 53;
/// Longest answer of a name server over UDP without extensions (RFC 1035, 4.2.1).
pub const DNS_LEN_MAX: usize = 512;
/// Longest name of a host.
pub const HOST_LEN_MAX: usize = 253;
/// Records of one answer that are looked at.
pub const DNS_RECORDS_MAX: usize = 24;
/// How often a name server is asked, and how long it may take each time.
pub const DNS_TRIES: u8 = 3;
/// See [`DNS_TRIES`].
pub const DNS_TIMEOUT_MS: u64 = 1_500;
/// Names whose addresses are remembered.
pub const DNS_CACHE_MAX: usize = 32;
/// How long at least, and at most, whatever the answer says.
pub const DNS_TTL_MS_MIN: u64 = 5_000;
/// See [`DNS_TTL_MS_MIN`].
pub const DNS_TTL_MS_MAX: u64 = 300_000;
/// How long it is remembered that a name has no address.
pub const DNS_ABSENT_MS: u64 = 5_000;

// --- store -----------------------------------------------------------------------------------

/// How long what the registry said of an action holds unless configured.
pub const STORE_FRESH_MS: u64 = 1_000;
/// Longest configurable time of that kind.
pub const STORE_FRESH_MS_MAX: u64 = 3_600_000;
/// What the names of repositories begin with.
pub const STORE_PREFIX_LEN_MAX: usize = 128;
/// How long it is remembered that the registry does not have an action ...
pub const STORE_ABSENT_MS: u64 = 1_000;
/// ... and of how many.
pub const STORE_ABSENT_MAX: usize = 1_024;
/// How long a request waits for the registry to confirm what the node has.
pub const STORE_PATIENCE_MS: u64 = 1_000;
/// How long a registry that did not answer is left alone.
pub const STORE_AWAY_MS: u64 = 1_000;
/// Errands to the registry that are under way or wait for a connection.
pub const ERRANDS_MAX: usize = 256;
/// Those of one tenant for each that there could still be, on a node with several.
pub const ERRANDS_SHARE_FACTOR: usize = 2;
/// Those of them for names that the node does not have, which anybody can make up.
pub const ERRANDS_UNKNOWN_MAX: usize = ERRANDS_MAX / 2;
/// Those of one client's address for each that there could still be.
pub const ERRANDS_UNKNOWN_SHARE_FACTOR: usize = 2;
/// Longest tag (OCI distribution 1.1).
pub const TAG_LEN_MAX: usize = 128;
/// Longest manifest that is read.
pub const MANIFEST_LEN_MAX: usize = 64 * 1024;
/// Longest description of an action in the registry: what a deploy can say, in JSON.
pub const STORE_DOCUMENT_LEN_MAX: usize = BUNDLE_DOCUMENT_LEN_MAX;
/// Longest list of tags in one answer.
pub const TAGS_LEN_MAX: usize = 256 * 1024;
/// Tags that are asked for at a time.
pub const TAGS_PER_PAGE: usize = 1_000;
/// Longest token that is taken from a token server, and its answer.
pub const TOKEN_LEN_MAX: usize = 8 * 1024;
/// See [`TOKEN_LEN_MAX`].
pub const TOKEN_ANSWER_LEN_MAX: usize = 32 * 1024;
/// How long a token holds that does not say (the distribution's specification says so).
pub const TOKEN_LIFE_S: u64 = 60;
/// Tokens that are kept.
pub const TOKENS_MAX: usize = 128;
/// Actions that are looked at to find one that was not used for long.
pub const EVICTION_LOOKS_MAX: usize = 64;
/// Actions that make room for one.
pub const EVICTIONS_MAX: usize = 64;

// --- actions ---------------------------------------------------------------------------------

/// Largest image, decoded and unpacked.
pub const CODE_LEN_MAX: usize = 48 << 20;
/// Largest deploy request: the image in base64 inside JSON, with parameters and annotations.
pub const DEPLOY_LEN_MAX: usize = CODE_LEN_MAX / 3 * 4 + PARAMETERS_LEN_MAX + 64 * 1024;
/// The rest of such a request, without the image.
pub const DEPLOY_REST_LEN_MAX: usize = 2 * PARAMETERS_LEN_MAX + 64 * 1024;
/// What of a deploy, or of a long JSON text, is read, unpacked or hashed at a time; a piece of an
/// archive may be longer by what it is unpacked to at once, 32 KiB ...
pub const SLICE_LEN: usize = 16 * 1024;
/// ... how often ...
pub const SLICE_INTERVAL_NS: u64 = 100_000;
/// ... and what that counts for when turns are taken.
pub const SLICE_NS: u64 = 50_000;
/// Deploys under way; one more is answered 503.
pub const DEPLOYS_MAX: usize = 64;
/// Deploys under way of one tenant for each that there could still be, on a node with several.
pub const DEPLOYS_SHARE_FACTOR: usize = 2;
/// Uploads to the node that nothing has named yet, of all tenants; one more is answered 429.
pub const UPLOADS_MAX: usize = 256;
/// Those of one tenant for each that there could still be, on a node with several.
pub const UPLOADS_SHARE_FACTOR: usize = 2;
/// Pieces in which one of them may come.
pub const UPLOAD_PIECES_MAX: usize = 256;
/// How long one is kept of which nothing more is heard.
pub const UPLOAD_KEPT_MS: u64 = 120_000;
/// Layers of a container image.
pub const IMAGE_LAYERS_MAX: usize = 127;
/// Description of a container image: environment, entrypoint.
pub const IMAGE_CONFIG_LEN_MAX: usize = 64 * 1024;
/// Manifests of one index.
pub const INDEX_MANIFESTS_MAX: usize = 64;
/// Labels of an image, and annotations of a manifest, that are looked at.
pub const LABELS_MAX: usize = 64;
/// One of them, name or value.
pub const LABEL_LEN_MAX: usize = 1024;
/// Files, directories and links of an image, those that say how it is started not counted.
pub const IMAGE_ENTRIES_MAX: usize = ZIP_ENTRIES_MAX - 4;
/// Directories of which a path in an image consists.
pub const IMAGE_DEPTH_MAX: usize = 64;
/// Path in an image, or text of a link.
pub const IMAGE_PATH_LEN_MAX: usize = 1024;
/// All paths and texts together.
pub const IMAGE_NAMES_LEN_MAX: usize = 512 * 1024;
/// What stands in front of an entry of a layer and says more of it.
pub const IMAGE_RECORDS_LEN_MAX: usize = 16 * 1024;
/// Links that lead to an image's entrypoint.
pub const IMAGE_LINKS_MAX: usize = 40;
/// Directories of an image in which its entrypoint is looked for.
pub const IMAGE_SEARCHED_MAX: usize = 64;
/// Bytes of an image's layers, unpacked, that are looked at.
pub const IMAGE_READ_LEN_MAX: usize = 256 << 20;
/// Largest memory an image may ask for with its segments, zeroed parts included.
pub const IMAGE_MEMORY_LEN_MAX: u64 = 512 << 20;
/// Runtimes of the node.
pub const RUNTIMES_MAX: usize = 16;
/// Archive of a runtime.
pub const RUNTIME_LEN_MAX: usize = 256 << 20;
/// Memory that a runtime may take until it waits for code, in MiB, unless stated; less on a node
/// that has less.
pub const RUNTIME_MEMORY_MB_DEFAULT: u64 = 256;
/// How long it may take until then.
pub const RUNTIME_TIMEOUT_MS: u64 = 300_000;
/// Source code that is told as text when somebody asks for an action; longer one is in base64.
pub const SOURCE_TOLD_LEN_MAX: usize = 256 * 1024;
/// Name of a function in source code.
pub const MAIN_LEN_MAX: usize = 256;
/// Loadable segments of an image.
pub const SEGMENTS_MAX: usize = 16;
/// Program headers that are looked at; an image with more is refused.
pub const PROGRAM_HEADERS_MAX: usize = 32;
/// Bytes of `PT_NOTE` segments that are searched for the ABI version.
pub const NOTES_LEN_MAX: usize = 4096;
/// Entries of a zip archive that comes as code.
pub const ZIP_ENTRIES_MAX: usize = 4096;
/// Symbolic links in a row that lead to an archive's executable.
pub const ZIP_LINKS_MAX: usize = 8;
/// Text of such a link.
pub const ZIP_LINK_LEN_MAX: usize = 1024;
/// Deployed actions of the node.
pub const ACTIONS_MAX: usize = 131_072;
/// What an action takes of the kernel heap besides the length of its name, kind, parameters and
/// annotations: its structures, and its places in the registry's trees, which are half full.
pub const ACTION_HEAP_LEN: usize = 768;
/// Share of the heap that deployed actions may take, as a divisor.
pub const REGISTRY_HEAP_DIVISOR: usize = 4;
/// Share of memory that deployed actions leave for requests and answers, as a divisor ...
pub const EXCHANGE_MEMORY_DIVISOR: usize = 16;
/// ... and at least this, and so many times the longest body ...
pub const EXCHANGE_LEN_MIN: usize = 4 << 20;
/// See [`EXCHANGE_LEN_MIN`].
pub const EXCHANGE_BODIES_MIN: usize = 3;
/// ... as far as that is not more than this share of memory. Then bodies must be shorter.
pub const EXCHANGE_MEMORY_DIVISOR_MIN: usize = 8;
/// What the request or answer of one connection, or of one invocation for which no connection
/// waits, may hold without being counted. There is room for this besides.
pub const HELD_FREE_LEN: usize = PAGE_LEN;
/// In such steps what is held grows.
pub const HELD_STEP_LEN: usize = 16 * 1024;
/// How many times as much as is left of a budget one namespace may hold, on a node with several.
pub const HELD_SHARE_FACTOR: usize = 2;
/// Name of an action, decoded.
pub const NAME_LEN_MAX: usize = 256;
/// Bound parameters and annotations of one action, as JSON text, each.
pub const PARAMETERS_LEN_MAX: usize = 1 << 20;
/// Actions in one answer of the list route.
pub const LIST_LIMIT_MAX: usize = 200;
/// Actions in one answer when the request names no limit.
pub const LIST_LIMIT_DEFAULT: usize = 30;

// --- invocations -----------------------------------------------------------------------------

/// Invocations waiting for one core unless configured; one more is answered 503.
pub const QUEUE_LEN_DEFAULT: usize = 256;
/// Share of the heap that the queues may take, as a divisor; they are shorter where it is small.
pub const QUEUES_HEAP_DIVISOR: usize = 8;
/// Invocations handed on to a worker that has others, at most ...
pub const AHEAD_MAX: u64 = 4;
/// ... and only while these take no longer than this; the rest waits where turns are taken.
pub const AHEAD_NS: u64 = 1_000_000;
/// What an invocation counts for before it is known how long it took.
pub const TURN_MIN_NS: u64 = 50_000;
/// How much more than others a tenant has had at most when it begins to wait: for so long, divided
/// among the cores, they may go first.
pub const LEAD_MAX_NS: u64 = 100_000_000;
/// Invocations under way of one tenant for each place in the queues that is still free, on a node
/// with several: so there is always a place for another.
pub const QUEUE_SHARE_FACTOR: usize = 4;
/// Ends of invocations that are looked at before frames and timers get their turn ...
pub const COMPLETIONS_PER_POLL_MAX: usize = 64;
/// ... unless their results are longer than this, all together.
pub const COMPLETED_LEN_PER_POLL_MAX: usize = 64 * 1024;
/// Requests are answered until those longer than [`HELD_FREE_LEN`] have so many bytes, all
/// together; the others wait until frames and completions had their turn.
pub const READ_LEN_PER_POLL_MAX: usize = 64 * 1024;
/// Largest configurable queue.
pub const QUEUE_LEN_MAX: usize = 4096;
/// Microseconds that a core looks for work before it halts, unless configured. As long as halting
/// and being woken takes in a virtual machine.
pub const POLL_US_DEFAULT: u64 = 20;
/// Longest configurable time to look for work.
pub const POLL_US_MAX: u64 = 1000;
/// Seconds named by `Retry-After` with a 503.
pub const RETRY_AFTER_S: u32 = 1;
/// Largest bound that can be configured of an invocation's input, and of its result, in MB.
pub const BODY_MB_MAX: u64 = 64;
/// The same unless configured.
pub const BODY_MB_DEFAULT: u64 = 6;
/// Room for inputs and results in an action's address space. How much of it is used is configured.
pub const BODY_LEN_MAX: usize = (BODY_MB_MAX as usize) << 20;
/// An input of a host image that is longer has another place.
pub const INPUT_NEAR_LEN_MAX: usize = 444 * 1024;
/// Log of an invocation, with 10 bytes more for each line; further output is dropped and a note
/// says so.
pub const LOG_LEN_MAX: usize = 64 * 1024;
/// A blocking invocation that takes longer than this is answered 202, and goes on.
pub const BLOCKING_WAIT_MS: u64 = 60_000;
/// Environment of an invocation: `NAME=value` strings with their NUL bytes, the action's own apart.
pub const ENVIRONMENT_LEN_MAX: usize = 16 * 1024;
/// Environment variables of one action, secrets too: `NAME=value` strings with their NUL bytes.
pub const VARIABLES_LEN_MAX: usize = 8 * 1024;
/// Environment variables of one action.
pub const VARIABLES_MAX: usize = 128;
/// Name of an environment variable of an action.
pub const VARIABLE_NAME_LEN_MAX: usize = 128;
/// Arguments that a deploy gives for the program in an image that hosts it.
pub const ARGUMENTS_LEN_MAX: usize = 4 * 1024;
/// Stack of an action, backed as it is touched.
pub const ACTION_STACK_LEN: usize = 1 << 20;
/// Mapped ranges of one address space, what `protect` splits off included; neighbours that are
/// alike count as one. The memory for the notes on them is the instance's.
pub const REGIONS_MAX: usize = 65_536;
/// Pages that an instance gets from the start because earlier ones of its image touched them.
pub const LIKELY_PAGES_MAX: usize = 8;
/// The same for instances of a template that was frozen.
pub const LIKELY_PAGES_FROZEN_MAX: usize = 512;
/// How often a template is frozen from an instance of the one before: a host, a runtime and a
/// function are three, of which two have a payload.
pub const STAGES_MAX: u32 = 8;
/// Frames an invocation may use beyond its memory limit, for its page tables and fixed windows.
pub const OVERHEAD_PAGES: usize = 16;
/// Limit range and default for an action's run time.
pub const TIMEOUT_MS_MIN: u64 = 100;
/// See [`TIMEOUT_MS_MIN`].
pub const TIMEOUT_MS_MAX: u64 = 300_000;
/// See [`TIMEOUT_MS_MIN`].
pub const TIMEOUT_MS_DEFAULT: u64 = 60_000;
/// Limit range for an action's memory.
pub const MEMORY_MB_MIN: u64 = 1;
/// Largest memory limit that any node grants; most have less. Further the windows do not reach.
pub const MEMORY_MB_MAX: u64 = 128 << 10;
/// Memory limit of an action that names none; less on a node where this is more than a worker's
/// share.
pub const MEMORY_MB_DEFAULT: u64 = 256;
/// Limit range and default for an action's log, in MB, as clients state it. The node keeps at most
/// [`LOG_LEN_MAX`] whatever is stated.
pub const LOGS_MB_MAX: u64 = 10;

// --- API -------------------------------------------------------------------------------------

/// Longest `X-Request-ID` that is taken over; a longer one is replaced by one of our own.
pub const REQUEST_ID_LEN_MAX: usize = 128;
/// Levels of nesting in JSON the node reads: deploy requests, input and results.
pub const JSON_DEPTH_MAX: usize = 128;
/// Inputs, together with bound parameters, and results are read in one go up to this length, and in
/// slices of [`SLICE_LEN`] beyond it.
pub const JSON_AT_ONCE_LEN_MAX: usize = 32 * 1024;
/// Bound parameters of one action, and likewise its annotations.
pub const PARAMETERS_MAX: usize = 1024;
/// Name of a parameter or annotation, as JSON text.
pub const PARAMETER_NAME_LEN_MAX: usize = 256;
/// Kind of an action, as clients state it.
pub const KIND_LEN_MAX: usize = 64;
/// Body of a request to a route that has no use for one.
pub const OTHER_BODY_LEN_MAX: usize = 4096;
/// What an error message quotes of an action's output.
pub const EXCERPT_LEN_MAX: usize = 256;
/// What an action that fails may say about it, as JSON.
pub const SAID_LEN_MAX: usize = 16 * 1024;
/// What is looked at to tell text from other bytes in the result of a function.
pub const SNIFF_LEN_MAX: usize = 512;
/// What the fixed names and values in the environment of an invocation take at most.
pub const ENVIRONMENT_FIXED_LEN: usize = 1024;
/// Buffers that the front keeps for the environments of later invocations.
pub const ENVIRONMENTS_SPARE_MAX: usize = 16;

/// Longest `tracestate` that is passed to an action; a longer one is left out.
pub const TRACESTATE_LEN_MAX: usize = 512;
/// After so many bytes a list of actions or of whole activation records ends, whatever limit the
/// request names.
pub const LIST_LEN_MAX: usize = 1 << 20;

// --- observation -----------------------------------------------------------------------------

/// Share of memory in which results and logs of ended invocations are kept, as a divisor ...
pub const RECORDS_MEMORY_DIVISOR: usize = 64;
/// ... up to this much.
pub const RECORDS_LEN_MAX: usize = 64 << 20;
/// One activation record is kept for so much of it, rounded up to a power of two ...
pub const RECORD_LEN_MEAN: usize = 1024;
/// ... up to this many.
pub const RECORDS_MAX: usize = 8192;
/// Longest result that is kept in a record; of a longer one only the length is.
pub const RECORD_RESULT_LEN_MAX: usize = 64 * 1024;

/// Letters in a line of the screen; a wider one is not used to its right end.
pub const SCREEN_COLUMNS_MAX: usize = 240;
/// Lines of letters on the screen.
pub const SCREEN_ROWS_MAX: usize = 64;
/// Memory of a screen of pixels; a larger one is not used to its lower end.
pub const FRAMEBUFFER_LEN_MAX: usize = 64 << 20;
/// How often the screen's status line is renewed at most.
pub const STATUS_INTERVAL_MS: u64 = 1000;
/// Trace events each core remembers for a crash record.
pub const TRACE_EVENTS: usize = 64;
/// Actions that are counted one by one for the metrics; all further ones are counted together.
pub const ACTIONS_COUNTED_MAX: usize = 64;

const _: () = assert!(METHOD_LEN_MAX + TARGET_LEN_MAX + 64 < HEAD_LEN_MAX, "414 comes before 431");
const _: () = assert!(DRAIN_ACCEPT_MS + DRAIN_READERS_MS < 30_000, "Kubernetes waits so long");
const _: () = assert!(IDLE_TIMEOUT_MS >= 10_000, "KEEP_ALIVE_ANNOUNCED_S leaves a margin");
const _: () = assert!(INLINE_BODY_LEN_MAX < OUTPUT_LEN_KEPT_MAX);
const _: () = assert!(HEAD_LEN_MAX <= u32::MAX as usize);
const _: () = assert!(BODY_LEN_MAX <= DEPLOY_LEN_MAX);
const _: () = assert!(BODY_MB_DEFAULT <= BODY_MB_MAX && INPUT_NEAR_LEN_MAX <= BODY_LEN_MAX);
const _: () = assert!(
    EXCHANGE_LEN_MIN / EXCHANGE_BODIES_MIN
        <= HELD_SHARE_FACTOR * (EXCHANGE_LEN_MIN / 2 - EXCHANGE_LEN_MIN / EXCHANGE_BODIES_MIN)
        && EXCHANGE_LEN_MIN / EXCHANGE_BODIES_MIN >= 1 << 20,
    "the largest input has room on each node, if nobody else has one"
);
const _: () = assert!(SLICE_NS < SLICE_INTERVAL_NS, "others have their turn");
const _: () = assert!(BUNDLE_DOCUMENT_LEN_MAX <= DEPLOY_REST_LEN_MAX);
const _: () = assert!(HELD_FREE_LEN < WIDE_AFTER_LEN, "who is not counted has no larger window");
const _: () = assert!(
    TARGET_LEN_MAX
        + NAME_LEN_MAX
        + 2 * NAMESPACE_LEN_MAX
        + REQUEST_ID_LEN_MAX
        + TRACESTATE_LEN_MAX
        + ENVIRONMENT_FIXED_LEN
        <= ENVIRONMENT_LEN_MAX,
    "what a request can put into the environment fits"
);
const _: () = assert!(VARIABLES_LEN_MAX <= u16::MAX as usize, "places in them are short");
const _: () = assert!(RECORDS_MAX.is_power_of_two());
const _: () = assert!(3 * (IMAGE_LAYERS_MAX + 2) <= 2 * UPLOADS_MAX, "an image fits a share");
const _: () = assert!(IMAGE_PATH_LEN_MAX <= IMAGE_RECORDS_LEN_MAX);
const _: () = assert!(IMAGE_NAMES_LEN_MAX <= HEAP_RESERVE_LEN, "each request may take that much");
const _: () = assert!(LIST_LIMIT_DEFAULT <= LIST_LIMIT_MAX);
const _: () = assert!(PARAMETERS_LEN_MAX <= u32::MAX as usize);
const _: () = assert!(IMAGE_MEMORY_LEN_MAX <= MEMORY_MB_MAX << 20);
const _: () = assert!(QUEUE_LEN_DEFAULT <= QUEUE_LEN_MAX);
const _: () = assert!(POLL_US_DEFAULT <= POLL_US_MAX);
const _: () = assert!(HALF_OPEN_MIN < CONNECTIONS_MIN);
const _: () = assert!(NEIGHBOURS_MAX.is_multiple_of(NEIGHBOUR_WAYS));
const _: () = assert!(NEIGHBOUR_FRESH_MS + ARP_TRIES as u64 * ARP_INTERVAL_MS < NEIGHBOUR_LIFE_MS);
const _: () = assert!(2 * DHCP_RENEW_MS_MIN < DHCP_LEASE_MS_MIN);
const _: () = assert!(DHCP_RETRY_MS >= 1_000, "a second more or less");
const _: () = assert!(
    CONNECTIONS_KEPT_DIVISOR > 1 && CONNECTIONS_MIN / CONNECTIONS_KEPT_DIVISOR / 2 >= 16,
    "operators have connections for some health checks at a time, whatever the others do"
);
const _: () = assert!(UNADMITTED_SPARED_MS < PROGRESS_TIMEOUT_MS);
const _: () = assert!(
    (HEAP_LEN_BASE + (56 << 20) / HEAP_MEMORY_DIVISOR) / CONNECTIONS_HEAP_DIVISOR
        >= CONNECTIONS_MIN * CONNECTION_LEN,
    "a machine with 64 MiB, of which firmware and image take some, has that many connections"
);
const _: () = assert!(
    RECEIVE_WIDE_LEN_MAX.is_power_of_two()
        && SEND_WIDE_LEN_MAX.is_power_of_two()
        && WIDE_LEN_MIN.is_power_of_two()
        && WIDE_LEN_MIN > SEND_BUFFER_LEN
);
const _: () = assert!(
    SEND_WIDE_LEN_MAX + RECEIVE_BUFFER_LEN <= WIDE_LEN_TOTAL_MIN,
    "each node can grant the largest of each kind"
);
const _: () = assert!(NIC_QUEUE_LEN.is_power_of_two());
const _: () = assert!(MTU_MIN <= MTU_MAX && MTU_MAX + 14 + 12 <= NIC_BUFFER_LEN);
const _: () = assert!(TIMEOUT_MS_MIN <= TIMEOUT_MS_DEFAULT && TIMEOUT_MS_DEFAULT <= TIMEOUT_MS_MAX);
const _: () = assert!(MEMORY_MB_MIN <= MEMORY_MB_DEFAULT && MEMORY_MB_DEFAULT <= MEMORY_MB_MAX);
const _: () = assert!(RECEIVE_BUFFER_LEN.is_power_of_two() && SEND_BUFFER_LEN.is_power_of_two());
const _: () = assert!(INTERRUPTS_UNSERVICED_MAX < INTERRUPTS_WATCHED);
const _: () = assert!(FRONT_SLICE_MIN_NS <= FRONT_OWED_MIN_NS);
const _: () = assert!(FRONT_OWED_MIN_NS <= FRONT_OWED_MAX_NS);
const _: () = assert!(OUTGOING_RECEIVE_LEN.is_power_of_two());
const _: () = assert!(CONNECT_TIMEOUT_MS < CALL_TIMEOUT_MS);

//! Limits that depend on each other, checked when the kernel is built.

use crate::{
    ARP_INTERVAL_MS, ARP_TRIES, BODY_LEN_MAX, BODY_MB_DEFAULT, BODY_MB_MAX,
    BUNDLE_DOCUMENT_LEN_MAX, CALL_TIMEOUT_MS, CONNECT_TIMEOUT_MS, CONNECTION_LEN,
    CONNECTIONS_HEAP_DIVISOR, CONNECTIONS_KEPT_DIVISOR, CONNECTIONS_MIN, DEPLOY_LEN_MAX,
    DEPLOY_REST_LEN_MAX, DHCP_LEASE_MS_MIN, DHCP_RENEW_MS_MIN, DHCP_RETRY_MS, DRAIN_ACCEPT_MS,
    DRAIN_READERS_MS, ENVIRONMENT_FIXED_LEN, ENVIRONMENT_LEN_MAX, EXCHANGE_BODIES_MIN,
    EXCHANGE_LEN_MIN, FRONT_OWED_MAX_NS, FRONT_OWED_MIN_NS, FRONT_SLICE_MIN_NS, HALF_OPEN_MIN,
    HEAD_LEN_MAX, HEAP_LEN_BASE, HEAP_MEMORY_DIVISOR, HEAP_RESERVE_LEN, HELD_FREE_LEN,
    HELD_SHARE_FACTOR, IDLE_TIMEOUT_MS, IMAGE_LAYERS_MAX, IMAGE_MEMORY_LEN_MAX,
    IMAGE_NAMES_LEN_MAX, IMAGE_PATH_LEN_MAX, IMAGE_RECORDS_LEN_MAX, INLINE_BODY_LEN_MAX,
    INPUT_NEAR_LEN_MAX, INTERRUPTS_UNSERVICED_MAX, INTERRUPTS_WATCHED, LIST_LIMIT_DEFAULT,
    LIST_LIMIT_MAX, MEMORY_MB_DEFAULT, MEMORY_MB_MAX, MEMORY_MB_MIN, METHOD_LEN_MAX, MTU_MAX,
    MTU_MIN, NAME_LEN_MAX, NAMESPACE_LEN_MAX, NEIGHBOUR_FRESH_MS, NEIGHBOUR_LIFE_MS,
    NEIGHBOUR_WAYS, NEIGHBOURS_MAX, NIC_BUFFER_LEN, NIC_QUEUE_LEN, OUTGOING_RECEIVE_LEN,
    OUTPUT_LEN_KEPT_MAX, PARAMETERS_LEN_MAX, POLL_US_DEFAULT, POLL_US_MAX, PROGRESS_TIMEOUT_MS,
    QUEUE_LEN_DEFAULT, QUEUE_LEN_MAX, RECEIVE_BUFFER_LEN, RECEIVE_WIDE_LEN_MAX, RECORDS_MAX,
    REQUEST_ID_LEN_MAX, SEND_BUFFER_LEN, SEND_WIDE_LEN_MAX, SLICE_INTERVAL_NS, SLICE_NS,
    TARGET_LEN_MAX, TIMEOUT_MS_DEFAULT, TIMEOUT_MS_MAX, TIMEOUT_MS_MIN, TRACESTATE_LEN_MAX,
    UNADMITTED_SPARED_MS, UPLOADS_MAX, VARIABLES_LEN_MAX, WIDE_AFTER_LEN, WIDE_LEN_MIN,
    WIDE_LEN_TOTAL_MIN,
};

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

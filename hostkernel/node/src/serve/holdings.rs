//! Who holds how much, as connections see it: bodies are let in while there is room for them, and
//! of a namespace whose answers take more than its share the oldest are given up.
//!
//! Answers cannot be refused when they are there: what they are the answer to has run. So nothing
//! is begun for a namespace that has no room left for another answer, and if those of what had
//! been begun are too many all the same, the oldest that was not taken goes. A namespace is always
//! left the newest.

use super::slot::Slot;
use super::slots::Slots;
use super::texts::Text;
use super::turns::Work as _;
use crate::api::{self, Deploying, Subject};
use crate::http::{Method, Request, Response};
use crate::registry::{Holding, Namespace, OverBudget, Purpose};
use crate::state::statistics::Reason;
use crate::state::{Node, Now};
use limits::{HELD_FREE_LEN, HELD_STEP_LEN};

/// Whether there is room for what has arrived of a body, that of `request` if it is complete. Slow
/// senders for the same namespace make room for it.
pub fn hold_body(
    node: &mut Node,
    slots: &mut Slots,
    index: u32,
    request: Option<&Request>,
    now_ns: u64,
) -> bool {
    let slot = slots.get(index);
    let len = request.map_or_else(|| slot.connection.body_len(), |request| request.body.len());
    if len <= slot.holding.len() {
        return true;
    }
    if slot.holding.is_empty() {
        let known = request.map(|request| (request.method, &request.text));
        let Some((method, text)) = known.or_else(|| slot.connection.head()) else { return true };
        let (namespace, purpose) = api::holder(node, method, text.path(), text.headers());
        node.books.enter(&mut slot.holding, &namespace, purpose, 0);
    }
    loop {
        let slot = slots.get(index);
        if node.hold(&mut slot.holding, len.next_multiple_of(HELD_STEP_LEN)).is_ok() {
            return true;
        }
        let Some((namespace, _)) = slot.holding.owner() else { return true };
        let namespace = namespace.clone();
        // What was pushed and forgotten goes first.
        if node.uploads.expire(now_ns) {
            continue;
        }
        let may_go = |other: u32, slot: &Slot| other != index && slot.is_slow(now_ns);
        let Some(victim) = slots.oldest_sender(&namespace, may_go) else { return false };
        node.statistics.rejected(Reason::Budget);
        end(slots, victim);
    }
}

/// Holds what a deploy has made of its code.
///
/// # Errors
/// [`OverBudget`]; then it must end.
pub fn hold_code(
    node: &Node,
    holding: &mut Holding,
    deploying: &Deploying,
) -> Result<(), OverBudget> {
    let len = deploying.held_len();
    if len > HELD_FREE_LEN && holding.is_empty() {
        node.books.enter(holding, &deploying.namespace, Purpose::Deploy, 0);
    }
    if len > holding.len() {
        return node.hold(holding, len.next_multiple_of(HELD_STEP_LEN));
    }
    holding.shrink(len.next_multiple_of(HELD_STEP_LEN));
    Ok(())
}

/// Holds what is made of an input.
///
/// # Errors
/// [`OverBudget`]; then it must end.
pub fn hold_text(node: &Node, text: &mut Text) -> Result<(), OverBudget> {
    let len = text.held_len();
    if len > HELD_FREE_LEN && text.holding.is_empty() {
        let namespace = text.namespace().clone();
        node.books.enter(&mut text.holding, &namespace, Purpose::Request, 0);
    }
    if len <= text.holding.len() {
        return Ok(());
    }
    node.hold(&mut text.holding, len.next_multiple_of(HELD_STEP_LEN))
}

/// Whether a namespace has no room for another answer, once those of its readers are gone that
/// dawdle. One that
/// holds nothing always has.
#[inline]
pub fn is_full(node: &mut Node, slots: &mut Slots, namespace: &Namespace, now: Now) -> bool {
    namespace.held_len(Purpose::Answer) > 0 && has_no_room(node, slots, namespace, now)
}

#[inline(never)]
fn has_no_room(node: &mut Node, slots: &mut Slots, namespace: &Namespace, now: Now) -> bool {
    while node.is_greedy(namespace, node.policy().body_len_max) {
        let dawdles = |_, slot: &Slot| slot.dawdles(now.monotonic_ns);
        let Some(victim) = slots.oldest_reader(namespace, dawdles) else { return true };
        give_up(node, slots, victim);
    }
    false
}

/// Holds an answer instead of the request.
#[inline(never)]
pub fn enter_answer(node: &Node, slot: &mut Slot, response: &Response, subject: Subject<'_>) {
    let len = response.body.held_len();
    if len <= HELD_FREE_LEN {
        slot.holding.clear();
        return;
    }
    let namespace = match subject {
        Subject::Invocation(pending, _) => pending.action().namespace.clone(),
        Subject::Request { path, headers, .. } => api::holder(node, Method::Get, path, headers).0,
        Subject::Nothing(_) => node.books.nobody().clone(),
    };
    node.books.enter(&mut slot.holding, &namespace, Purpose::Answer, len);
}

/// If the answer that was just given to this slot is more than its namespace may hold, gives up as
/// many older ones of the namespace as that takes.
#[inline]
pub fn relieve(node: &mut Node, slots: &mut Slots, index: u32) {
    if !slots.get(index).holding.is_empty() {
        give_up_older(node, slots, index);
    }
}

#[inline(never)]
fn give_up_older(node: &mut Node, slots: &mut Slots, index: u32) {
    let Some((namespace, purpose)) = slots.get(index).holding.owner() else { return };
    let namespace = namespace.clone();
    while !node.may_hold(&namespace, purpose, 0) {
        let Some(victim) = slots.oldest_reader(&namespace, |other, _| other != index) else {
            return;
        };
        give_up(node, slots, victim);
    }
}

fn give_up(node: &mut Node, slots: &mut Slots, victim: u32) {
    node.load.answers_dropped += 1;
    end(slots, victim);
}

/// Ends a connection, whose memory is free when its turn comes.
fn end(slots: &mut Slots, victim: u32) {
    let slot = slots.get(victim);
    slot.holding.clear();
    slot.socket_mut().abort();
    slots.touch(victim);
}

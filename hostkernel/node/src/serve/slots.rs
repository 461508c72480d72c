//! Who may hold a connection.
//!
//! A slot is taken when a client asks to connect; if all are taken, the one goes that has been
//! half-open, idle or slow longest. Slots that nothing happens to cost nothing.

use alloc::vec::Vec;
use core::mem;

use super::clients::Clients;
use super::slot::Slot;
use super::timers::Timers;
use crate::net::arrival::Peer;
use crate::random::Random;
use crate::registry::Namespace;
use crate::trace::{self, Event};
use limits::{CONNECTION_LEN, HEAP_RESERVE_LEN};

/// A connection idle for less does not make room for others: its first request may be on the way.
pub const IDLE_SPARED_NS: u64 = 1_000_000_000;

/// All slots, and who has which.
pub struct Slots {
    slots_max: usize,
    slots: Vec<Slot>,
    /// Slots without a connection; the last one that had one first, whose memory is in the caches.
    free: Vec<u32>,
    clients: Clients,
    timers: Timers,
    /// Slots that something happened to.
    touched: Vec<u32>,
    /// Some of them were left for later, and have their turn first then.
    is_behind: bool,
}

impl Slots {
    /// Room for `slots_max` connections.
    pub fn new(slots_max: usize, random: &mut Random) -> Self {
        Self {
            slots_max,
            slots: Vec::with_capacity(slots_max),
            free: Vec::with_capacity(slots_max),
            clients: Clients::new(slots_max, random),
            timers: Timers::new(slots_max),
            touched: Vec::with_capacity(slots_max),
            is_behind: false,
        }
    }

    /// Slots with a connection.
    pub fn open(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The most there can be.
    pub fn max(&self) -> usize {
        self.slots_max
    }

    /// Those that are held by who dawdles.
    pub fn held_slowly(&self, now_ns: u64) -> Vec<u32> {
        let is_one = |slot: &Slot| slot.is_held && slot.is_slow(now_ns);
        let all = self.slots.iter().zip(0..);
        all.filter(|(slot, _)| is_one(slot)).map(|(_, index)| index).collect()
    }

    /// The connection that has been reading an answer for this namespace longest, of those that
    /// `may_go`.
    pub fn oldest_reader(
        &self,
        namespace: &Namespace,
        may_go: impl Fn(u32, &Slot) -> bool,
    ) -> Option<u32> {
        self.oldest(|index, slot| slot.is_reader_of(namespace) && may_go(index, slot))
    }

    /// The one that has been sending a body for it longest, likewise.
    pub fn oldest_sender(
        &self,
        namespace: &Namespace,
        may_go: impl Fn(u32, &Slot) -> bool,
    ) -> Option<u32> {
        self.oldest(|index, slot| slot.is_sender_of(namespace) && may_go(index, slot))
    }

    fn oldest(&self, is_one: impl Fn(u32, &Slot) -> bool) -> Option<u32> {
        let mut oldest = None;
        for (slot, index) in self.slots.iter().zip(0..) {
            if is_one(index, slot) {
                keep_older(&mut oldest, (slot.busy_ns, index));
            }
        }
        oldest.map(|(_, index)| index)
    }

    /// The slot with this number.
    pub fn get(&mut self, index: u32) -> &mut Slot {
        &mut self.slots[index as usize]
    }

    /// All of them, those without a connection included.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot> {
        self.slots.iter_mut()
    }

    /// The slot of a client.
    pub fn of(&self, peer: Peer) -> Option<u32> {
        self.clients.slot(peer)
    }

    /// Enters a client into a slot that [`free`](Self::free) gave.
    pub fn enter(&mut self, index: u32, peer: Peer) {
        self.clients.insert(peer, index);
        trace::record(Event::Open, u64::from(index));
    }

    /// A slot without a connection, if there is one or memory for one.
    pub fn free(&mut self) -> Option<u32> {
        if self.free.is_empty() {
            self.add();
        }
        self.free.pop()
    }

    fn add(&mut self) {
        if self.slots.len() == self.slots_max
            || memory::heap_free() < HEAP_RESERVE_LEN + CONNECTION_LEN
        {
            return;
        }
        if let Some(slot) = Slot::new() {
            self.free.push(self.slots.len() as u32);
            self.slots.push(slot);
        }
    }

    /// The connection to give up for another one. One that only its client has not ended costs
    /// nobody anything. Half-open ones go first, the oldest first: who
    /// floods the node with connects never completes one; who means it needs a slot for one round
    /// trip, and gets it as long as there are fewer connects in that time than slots. Then the one
    /// that was idle longest, then the one that dawdles longest with its request or answer: clients
    /// which only hold connections keep nobody out.
    pub fn least_useful(&self, now_ns: u64, half_open_min: usize) -> Option<u32> {
        let mut half_open_count = 0;
        let (mut half_open, mut idle, mut slow) = (None, None, None);
        for (index, slot) in self.slots.iter().enumerate() {
            let age = |since_ns: u64| (since_ns, index as u32);
            if slot.is_finished() {
                return Some(index as u32);
            } else if slot.is_half_open() {
                half_open_count += 1;
                keep_older(&mut half_open, age(slot.progress_ns));
            } else if slot.is_idle() {
                if slot.progress_ns + IDLE_SPARED_NS <= now_ns {
                    keep_older(&mut idle, age(slot.progress_ns));
                }
            } else if slot.is_slow(now_ns) {
                keep_older(&mut slow, age(slot.busy_ns));
            }
        }
        let victim = half_open.filter(|_| half_open_count >= half_open_min).or(idle).or(slow);
        victim.map(|(_, index)| index)
    }

    /// Takes a slot from its client, whom nobody waits for any more.
    pub fn release(&mut self, index: u32) {
        if let Some(peer) = self.slots[index as usize].reset() {
            self.clients.remove(peer);
            self.timers.set(index, None);
            self.free.push(index);
            trace::record(Event::Close, u64::from(index));
        }
    }

    /// Something happened to a slot.
    pub fn touch(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        if !slot.is_touched {
            slot.is_touched = true;
            self.touched.push(index);
        }
    }

    /// Something happens to each slot with a connection of which this is so.
    pub fn touch_all(&mut self, mut happens: impl FnMut(&mut Slot) -> bool) {
        for index in 0..self.slots.len() {
            let slot = &mut self.slots[index];
            if slot.peer.is_some() && happens(slot) {
                self.touch(index as u32);
            }
        }
    }

    /// What is touched still has its turn at the next look, before what is touched until then.
    pub fn leave_for_later(&mut self) {
        self.is_behind = true;
    }

    /// The times of slots that have come are something that happened.
    pub fn touch_due(&mut self, now_ns: u64) {
        if mem::take(&mut self.is_behind) {
            // The last one goes first.
            self.touched.reverse();
        }
        let Self { timers, slots, touched, .. } = self;
        timers.take_due(now_ns, |index| {
            if !mem::replace(&mut slots[index as usize].is_touched, true) {
                touched.push(index);
            }
        });
    }

    /// The next slot with a connection that something happened to.
    pub fn take_touched(&mut self) -> Option<u32> {
        loop {
            let index = self.touched.pop()?;
            let slot = &mut self.slots[index as usize];
            slot.is_touched = false;
            // It may have been given up since.
            if slot.peer.is_some() {
                return Some(index);
            }
        }
    }

    /// Sets when a slot is to be looked at even if nothing happens to it.
    pub fn set_time(&mut self, index: u32, at_ns: Option<u64>) {
        self.timers.set(index, at_ns);
    }

    /// When [`touch_due`](Self::touch_due) will find one; at once, if something has happened
    /// already.
    pub fn next_ns(&self) -> Option<u64> {
        if self.touched.is_empty() { self.timers.next_ns() } else { Some(0) }
    }
}

/// Keeps the older of two ages and who has them, each since when and who.
fn keep_older(oldest: &mut Option<(u64, u32)>, age: (u64, u32)) {
    *oldest = Some(oldest.map_or(age, |it| it.min(age)));
}

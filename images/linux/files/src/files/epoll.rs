//! `epoll_ctl`, `epoll_wait`.

use core::mem;

use super::Files;
use super::ready::earlier;
use crate::abi::{EpollEvent, ready, watch};
use crate::descriptors::Object;
use crate::errno::{Errno, Stop};
use crate::host::Host;
use crate::limits::{EPOLL_DEPTH_MAX, EPOLL_WATCHED_MAX};
use crate::settings::Polled;
use crate::watch::{DescriptionNumber, Ready, Watch, Watcher};

/// What may go together with `EPOLLEXCLUSIVE`.
const EXCLUSIVE_ALLOWED: u32 = ready::IN
    | ready::OUT
    | ready::ERROR
    | ready::HANG_UP
    | ready::WAKE_UP
    | ready::EDGE
    | ready::EXCLUSIVE;

impl Files<'_> {
    fn watcher(&mut self, number: DescriptionNumber) -> Result<&mut Watcher, Errno> {
        match &mut self.table.descriptions[number as usize].object {
            Object::Epoll(watcher) => Ok(watcher),
            _ => Err(Errno::EINVAL),
        }
    }

    /// `epoll_ctl`.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_ctl(
        &mut self,
        epoll: i32,
        operation: u32,
        fd: i32,
        event: EpollEvent,
    ) -> Result<(), Errno> {
        self.table.usable(epoll)?;
        self.table.usable(fd)?;
        let (epoll, watched) = (self.table.number(epoll)?, self.table.number(fd)?);
        if !self.can_be_watched(watched) {
            return Err(Errno::EPERM);
        }
        self.watcher(epoll)?;
        let is_epoll = self.watcher(watched).is_ok();
        if epoll == watched {
            return Err(Errno::EINVAL);
        }
        if event.events & ready::EXCLUSIVE != 0 && operation != watch::DELETE {
            let is_wrong = event.events & !EXCLUSIVE_ALLOWED != 0;
            if operation == watch::MODIFY || is_epoll || is_wrong {
                return Err(Errno::EINVAL);
            }
        }
        if operation == watch::ADD && is_epoll && !self.may_nest(epoll, watched) {
            return Err(Errno::ELOOP);
        }
        let watcher = self.watcher(epoll)?;
        let is_full = watcher.watches.len() >= EPOLL_WATCHED_MAX;
        let known = watcher.find(fd, watched);
        match (operation, known) {
            (watch::ADD, Some(_)) => Err(Errno::EEXIST),
            (watch::ADD, None) if is_full => Err(Errno::ENOSPC),
            (watch::ADD, None) => {
                watcher.watches.push(Watch::new(fd, watched, event));
                self.table.descriptions[watched as usize].watchers += 1;
                Ok(())
            }
            (watch::MODIFY, Some(known)) if known.event.events & ready::EXCLUSIVE != 0 => {
                Err(Errno::EINVAL)
            }
            (watch::MODIFY, Some(known)) => {
                known.modify(event);
                Ok(())
            }
            (watch::DELETE, Some(_)) => {
                let is_it = |watch: &Watch| watch.fd == fd && watch.description == watched;
                watcher.watches.retain(|watch| !is_it(watch));
                self.table.descriptions[watched as usize].watchers -= 1;
                Ok(())
            }
            (watch::MODIFY | watch::DELETE, None) => Err(Errno::ENOENT),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether one instance may watch another: they must not watch each other in a circle, nor too
    /// many in a row.
    fn may_nest(&self, above: DescriptionNumber, below: DescriptionNumber) -> bool {
        let down = self.depth(below, above, EPOLL_DEPTH_MAX);
        down.is_some_and(|down| self.height(above, EPOLL_DEPTH_MAX) + 1 + down <= EPOLL_DEPTH_MAX)
    }

    /// Instances in a row below one; nothing if that is too many or `never` is among them.
    fn depth(
        &self,
        number: DescriptionNumber,
        never: DescriptionNumber,
        most: usize,
    ) -> Option<usize> {
        if number == never {
            return None;
        }
        let Object::Epoll(watcher) = &self.table.descriptions[number as usize].object else {
            return Some(0);
        };
        let most = most.checked_sub(1)?;
        let mut depth = 0;
        for watch in &watcher.watches {
            let is_epoll = matches!(
                self.table.descriptions[watch.description as usize].object,
                Object::Epoll(_)
            );
            if is_epoll {
                depth = depth.max(1 + self.depth(watch.description, never, most)?);
            }
        }
        Some(depth)
    }

    /// Instances in a row above one.
    fn height(&self, number: DescriptionNumber, most: usize) -> usize {
        if most == 0 || self.table.descriptions[number as usize].watchers == 0 {
            return 0;
        }
        let watches =
            |watcher: &Watcher| watcher.watches.iter().any(|watch| watch.description == number);
        let above = self.table.descriptions.iter().filter(
            |(_, other)| matches!(&other.object, Object::Epoll(watcher) if watches(watcher)),
        );
        above
            .map(|(above, _)| 1 + self.height(above as DescriptionNumber, most - 1))
            .max()
            .unwrap_or(0)
    }

    /// Whether an instance has something to tell. It tells nobody.
    pub(super) fn epoll_readiness(
        &mut self,
        host: &mut dyn Host,
        number: DescriptionNumber,
        depth: usize,
    ) -> Result<Ready, Stop> {
        let watcher = mem::take(self.watcher(number)?);
        let mut all = Ready::default();
        let mut stopped = None;
        for watch in &watcher.watches {
            match self.readiness(host, watch.description, watch.event.events, depth) {
                Ok(ready) => {
                    if watch.events(&ready) != 0 {
                        all.events = ready::READABLE;
                    }
                    let edges = ready.readable_edges.wrapping_add(ready.writable_edges);
                    all.readable_edges = all.readable_edges.wrapping_add(edges);
                    all.wake_ns = earlier(all.wake_ns, ready.wake_ns);
                }
                Err(stop) => stopped = Some(stop),
            }
        }
        *self.watcher(number)? = watcher;
        match stopped {
            Some(stop) if all.events == 0 => Err(stop),
            _ => Ok(all),
        }
    }

    /// What of `epoll_wait`, `epoll_pwait` holds now: as many events as there is room for.
    ///
    /// # Errors
    /// As Linux answers.
    pub fn epoll_wait(
        &mut self,
        host: &mut dyn Host,
        epoll: i32,
        events: &mut [EpollEvent],
    ) -> Result<Polled, Stop> {
        self.table.usable(epoll)?;
        let number = self.table.number(epoll)?;
        if events.is_empty() {
            return Err(Errno::EINVAL.into());
        }
        let mut watcher = mem::take(self.watcher(number)?);
        let result = self.tell(host, &mut watcher, events);
        *self.watcher(number)? = watcher;
        result
    }

    fn tell(
        &mut self,
        host: &mut dyn Host,
        watcher: &mut Watcher,
        events: &mut [EpollEvent],
    ) -> Result<Polled, Stop> {
        let mut result = Polled::default();
        let mut stopped = None;
        let len = watcher.watches.len();
        let start = watcher.next;
        for offset in 0..len {
            let index = (start + offset) % len;
            let watch = &mut watcher.watches[index];
            let ready = match self.readiness(host, watch.description, watch.event.events, 1) {
                Ok(ready) => ready,
                Err(stop) => {
                    stopped = Some(stop);
                    continue;
                }
            };
            result.wake_ns = earlier(result.wake_ns, ready.wake_ns);
            let held = watch.events(&ready);
            if held == 0 {
                continue;
            }
            let Some(event) = events.get_mut(result.ready) else {
                // The next look begins with the first one that found no room.
                watcher.next = index;
                return Ok(result);
            };
            *event = EpollEvent { events: held, data: watch.event.data };
            watch.told(&ready);
            result.ready += 1;
        }
        result.or(stopped)
    }
}

//! Actions of the registry on the way from what was fetched to their place: looked at in slices,
//! and prepared, if their image has to be. Who wants one of them waits.

use alloc::boxed::Box;
use alloc::sync::Arc;

use super::super::slots::Slots;
use super::Answers;
use crate::api::{Arriving, Installed, Reject};
use crate::registry::{Action, Digest};
use crate::slice::Slice;
use crate::state::Now;
use crate::store::{Fetched, Key};
use limits::{SLICE_INTERVAL_NS, SLICE_LEN};

/// One of them.
pub struct Coming {
    pub key: Key,
    etag: Digest,
    /// Somebody has begun to change it here since.
    pub is_outdated: bool,
    /// What is still to be looked at.
    pub arriving: Option<Box<Arriving>>,
}

impl Answers<'_> {
    /// The registry has handed an action over.
    pub fn arrived(&mut self, key: Key, fetched: Fetched) {
        let etag = fetched.etag;
        let arriving = Some(Box::new(Arriving::new(key.clone(), fetched)));
        let Some(storage) = self.storage.as_deref_mut() else { return };
        storage.coming.push(Coming { key, etag, is_outdated: false, arriving });
    }

    /// Does a slice of what is to be looked at, in turns. Returns when to be called again.
    pub fn go_on_coming(&mut self, slots: &mut Slots, is_late: bool, now: Now) -> Option<u64> {
        let Self { node, storage, random, .. } = self;
        let storage = storage.as_deref_mut()?;
        let place = storage.coming.iter().position(|coming| coming.arriving.is_some())?;
        let due_ns = storage.sliced_ns + SLICE_INTERVAL_NS;
        if now.monotonic_ns < due_ns {
            return Some(due_ns);
        }
        storage.sliced_ns = now.monotonic_ns;
        let Coming { key, etag, arriving, .. } = &mut storage.coming[place];
        let (key, etag) = (key.clone(), *etag);
        let slice = &mut Slice::new(SLICE_LEN);
        match arriving.as_mut()?.step(node, slice, now, random.id()) {
            // The next one's turn.
            Ok(None) => storage.coming[place..].rotate_left(1),
            Ok(Some(Installed::Ready(action))) => {
                self.fetched(slots, key, etag, Ok(action), is_late, now);
            }
            Ok(Some(Installed::Prepares(admission))) => {
                *arriving = None;
                if let Err(reject) = self.submit_unseen(admission) {
                    self.fetched(slots, key, etag, Err(reject), is_late, now);
                }
            }
            Err(reject) => self.fetched(slots, key, etag, Err(reject), is_late, now),
        }
        Some(now.monotonic_ns + SLICE_INTERVAL_NS)
    }

    /// An action of the registry can be used, or not.
    pub fn fetched(
        &mut self,
        slots: &mut Slots,
        key: Key,
        etag: Digest,
        action: Result<Arc<Action>, Reject>,
        is_late: bool,
        now: Now,
    ) {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage.as_deref_mut() else { return };
        let is_it = |coming: &Coming| coming.key == key && coming.etag == etag;
        let place = storage.coming.iter().position(is_it);
        let coming = place.map(|place| storage.coming.swap_remove(place));
        let is_held = node.registry.get(&key.0, key.1.as_str()).is_some();
        if is_held && coming.is_some_and(|coming| coming.is_outdated) {
            // What was put here meanwhile is newer.
            return self.resume_all(slots, key, is_late, now);
        }
        let installed = action.and_then(|action| Ok(storage.install(node, action, etag, now)?));
        match installed {
            Ok(()) => self.resume_all(slots, key, is_late, now),
            Err(reject) => self.refuse_all(slots, &key, &reject, now),
        }
    }
}

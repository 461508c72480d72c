//! Changes that the registry has to take before they are made here, and answered.

use alloc::sync::Arc;

use super::super::slots::Slots;
use super::storage::Doing;
use super::{Answers, respond};
use crate::api::{Change, Deed, Subject};
use crate::http::Headers;
use crate::state::Now;
use crate::state::statistics::Reason;
use crate::store::{Found, Outcome, StoreReject};

impl Answers<'_> {
    /// Has the registry take a change; who waits for it is answered then.
    pub fn begin_deed(&mut self, slots: &mut Slots, deed: Deed, slot: Option<u32>, now: Now) {
        let Some(storage) = self.storage.as_deref_mut() else { return };
        if let Err(refused) = storage.begin(deed, slot, now) {
            let (deed, reject) = *refused;
            self.answer_deed(slots, slot, deed, Err(reject), now);
        }
    }

    /// The registry has taken it, or not.
    pub fn deed_done(
        &mut self,
        slots: &mut Slots,
        doing: Doing,
        result: Result<Found, StoreReject>,
        now: Now,
    ) {
        let Self { node, storage, .. } = self;
        let Some(storage) = storage.as_deref_mut() else { return };
        let Doing { deed, slot, .. } = doing;
        if result.is_ok() {
            storage.outdate(&deed.change.item());
        }
        let result = result.map(|found| match (&deed.change, found) {
            (Change::Put(action), Found::One(Outcome::Kept(etag))) => {
                // Without room for it here it is fetched when somebody wants it.
                let _ = storage.install(node, Arc::clone(action), etag, now);
            }
            (Change::PutRuntime(runtime), Found::One(Outcome::Kept(etag))) => {
                if let Err(full) = storage.install_runtime(node, runtime, etag, now) {
                    log::warn!("runtime: {} is in the store, but not here: {full}", runtime.name);
                }
            }
            (Change::Delete(action), _) => {
                node.registry.remove(&action.namespace, action.name.as_str());
                node.statistics.forget(action);
            }
            (Change::DeleteRuntime(runtime), _) => {
                node.registry.remove_runtime(&runtime.name);
                storage.supply.gone(&runtime.name, now.monotonic_ns);
            }
            (Change::Put(_) | Change::PutRuntime(_), _) => {}
        });
        self.answer_deed(slots, slot, deed, result, now);
    }

    fn answer_deed(
        &mut self,
        slots: &mut Slots,
        slot: Option<u32>,
        deed: Deed,
        result: Result<(), StoreReject>,
        now: Now,
    ) {
        // The request's own is no longer there.
        let path = deed.change.path();
        // One that the client made up is no number, and not told.
        let id = u128::from_str_radix(deed.request_id.text(), 16).unwrap_or(0);
        let response = deed.answer(result).unwrap_or_else(|refusal| {
            self.node.statistics.rejected(Reason::Store);
            refusal
        });
        let Some(index) = slot else { return };
        let slot = slots.get(index);
        slot.progress_ns = now.monotonic_ns;
        let subject = Subject::Request { path: &path, headers: Headers::default(), id };
        respond(&mut self.node, slot, response, subject, now);
        slots.touch(index);
    }
}

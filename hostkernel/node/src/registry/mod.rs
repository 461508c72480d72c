//! The registry: which action a name means, namespace by namespace.
//!
//! Actions are immutable and shared. Replacing or deleting one takes it out of the table;
//! invocations that hold it keep its image until the last of them has ended. Nothing here parses,
//! verifies or runs anything: [`crate::api`] fills the table with what passed its checks.

mod action;
mod annotations;
pub mod charge;
mod counted_at;
mod held;
mod holding;
mod key_values;
mod name;
mod namespace;
mod runtimes;
mod variables;

pub use action::{Action, Digest, Digester, Limits, Version};
pub use annotations::{Annotations, Door, Warm};
use charge::{Account, Charge};
pub use counted_at::CountedAt;
pub use held::Purpose;
pub use holding::{Books, Holding, OverBudget};
pub use key_values::{Builder as KeyValuesBuilder, KeyValues};
pub use name::{Name, NameReject};
pub use namespace::{Exceeded, Namespace, Permit, Quotas};
pub use runtimes::{Runtime, RuntimeNameReject, Runtimes, check_runtime_name};
pub use variables::{Reader, write_parameters};
pub use variables::{VariableChange, VariableFate, VariableKind, VariableReject, Variables};

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::fmt;
use core::ops::Bound;

use limits::{ACTIONS_MAX, OVERHEAD_PAGES, PAGE_LEN, RUNTIMES_MAX};
use memory::Template;

/// What an action does not fit into. Each bound leaves room for what the node must be able to do
/// whatever is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There are [`ACTIONS_MAX`] actions.
    Actions,
    /// The memory for images, and for running the action with the largest limit, is used up.
    Frames,
    /// The memory for names, parameters and annotations is used up.
    Heap,
    /// There are [`RUNTIMES_MAX`] runtimes.
    Runtimes,
    /// The namespace has so much code, in MB, and may have no more.
    Code(u64),
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Actions => {
                write!(f, "the node already holds {ACTIONS_MAX} actions, as many as it can")
            }
            Self::Frames => f.write_str(
                "the node has no memory for this action: all images and the largest memory limit \
                 must fit at the same time",
            ),
            Self::Heap => f.write_str(
                "the node has no memory for this action's name, parameters and annotations",
            ),
            Self::Runtimes => {
                write!(f, "the node already holds {RUNTIMES_MAX} runtimes, as many as it can")
            }
            Self::Code(allowed_mb) => write!(
                f,
                "the code of all actions of the namespace exceeds allowed threshold of \
                 {allowed_mb} MB"
            ),
        }
    }
}

/// What may be used of memory: the registry's shares, and beside them the budget of requests and
/// answers.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// Frames for images and, besides, one invocation of the action with the largest memory limit.
    pub frames: usize,
    /// Bytes of the kernel heap.
    pub heap_len: usize,
    /// Bytes that requests and answers may hold.
    pub exchange_len: usize,
}

impl Share {
    /// No bound but the number of actions.
    pub const UNBOUNDED: Self =
        Self { frames: usize::MAX, heap_len: usize::MAX, exchange_len: usize::MAX };
}

/// All deployed actions.
///
/// Trees rather than hash tables: listing is ordered, growth never stops the node to rehash, names
/// chosen by an attacker cannot degrade it, and the logarithm of 100,000 is small.
#[derive(Debug)]
pub struct Registry {
    holdings: BTreeMap<Namespace, Holdings>,
    len: usize,
    runtimes: Runtimes,
    share: Share,
    used: Used,
    /// What those take, and those that are no longer here but still used.
    account: Arc<Account>,
}

/// What one namespace has.
#[derive(Debug, Default)]
struct Holdings {
    actions: BTreeMap<Name, Arc<Action>>,
    /// Every image once, with the number of its actions. Not shared between namespaces: whether
    /// somebody else's action just ran shows in the caches of pages one has in common.
    images: BTreeMap<Digest, (Arc<Template>, usize)>,
    /// Bytes of the images' files, and of what was frozen.
    code_len: usize,
}

/// What is taken by who is no longer here.
#[derive(Clone, Copy)]
struct Gone {
    frames: usize,
    heap_len: usize,
}

/// What is taken of the share.
#[derive(Clone, Debug, Default)]
struct Used {
    /// With those of runtimes.
    frames: usize,
    /// Of actions' images alone.
    image_frames: usize,
    heap_len: usize,
    /// How many actions have which memory limit, in MB.
    limits: BTreeMap<u64, usize>,
}

impl Registry {
    /// A registry without actions.
    #[must_use]
    pub fn new(share: Share) -> Self {
        let used = Used::default();
        Self {
            holdings: BTreeMap::new(),
            len: 0,
            runtimes: Runtimes::new(),
            share,
            used,
            account: Arc::default(),
        }
    }

    /// The action of this name.
    #[must_use]
    pub fn get(&self, namespace: &Namespace, name: &str) -> Option<&Arc<Action>> {
        self.holdings.get(namespace)?.actions.get(name)
    }

    /// The image with this digest, if an action of the namespace has it already.
    #[must_use]
    pub fn image(&self, namespace: &Namespace, digest: &Digest) -> Option<&Arc<Template>> {
        self.holdings.get(namespace)?.images.get(digest).map(|(template, _)| template)
    }

    /// Puts an action in its place, instead of the one that may be there.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; then nothing changes.
    pub fn insert(&mut self, action: Arc<Action>) -> Result<(), Full> {
        let (namespace, name) = (action.namespace.clone(), action.name.clone());
        let gone = self.gone();
        let replaced = self.remove(&namespace, name.as_str());
        let result = self.check_room(&action, gone);
        let kept = if result.is_ok() { Some(action) } else { replaced };
        if let Some(action) = kept {
            let tenant = self.holdings.entry(namespace).or_default();
            let image = || (Arc::clone(&action.template), 0);
            let (template, actions) = tenant.images.entry(action.digest).or_insert_with(image);
            if *actions == 0 {
                tenant.code_len += template.code_len();
                let (frames, heap_len) = (template.frames(), template.heap_len());
                template.attach(|| Box::new(Charge::new(&self.account, frames, heap_len)));
            }
            action.charge.call_once(|| Charge::new(&self.account, 0, action.heap_len()));
            self.used.add(&action, *actions == 0, template);
            *actions += 1;
            tenant.actions.insert(name, action);
            self.len += 1;
        }
        result
    }

    /// Whether there is room for an action whose name is not taken.
    /// `gone` is what those take that are no longer here.
    fn check_room(&self, action: &Action, gone: Gone) -> Result<(), Full> {
        if self.is_full() {
            return Err(Full::Actions);
        }
        let template = &action.template;
        let is_new = self.image(&action.namespace, &action.digest).is_none();
        if let (true, Some(allowed_mb)) = (is_new, action.namespace.quotas().code_mb) {
            let held = self.holdings.get(&action.namespace).map_or(0, |tenant| tenant.code_len);
            if (held + template.code_len()) as u64 > allowed_mb << 20 {
                return Err(Full::Code(allowed_mb));
            }
        }
        let frames = if is_new { template.frames() } else { 0 };
        let running = frames_to_run(action.limits.memory_mb.max(self.largest_mb()));
        let taken = self.used.frames.saturating_add(gone.frames).saturating_add(frames);
        if taken.saturating_add(running) > self.share.frames {
            return Err(Full::Frames);
        }
        let heap_len = action.heap_len() + if is_new { template.heap_len() } else { 0 };
        let taken = self.used.heap_len.saturating_add(gone.heap_len);
        if taken.saturating_add(heap_len) > self.share.heap_len {
            return Err(Full::Heap);
        }
        Ok(())
    }

    /// What of its share no image has, in bytes.
    #[must_use]
    pub fn room_len(&self) -> usize {
        let taken = self.used.frames.saturating_add(self.gone().frames);
        self.share.frames.saturating_sub(taken).saturating_mul(PAGE_LEN)
    }

    /// What actions and images take that are no longer here, but still used.
    fn gone(&self) -> Gone {
        Gone {
            frames: self.account.frames().saturating_sub(self.used.image_frames),
            heap_len: self.account.heap_len().saturating_sub(self.used.heap_len),
        }
    }

    /// What source code runs with.
    #[must_use]
    pub fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// Puts a runtime in its place, instead of the one that may be there, whose functions keep it.
    ///
    /// # Errors
    /// [`Full`] if there is no room for it; then nothing changes.
    pub fn insert_runtime(&mut self, runtime: Arc<Runtime>) -> Result<(), Full> {
        if self.runtimes.is_full_for(&runtime.name) {
            return Err(Full::Runtimes);
        }
        let used = self.used.frames.saturating_add(frames_to_run(self.largest_mb()));
        let replaced = self.runtimes.get(&runtime.name);
        let freed = replaced.map_or(0, |runtime| runtime.template.frames());
        let frames = runtime.template.frames();
        if used.saturating_sub(freed).saturating_add(frames) > self.share.frames {
            return Err(Full::Frames);
        }
        self.runtimes.insert(runtime);
        self.used.frames = self.used.frames - freed + frames;
        Ok(())
    }

    /// Takes a runtime out; functions that were deployed stay.
    pub fn remove_runtime(&mut self, name: &str) -> Option<Arc<Runtime>> {
        let removed = self.runtimes.remove(name)?;
        self.used.frames -= removed.template.frames();
        Some(removed)
    }

    /// The largest memory limit of an action.
    #[must_use]
    fn largest_mb(&self) -> u64 {
        self.used.limits.last_key_value().map_or(0, |(limit_mb, _)| *limit_mb)
    }

    /// Takes an action out.
    pub fn remove(&mut self, namespace: &Namespace, name: &str) -> Option<Arc<Action>> {
        let tenant = self.holdings.get_mut(namespace)?;
        let removed = tenant.actions.remove(name)?;
        self.len -= 1;
        if let Some((template, actions)) = tenant.images.get_mut(&removed.digest) {
            *actions -= 1;
            let is_last = *actions == 0;
            self.used.subtract(&removed, is_last, template);
            if is_last {
                tenant.code_len -= template.code_len();
                tenant.images.remove(&removed.digest);
            }
        }
        Some(removed)
    }

    /// The actions of a namespace whose names come behind this one, by name.
    pub fn list_behind(
        &self,
        namespace: &Namespace,
        name: Option<&Name>,
    ) -> impl Iterator<Item = &Arc<Action>> {
        let start = name.map_or(Bound::Unbounded, Bound::Excluded);
        let tenant = self.holdings.get(namespace);
        let range = tenant.map(|tenant| tenant.actions.range::<Name, _>((start, Bound::Unbounded)));
        range.into_iter().flatten().map(|(_, action)| action)
    }

    /// The actions of a namespace, by name.
    pub fn list(&self, namespace: &Namespace) -> impl Iterator<Item = &Arc<Action>> {
        self.holdings.get(namespace).into_iter().flat_map(|tenant| tenant.actions.values())
    }

    /// How many actions a namespace has.
    #[must_use]
    pub fn count(&self, namespace: &Namespace) -> usize {
        self.holdings.get(namespace).map_or(0, |tenant| tenant.actions.len())
    }

    /// How many actions the node has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no action at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether a new name would be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len >= ACTIONS_MAX
    }
}

/// Frames that an invocation with this memory limit reserves.
#[must_use]
pub fn frames_to_run(memory_mb: u64) -> usize {
    const PER_MB: u64 = (1 << 20) / PAGE_LEN as u64;
    (memory_mb * PER_MB) as usize + OVERHEAD_PAGES
}

impl Used {
    fn add(&mut self, action: &Action, with_image: bool, image: &Template) {
        self.heap_len += action.heap_len();
        *self.limits.entry(action.limits.memory_mb).or_default() += 1;
        if with_image {
            self.frames += image.frames();
            self.image_frames += image.frames();
            self.heap_len += image.heap_len();
        }
    }

    fn subtract(&mut self, action: &Action, with_image: bool, image: &Template) {
        self.heap_len -= action.heap_len();
        if let Some(actions) = self.limits.get_mut(&action.limits.memory_mb) {
            *actions -= 1;
            if *actions == 0 {
                self.limits.remove(&action.limits.memory_mb);
            }
        }
        if with_image {
            self.frames -= image.frames();
            self.image_frames -= image.frames();
            self.heap_len -= image.heap_len();
        }
    }
}

#[cfg(test)]
mod tests;

//! The table as a whole.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::registry::Limits;
use memory::LoadPlan;
use memory::{PageBuffer, Template};

/// An image of nothing: the registry does not care.
fn template() -> Arc<Template> {
    memory::install_for_test();
    let plan = LoadPlan { entry: 0, segments: vec![], is_host: false };
    Arc::new(Template::build(&plan, PageBuffer::new()).expect("frames are left"))
}

fn action(namespace: &Namespace, name: &str, template: &Arc<Template>) -> Arc<Action> {
    Arc::new(Action {
        namespace: namespace.clone(),
        name: Name::new(name).expect("a good name"),
        version: Version::FIRST,
        digest: Digest([0; 32]),
        of_code: Digest([0; 32]),
        kind: "native:1".into(),
        main: None,
        limits: Limits { timeout_ms: 1000, memory_mb: 1, logs_mb: 0 },
        annotations: Arc::default(),
        parameters: Arc::default(),
        variables: None,
        publish: false,
        updated_ms: 0,
        template: Arc::clone(template),
        makes_fields: false,
        counted_at: Default::default(),
        charge: Default::default(),
    })
}

fn names(registry: &Registry, namespace: &Namespace) -> Vec<String> {
    registry.list(namespace).map(|action| format!("{}", action.name)).collect()
}

#[test]
fn what_is_put_in_is_found_listed_in_order_and_taken_out() {
    let (mut registry, guest, template) =
        (Registry::new(Share::UNBOUNDED), Namespace::new("guest"), template());
    assert!(registry.is_empty() && registry.get(&guest, "a").is_none());
    for name in ["b", "c", "a", "B"] {
        registry.insert(action(&guest, name, &template)).expect("there is room");
    }
    assert_eq!(names(&registry, &guest), ["B", "a", "b", "c"]);
    assert_eq!((registry.len(), registry.count(&guest)), (4, 4));
    assert!(registry.get(&guest, "b").is_some() && registry.get(&guest, "bb").is_none());
    assert!(registry.remove(&guest, "b").is_some());
    assert!(registry.remove(&guest, "b").is_none());
    assert_eq!(names(&registry, &guest), ["B", "a", "c"]);
    assert_eq!(registry.len(), 3);
}

#[test]
fn namespaces_do_not_see_each_other() {
    let (mut registry, template) = (Registry::new(Share::UNBOUNDED), template());
    let (ours, theirs) = (Namespace::new("ours"), Namespace::new("theirs"));
    registry.insert(action(&ours, "a", &template)).expect("there is room");
    assert!(registry.get(&theirs, "a").is_none());
    assert!(registry.remove(&theirs, "a").is_none());
    assert!(names(&registry, &theirs).is_empty());
    registry.insert(action(&theirs, "a", &template)).expect("there is room");
    assert!(registry.remove(&ours, "a").is_some());
    assert!(registry.get(&theirs, "a").is_some());
    assert_eq!((registry.len(), registry.count(&ours), registry.count(&theirs)), (1, 0, 1));
}

#[test]
fn who_holds_a_replaced_action_keeps_its_image() {
    let (mut registry, guest) = (Registry::new(Share::UNBOUNDED), Namespace::new("guest"));
    let old = template();
    let weak = Arc::downgrade(&old);
    registry.insert(action(&guest, "a", &old)).expect("there is room");
    drop(old);
    let running = registry.get(&guest, "a").map(Arc::clone).expect("it was just put there");
    registry.insert(action(&guest, "a", &template())).expect("there is room");
    assert_eq!(registry.len(), 1);
    assert!(weak.upgrade().is_some(), "the running invocation holds it");
    drop(running);
    assert!(weak.upgrade().is_none(), "nobody else does");
}

#[test]
fn a_full_registry_refuses_new_names_only() {
    let (mut registry, guest, template) =
        (Registry::new(Share::UNBOUNDED), Namespace::new("guest"), template());
    for number in 0..ACTIONS_MAX {
        registry.insert(action(&guest, &format!("action-{number}"), &template)).expect("room");
    }
    assert!(registry.is_full());
    assert_eq!(registry.insert(action(&guest, "one-more", &template)), Err(Full::Actions));
    assert_eq!(registry.insert(action(&Namespace::new("x"), "a", &template)), Err(Full::Actions));
    assert!(registry.insert(action(&guest, "action-7", &template)).is_ok());
    assert!(registry.remove(&guest, "action-8").is_some());
    assert!(registry.insert(action(&guest, "one-more", &template)).is_ok());
    assert_eq!(registry.len(), ACTIONS_MAX);
    assert!(format!("{}", Full::Actions).contains(&format!("{ACTIONS_MAX}")));
}

/// An image of this many pages.
fn image(pages: usize) -> Arc<Template> {
    memory::install_for_test();
    let code = PageBuffer::from_bytes(&vec![1; pages * limits::PAGE_LEN]);
    let plan = LoadPlan { entry: 0, segments: vec![], is_host: false };
    Arc::new(Template::build(&plan, code.expect("frames are left")).expect("frames are left"))
}

/// An action with an image of its own.
fn distinct(name: &str, pages: usize, digest: u8, memory_mb: u64) -> Arc<Action> {
    let plain = action(&Namespace::new("guest"), name, &image(pages));
    let mut action = Arc::into_inner(plain).expect("nobody else has it yet");
    action.digest = Digest([digest; 32]);
    action.limits.memory_mb = memory_mb;
    Arc::new(action)
}

#[test]
fn what_is_deployed_can_always_run_alone() {
    let frames = 100 + frames_to_run(2);
    let mut registry = Registry::new(Share { frames, ..Share::UNBOUNDED });
    let guest = Namespace::new("guest");
    registry.insert(distinct("a", 50, 1, 2)).expect("50 of 100");
    assert_eq!(registry.insert(distinct("b", 51, 2, 2)), Err(Full::Frames));
    assert_eq!(registry.insert(distinct("b", 1, 2, 3)), Err(Full::Frames), "the limit is larger");
    registry.insert(distinct("b", 50, 2, 1)).expect("100 of 100");
    assert_eq!(registry.insert(distinct("b", 51, 3, 1)), Err(Full::Frames));
    assert_eq!(registry.get(&guest, "b").map(|old| old.digest), Some(Digest([2; 32])), "kept");
    registry.insert(distinct("b", 49, 3, 1)).expect("what it replaces is counted off");
    registry.remove(&guest, "a").expect("it is there");
    registry.insert(distinct("c", 51 + 256, 4, 1)).expect("a smaller limit leaves more for images");
    assert_eq!(registry.insert(distinct("d", 1, 5, 1)), Err(Full::Frames));
}

#[test]
fn actions_of_a_namespace_share_an_image_and_others_do_not() {
    let (ours, theirs) = (Namespace::new("ours"), Namespace::new("theirs"));
    let (mut registry, template) = (Registry::new(Share::UNBOUNDED), template());
    for name in ["a", "b"] {
        registry.insert(action(&ours, name, &template)).expect("there is room");
    }
    let digest = Digest([0; 32]);
    assert!(registry.image(&ours, &digest).is_some_and(|image| Arc::ptr_eq(image, &template)));
    assert!(registry.image(&theirs, &digest).is_none());
    registry.remove(&ours, "a").expect("it is there");
    assert!(registry.image(&ours, &digest).is_some(), "b has it");
    registry.remove(&ours, "b").expect("it is there");
    assert!(registry.image(&ours, &digest).is_none());
    assert_eq!((registry.used.frames, registry.used.heap_len), (0, 0));
    assert!(registry.used.limits.is_empty());
}

#[test]
fn the_heap_is_not_for_actions_alone() {
    let one = action(&Namespace::new("guest"), "a", &template());
    let heap_len = one.heap_len() + one.template.heap_len();
    let mut registry = Registry::new(Share { heap_len, ..Share::UNBOUNDED });
    registry.insert(Arc::clone(&one)).expect("exactly its room");
    let second = action(&one.namespace, "b", &one.template);
    assert_eq!(registry.insert(second), Err(Full::Heap));
    registry.insert(one).expect("it replaces itself");
}

#[test]
fn what_was_deleted_counts_until_nobody_uses_it() {
    let frames = frames_to_run(1) + 2;
    let share = Share { frames, ..Share::UNBOUNDED };
    let (mut registry, guest) = (Registry::new(share), Namespace::new("guest"));
    let image = || {
        memory::install_for_test();
        let plan = LoadPlan { entry: 0, segments: vec![], is_host: false };
        let code = PageBuffer::from_bytes(&[1; 2 * PAGE_LEN]).expect("frames are left");
        Arc::new(Template::build(&plan, code).expect("frames are left"))
    };
    registry.insert(action(&guest, "a", &image())).expect("there is room");
    assert_eq!(registry.room_len(), frames_to_run(1) * PAGE_LEN);
    // Somebody reads or runs it.
    let used = registry.remove(&guest, "a").expect("it is there");
    assert_eq!(registry.room_len(), frames_to_run(1) * PAGE_LEN);
    let (again, new) = (Arc::clone(&used), action(&guest, "a", &image()));
    assert!(matches!(registry.insert(Arc::clone(&new)), Err(Full::Frames)));
    drop(used);
    assert!(registry.insert(Arc::clone(&new)).is_err(), "one is left");
    drop(again);
    registry.insert(new).expect("there is room again");
    assert!(registry.remove(&guest, "a").is_some());
    assert_eq!(registry.room_len(), frames * PAGE_LEN);
}

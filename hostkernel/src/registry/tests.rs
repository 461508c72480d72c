//! The table as a whole.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::dispatch::Limits;
use crate::image::LoadPlan;
use crate::memory::{PageBuffer, Template};

/// An image of nothing: the registry does not care.
fn template() -> Arc<Template> {
    crate::memory::install_for_test();
    let plan = LoadPlan { entry: 0, segments: vec![] };
    Arc::new(Template::build(&plan, PageBuffer::new()).expect("frames are left"))
}

fn action(namespace: &Namespace, name: &str, template: &Arc<Template>) -> Arc<Action> {
    Arc::new(Action {
        namespace: namespace.clone(),
        name: Name::new(name).expect("a good name"),
        version: Version::FIRST,
        digest: Digest([0; 32]),
        kind: "native:1".into(),
        limits: Limits { timeout_ms: 1000, memory_mb: 1, logs_mb: 0 },
        annotations: Arc::default(),
        parameters: Arc::default(),
        publish: false,
        updated_ms: 0,
        template: Arc::clone(template),
    })
}

fn names(registry: &Registry, namespace: &Namespace) -> Vec<String> {
    registry.list(namespace).map(|action| format!("{}", action.name)).collect()
}

#[test]
fn what_is_put_in_is_found_listed_in_order_and_taken_out() {
    let (mut registry, guest, template) = (Registry::new(), Namespace::new("guest"), template());
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
    let (mut registry, template) = (Registry::new(), template());
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
    let (mut registry, guest) = (Registry::new(), Namespace::new("guest"));
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
    let (mut registry, guest, template) = (Registry::new(), Namespace::new("guest"), template());
    for number in 0..ACTIONS_MAX {
        registry.insert(action(&guest, &format!("action-{number}"), &template)).expect("room");
    }
    assert!(registry.is_full());
    assert_eq!(registry.insert(action(&guest, "one-more", &template)), Err(Full));
    assert_eq!(registry.insert(action(&Namespace::new("x"), "a", &template)), Err(Full));
    assert!(registry.insert(action(&guest, "action-7", &template)).is_ok());
    assert!(registry.remove(&guest, "action-8").is_some());
    assert!(registry.insert(action(&guest, "one-more", &template)).is_ok());
    assert_eq!(registry.len(), ACTIONS_MAX);
    assert!(format!("{Full}").contains(&format!("{ACTIONS_MAX}")));
}

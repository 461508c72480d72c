//! Who may ask the registry for how much at a time.

use alloc::format;

use super::*;
use crate::registry::Name;
use crate::settings::{Loader, Source};

fn store(is_shared: bool) -> Store {
    let mut loader = Loader::default();
    loader.words(Source::CommandLine, "hostkernel.store=http://10.0.2.2:5000/p");
    Store::new(&loader.finish().settings, is_shared).expect("the setting is right")
}

fn key(namespace: &Namespace, number: usize) -> Key {
    (namespace.clone(), Name::new(&format!("name-{number}")).expect("a good name"))
}

/// Asks for names that the node does not have until it is refused; returns how many that were.
fn flood(store: &mut Store, namespace: &Namespace, asker: Ipv4Addr, first: usize) -> usize {
    let asked = |at: &usize| {
        let look = store.look(&key(namespace, first + at), false, false, Some(asker), 1);
        match look {
            Look::Asked => true,
            Look::Away(StoreReject::Busy) => false,
            look => panic!("{look:?}"),
        }
    };
    (0..=ERRANDS_MAX).take_while(asked).count()
}

#[test]
fn names_that_somebody_makes_up_leave_room_for_others() {
    let (mut store, guest) = (store(false), Namespace::new("guest"));
    let client = |last: u8| Ipv4Addr::new(10, 0, 0, last);
    let alone = flood(&mut store, &guest, client(1), 0);
    assert!((ERRANDS_UNKNOWN_MAX / 2..ERRANDS_UNKNOWN_MAX).contains(&alone), "{alone}");
    let second = flood(&mut store, &guest, client(2), 1000);
    assert!(second > 8, "{second}");
    let last = store.look(&key(&guest, 0), false, false, Some(client(1)), 1);
    assert!(matches!(last, Look::Asked), "who wants what is asked for already waits for it");
    // What means something has room: a confirmation, a change.
    let held = store.look(&key(&guest, 5000), true, false, Some(client(1)), 1);
    assert!(matches!(held, Look::Asked), "{held:?}");
    let changed = store.look(&key(&guest, 5001), false, true, Some(client(1)), 1);
    assert!(matches!(changed, Look::Asked), "{changed:?}");
    assert!(store.begin(Item::Action(key(&guest, 5002)), Task::Delete, 1).is_ok());
}

#[test]
fn no_tenant_has_all_errands_where_there_are_several() {
    let [first, second] = ["a", "b"].map(Namespace::new);
    let begin = |store: &mut Store, namespace: &Namespace| {
        let begun =
            |at: &usize| store.begin(Item::Action(key(namespace, *at)), Task::Delete, 1).is_ok();
        (0..=ERRANDS_MAX).take_while(begun).count()
    };
    assert_eq!(begin(&mut store(false), &first), ERRANDS_MAX);
    let mut shared = store(true);
    assert!(begin(&mut shared, &first) < ERRANDS_MAX);
    assert!(begin(&mut shared, &second) > 8);
}

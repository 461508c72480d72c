//! What becomes of variables, change by change.

use super::*;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use proptest::prelude::*;

fn set(name: &str, value: &str, is_secret: bool) -> VariableChange {
    let value = Zeroizing::new(value.as_bytes().to_vec());
    VariableChange { name: name.into(), what: VariableFate::Set { value, is_secret } }
}

fn change(name: &str, what: VariableFate) -> VariableChange {
    VariableChange { name: name.into(), what }
}

fn amended(before: &Variables, changes: &[VariableChange]) -> Result<Variables, VariableReject> {
    Variables::amended(Some(before), None, changes)
}

fn of(changes: &[VariableChange]) -> Variables {
    amended(&Variables::default(), changes).expect("they can be set")
}

#[test]
fn the_block_is_what_a_program_gets() {
    let variables = of(&[set("A", "1", false), set("B", "x=y", true), set("C", "", false)]);
    assert_eq!(variables.block(), b"A=1\0B=x=y\0C=\0");
    let kinds: Vec<_> = variables.iter().map(|(.., kind)| kind).collect();
    assert_eq!(kinds, [VariableKind::Plain, VariableKind::Secret, VariableKind::Plain]);
    assert!(variables.heap_len() > variables.block().len());
}

#[test]
fn what_is_named_changes_and_the_rest_stays() {
    let before = of(&[set("A", "1", false), set("B", "secret", true), set("C", "3", false)]);
    let changes = [change("A", VariableFate::Remove), set("C", "four", true), set("D", "5", false)];
    let after = amended(&before, &changes).expect("they can be set");
    assert_eq!(after.block(), b"B=secret\0C=four\0D=5\0");
    let kept = amended(&after, &[change("B", VariableFate::Keep)]).expect("there is one");
    assert_eq!(kept.block(), b"C=four\0D=5\0B=secret\0");
    let unknown = amended(&after, &[change("A", VariableFate::Keep)]).expect_err("it went");
    assert_eq!(unknown, VariableReject::Unknown("A".into()));
    let twice = of(&[set("A", "1", false), set("A", "22", false), set("B", "", false)]);
    assert_eq!(twice.block(), b"A=22\0B=\0");
}

#[test]
fn parameters_become_variables_and_all_of_them_are_replaced() {
    memory::install_for_test();
    let parameters = |items: &[(&str, &str)]| KeyValues::from_items(items).expect("room");
    let before = of(&[set("A", "1", false)]);
    let given = parameters(&[(r#""T""#, r#""a\nb""#), (r#""N""#, " [1, 2] "), (r#""A""#, "7")]);
    let first = Variables::amended(Some(&before), Some(&given), &[]).expect("they fit");
    assert_eq!(first.block(), b"A=7\0N=[1, 2]\0T=a\nb\0");
    assert_eq!(first.parameters().len(), 3);
    // What else is changed leaves them, a change of one takes it from among the parameters.
    let second = amended(&first, &[set("N", "own", true)]).expect("they fit");
    assert_eq!(second.block(), b"A=7\0T=a\nb\0N=own\0");
    assert_eq!(second.parameters().len(), 2);
    let none = Variables::amended(Some(&second), Some(&parameters(&[])), &[]).expect("they fit");
    assert_eq!(none.block(), b"N=own\0");
    assert!(none.parameters().is_empty());
    let bad = parameters(&[(r#""T""#, r#""\ud800""#)]);
    let rejected = Variables::amended(None, Some(&bad), &[]);
    assert_eq!(rejected.err(), Some(VariableReject::Value("T".into())));
    for long in ["x".repeat(VARIABLES_LEN_MAX + 1), "1".repeat(VARIABLES_LEN_MAX + 1)] {
        let value = if long.starts_with('x') { alloc::format!("\"{long}\"") } else { long };
        let rejected = Variables::amended(None, Some(&parameters(&[(r#""T""#, &value)])), &[]);
        assert_eq!(rejected.err(), Some(VariableReject::TooLong));
    }
}

#[test]
fn names_of_the_node_are_its_own() {
    let rejected = |name: &str| amended(&Variables::default(), &[set(name, "", false)]).err();
    for name in ["__OW_API_KEY", "HOSTKERNEL_REQUEST", "TRACEPARENT", "PORT", "HTTP_COOKIE"] {
        assert_eq!(rejected(name), Some(VariableReject::Reserved(name.into())), "{name}");
    }
    for name in OF_REQUESTS {
        assert_eq!(rejected(name), Some(VariableReject::Reserved(name.into())), "{name}");
    }
    for name in ["", "A=B", "A\0", "A\n", &"N".repeat(VARIABLE_NAME_LEN_MAX + 1)] {
        assert_eq!(rejected(name), Some(VariableReject::Name), "{name}");
    }
    for name in ["HTTP_PROXY", "HTTPS", "a.b", "Größe", &"N".repeat(VARIABLE_NAME_LEN_MAX)] {
        assert_eq!(rejected(name), None, "{name}");
    }
    let nul = amended(&Variables::default(), &[set("A", "a\0B=forged", false)]);
    assert_eq!(nul.err(), Some(VariableReject::Value("A".into())));
}

#[test]
fn all_together_are_bounded() {
    let fits = set("A", &"x".repeat(VARIABLES_LEN_MAX - 3), false);
    assert_eq!(of(&[fits]).block().len(), VARIABLES_LEN_MAX);
    let long = set("A", &"x".repeat(VARIABLES_LEN_MAX - 2), false);
    assert_eq!(amended(&Variables::default(), &[long]).err(), Some(VariableReject::TooLong));
    let many = |count: usize| -> Vec<_> {
        (0..count).map(|number| set(&number.to_string(), "", false)).collect()
    };
    assert_eq!(of(&many(VARIABLES_MAX)).iter().count(), VARIABLES_MAX);
    let rejected = amended(&Variables::default(), &many(VARIABLES_MAX + 1));
    assert_eq!(rejected.err(), Some(VariableReject::TooLong));
}

#[test]
fn nothing_shows_a_value() {
    let variables = of(&[set("A", "hush", true)]);
    assert_eq!(alloc::format!("{variables:?}"), r#"["A"]"#);
}

proptest! {
    #[test]
    fn it_is_a_map(
        steps in proptest::collection::vec(
            ("[A-D]", proptest::option::of("[a-z]{0,4}"), any::<bool>()), 0..12),
    ) {
        let mut variables = Variables::default();
        let mut model: BTreeMap<String, (String, bool)> = BTreeMap::new();
        for (name, value, is_secret) in steps {
            let step = match value {
                Some(value) => {
                    model.insert(name.clone(), (value.clone(), is_secret));
                    set(&name, &value, is_secret)
                }
                None => {
                    model.remove(&name);
                    change(&name, VariableFate::Remove)
                }
            };
            variables = amended(&variables, &[step]).expect("they fit");
        }
        let found: BTreeMap<String, (String, bool)> = variables
            .iter()
            .map(|(name, value, kind)| {
                let value = String::from_utf8(value.to_vec()).expect("text");
                (name.into(), (value, kind == VariableKind::Secret))
            })
            .collect();
        prop_assert_eq!(found, model);
    }
}

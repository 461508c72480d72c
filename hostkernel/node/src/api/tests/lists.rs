//! Lists that are so long, or skip so many, that they are made in slices.

use super::*;

const LIST: &str = "/api/v1/namespaces/_/actions";
/// More than one slice passes over.
const MANY: usize = 700;

fn names(answer: &Answer) -> Vec<String> {
    let list = answer.json();
    let name = |action: &Value| action["name"].as_str().expect("a name").to_string();
    list.as_array().expect("a list").iter().map(name).collect()
}

#[test]
fn a_list_is_the_same_however_many_slices_it_takes() {
    let mut client = Client::new();
    let all: Vec<String> = (0..MANY).map(|number| format!("a{number:04}")).collect();
    for name in &all {
        assert_eq!(client.put(&format!("{LIST}/{name}"), &document("")).status(), 200);
    }
    for skip in [0, 1, 511, 512, 600, MANY - 1, MANY, 100_000] {
        for limit in [1, 30, 200] {
            let answer = client.get(&format!("{LIST}?skip={skip}&limit={limit}"));
            let expected: Vec<_> = all.iter().skip(skip).take(limit).cloned().collect();
            assert_eq!(names(&answer), expected, "{skip} {limit}");
        }
    }
    assert_eq!(client.get(&format!("{LIST}?count=true&skip=1")).json()["actions"], MANY - 1);
    // The first slice is not enough for this one.
    let key = client.authorization.clone().expect("a key");
    let text = RequestText::of(LIST, Some("skip=600"), &[("Authorization", &key)]);
    let mut request = Request { method: Method::Get, text, body: PageBuffer::new() };
    let reply = crate::api::handle(&mut client.node, &mut request, NOW, 1);
    assert!(matches!(reply, crate::api::Reply::Read(_)));
}

#[test]
fn entries_may_be_long() {
    let mut client = Client::new();
    let long = format!(r#","annotations":[{{"key":"a","value":"{}"}}]"#, "x".repeat(100_000));
    for number in 0..4 {
        assert_eq!(client.put(&format!("{LIST}/a{number}"), &document(&long)).status(), 200);
    }
    assert_eq!(names(&client.get(LIST)), ["a0", "a1", "a2", "a3"]);
    assert_eq!(names(&client.get(&format!("{LIST}?skip=1&limit=2"))), ["a1", "a2"]);
}

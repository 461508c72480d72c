//! Lists of what a registry has: however many that are, on however many pages.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::lab::Lab;
use super::registry::{Fake, Lie, answer, answer_of, ask, lab};
use limits::ACTIONS_MAX;

const ACTIONS: &str = "/api/v1/namespaces/_/actions";

/// The body of the answer to such a request.
fn list(lab: &mut Lab, fake: &mut Fake, query: &str) -> String {
    let client = lab.connect();
    ask(lab, client, "GET", &format!("{ACTIONS}{query}"), b"");
    let answer = answer_of(lab, fake, client);
    assert_eq!(answer.status, 200);
    lab.peer.close(client);
    String::from_utf8(answer.body).expect("text")
}

/// The names in a list.
fn names(text: &str) -> Vec<&str> {
    let fields = text.split("\"name\":\"").skip(1);
    fields.map(|rest| rest.split_once('"').expect("a name ends").0).collect()
}

#[test]
fn a_part_of_many_names_is_told_and_all_are_counted() {
    const MANY: usize = 12_000;
    let (mut lab, mut fake) = lab("");
    for number in 0..MANY {
        fake.manifests.insert(format!("action-{number:05}"), Vec::new());
    }
    fake.manifests.insert("v1.2.3".into(), Vec::new());
    // All in one answer, and on pages.
    for page_len in [None, Some(1_000)] {
        fake.page_len = page_len;
        let first = fake.log.len();
        assert_eq!(list(&mut lab, &mut fake, "?count=true"), format!("{{\"actions\":{MANY}}}"));
        let pages = MANY.div_ceil(page_len.unwrap_or(usize::MAX)) + usize::from(page_len.is_some());
        assert_eq!(fake.log.len() - first, pages, "the last page has what is no name");
        let text = list(&mut lab, &mut fake, "?limit=3&skip=11998");
        assert_eq!(names(&text), ["action-11998", "action-11999"]);
        let text = list(&mut lab, &mut fake, "?limit=2&skip=7");
        assert_eq!(names(&text), ["action-00007", "action-00008"]);
        assert_eq!(names(&list(&mut lab, &mut fake, "?limit=0")).len(), 200);
        assert_eq!(list(&mut lab, &mut fake, "?skip=20000"), "[]");
    }
    lab.settle();
}

#[test]
fn pages_that_never_end_and_pages_that_are_none_end() {
    let (mut lab, mut fake) = lab("");
    fake.manifests.insert("mine".into(), Vec::new());
    // The same page for ever, which says that another follows.
    fake.lies.push(("tags/list", |_| {
        let tags: Vec<String> = (0..4_000).map(|number| format!("\"t{number}\"")).collect();
        let page = format!("{{\"tags\":[{}]}}", tags.join(","));
        answer(200, "Link: </v2/next>; rel=\"next\"\r\n", page.as_bytes())
    }));
    let text = list(&mut lab, &mut fake, "?count=true");
    assert_eq!(fake.log.len(), ACTIONS_MAX.div_ceil(4_000), "{text}");
    // Of what is no page, nothing is believed: what the node has is better than nothing.
    let pages: [(Lie, bool); 7] = [
        (|_| answer(200, "", b""), false),
        (|_| answer(200, "", b"[]"), false),
        (|_| answer(200, "", b"{\"tags\":[1,"), false),
        (|_| answer(200, "", b"{\"tags\":{}}"), true),
        (|_| answer(200, "", b"{\"tags\":null}"), true),
        (|_| answer(200, "", b"{\"tags\":[1,\"v1.2\",[],\"\"]}"), true),
        (|_| answer(404, "", b"{}"), true),
    ];
    for (number, (page, is_page)) in pages.into_iter().enumerate() {
        fake.lies = Vec::from([("tags/list", page)]);
        let text = list(&mut lab, &mut fake, "");
        assert_eq!(names(&text).is_empty(), is_page, "{number}: {text}");
    }
    lab.settle();
}

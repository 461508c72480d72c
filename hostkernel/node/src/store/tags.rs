//! Which actions a namespace has: the tags of its repository, page by page, each read in slices.
//!
//! How many there are is for the tenant to choose, and for the registry how long a page is. Of the
//! names only those are kept that are asked for; the rest are counted. They are in the registry's
//! order, which the protocol wants to be that of the tags.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::reject::{Place, StoreReject};
use super::{Found, names};
use crate::client::url::Url;
use crate::client::{Answer, Request, Upload};
use crate::http::Method;
use crate::json::Json;
use crate::json::scan::{Member, Scanner, Takes};
use crate::registry::Namespace;
use crate::slice::Slice;
use crate::state::store::Stored;
use limits::{ACTIONS_MAX, TAG_LEN_MAX, TAGS_LEN_MAX, TAGS_PER_PAGE};
use memory::PageBuffer;

/// A tag as it stands in a page, with its quotes. Nothing in a tag needs to be escaped; who does
/// so all the same has room for it.
const SPELLING_LEN_MAX: usize = 2 * TAG_LEN_MAX;

/// See the head of this file.
pub struct Tags {
    /// Whose actions they are.
    pub namespace: Namespace,
    /// Where they are.
    pub repository: String,
    /// Which of the names are kept.
    wanted: Range<usize>,
    /// Tags on all pages so far, whether they are names or not.
    seen: usize,
    /// The last one of the page before.
    last: Option<String>,
    page: Option<Page>,
    found: Stored,
}

/// A page that is being read.
struct Page {
    text: PageBuffer,
    /// Another one follows.
    is_more: bool,
    scanner: Box<Scanner>,
    stage: Stage,
    /// Where the last tag is.
    last: Range<usize>,
}

/// Where in a page.
enum Stage {
    /// In the object around the list, which is there, if it was seen.
    Object(Option<Range<usize>>),
    /// In the list.
    List,
}

/// What comes after a slice of work.
pub enum After {
    /// Another slice.
    Slice,
    /// The next request.
    Request,
    /// Nothing.
    End(Found),
}

impl Tags {
    /// Those of a namespace, of which the names in this range are wanted.
    pub fn new(prefix: &str, namespace: &Namespace, wanted: Range<usize>) -> Self {
        Self {
            namespace: namespace.clone(),
            repository: names::repository(prefix, namespace.as_str()),
            wanted,
            seen: 0,
            last: None,
            page: None,
            found: Stored::default(),
        }
    }

    /// The request for the next page.
    pub fn request(&self, base: &Url) -> Request {
        let mut target = format!("/v2/{}/tags/list?n={TAGS_PER_PAGE}", self.repository);
        if let Some(last) = &self.last {
            target.push_str("&last=");
            target.push_str(last);
        }
        Request {
            method: Method::Get,
            url: Url { target, ..base.clone() },
            fields: Vec::new(),
            authorization: None,
            upload: Upload::None,
            len_max: TAGS_LEN_MAX,
            is_hashed: false,
        }
    }

    /// Takes a page, to be [read](Self::read) then. Returns whether there is one.
    ///
    /// # Errors
    /// [`StoreReject::Status`]
    pub fn answer(&mut self, answer: Answer) -> Result<bool, StoreReject> {
        match answer.head.status {
            200 => {}
            404 => return Ok(false),
            status => return Err(StoreReject::Status(Place::Tags, status)),
        }
        self.page = Some(Page::new(answer.body, answer.head.headers().get("link").is_some()));
        Ok(true)
    }

    /// Reads a slice of the page, if there is one.
    ///
    /// # Errors
    /// [`StoreReject::Tags`] if it is none.
    pub fn read(&mut self, slice: &mut Slice) -> Result<After, StoreReject> {
        let Self { wanted, seen, page, found, .. } = self;
        let Some(Page { text, scanner, stage, last, .. }) = page else { return Ok(After::Request) };
        let is_read = match stage {
            Stage::Object(list) => scanner.step(text, slice, &mut |member| {
                if member.name.is_some_and(|name| name.is("tags")) {
                    *list = Some(member.value);
                }
            }),
            Stage::List => scanner.step(text, slice, &mut |Member { value, .. }| {
                *seen += 1;
                *last = value;
                let name = with_tag(text, last, names::name_of).flatten();
                if let Some(name) = name {
                    if wanted.contains(&found.all) {
                        found.names.push(name);
                    }
                    found.all += 1;
                }
            }),
        };
        if !is_read.map_err(|_| StoreReject::Tags)? {
            return Ok(After::Slice);
        }
        if let Stage::Object(Some(list)) = stage
            && text.chunk_at(list.start).first() == Some(&b'[')
        {
            scanner.restart(Takes::Container, list.clone());
            *stage = Stage::List;
            return Ok(After::Slice);
        }
        self.last = self.page.take().and_then(|page| page.next());
        let is_more = self.last.is_some() && self.seen < ACTIONS_MAX;
        Ok(if is_more { After::Request } else { After::End(self.take_found()) })
    }

    /// What was found so far.
    pub fn take_found(&mut self) -> Found {
        Found::List(core::mem::take(&mut self.found))
    }
}

impl Page {
    fn new(text: PageBuffer, is_more: bool) -> Self {
        let scanner = Box::new(Scanner::new(Takes::Object));
        Self { text, is_more, scanner, stage: Stage::Object(None), last: 0..0 }
    }

    /// The tag behind which the next page begins, if there is one.
    fn next(self) -> Option<String> {
        let is_tag =
            |tag: &str| tag.bytes().all(|it| it.is_ascii_alphanumeric() || b"_.-".contains(&it));
        let last = with_tag(&self.text, &self.last, |tag| is_tag(tag).then(|| String::from(tag)));
        last.flatten().filter(|_| self.is_more)
    }
}

/// Calls `f` with the tag that a value is, if it is one.
fn with_tag<R>(text: &PageBuffer, value: &Range<usize>, f: impl FnOnce(&str) -> R) -> Option<R> {
    let mut spelling = [0; SPELLING_LEN_MAX];
    let spelling = spelling.get_mut(..value.len())?;
    text.copy_to(value.clone(), spelling);
    let tag = Json::read(spelling).ok()?.string(TAG_LEN_MAX).ok()?;
    Some(f(&tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use limits::SLICE_LEN;

    #[test]
    fn a_page_of_any_length_is_read_slice_by_slice() {
        memory::install_for_test();
        let tags: Vec<String> = (0..9_000).map(|number| format!("\"{number:0100}\"")).collect();
        let text = format!("{{\"name\":\"p/n\",\"tags\":[{}]}}", tags.join(","));
        let namespace = Namespace::new("guest");
        let mut tags = Tags::new("p", &namespace, 8_990..9_010);
        let buffer = PageBuffer::from_bytes(text.as_bytes()).expect("frames are left");
        tags.page = Some(Page::new(buffer, false));
        let mut slices = 0;
        let found = loop {
            slices += 1;
            match tags.read(&mut Slice::new(SLICE_LEN)) {
                Ok(After::Slice) => {}
                Ok(After::End(Found::List(found))) => break found,
                _ => panic!("it is the only page"),
            }
        };
        // Once for what is in the object, once for what is in the list.
        assert!((2 * text.len() / SLICE_LEN..).contains(&slices), "{slices} slices");
        assert_eq!((found.all, found.names.len()), (9_000, 10));
    }
}

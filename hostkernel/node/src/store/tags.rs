//! Which actions a namespace has: the tags of its repository, page by page.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::names;
use super::reject::{Place, StoreReject};
use crate::client::url::Url;
use crate::client::{Answer, Request, Upload};
use crate::http::Method;
use crate::json::Json;
use crate::registry::Name;
use limits::{ACTIONS_MAX, TAG_LEN_MAX, TAGS_LEN_MAX, TAGS_PER_PAGE};

/// The request for a page of the tags of a repository, behind one of them.
pub fn page_request(base: &Url, repository: &str, last: Option<&str>) -> Request {
    let mut target = format!("/v2/{repository}/tags/list?n={TAGS_PER_PAGE}");
    if let Some(last) = last {
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

/// The actions on such a page, and the last tag if another page follows.
///
/// # Errors
/// [`StoreReject`]
pub fn read_page(answer: &Answer, names: &mut Vec<Name>) -> Result<Option<String>, StoreReject> {
    match answer.head.status {
        200 => {}
        404 => return Ok(None),
        status => return Err(StoreReject::Status(Place::Tags, status)),
    }
    let bytes = answer.body.to_vec().map_err(|_| StoreReject::NoMemory)?;
    let tags = Json::read(&bytes).and_then(|json| json.pick(["tags"]));
    let [tags] = tags.map_err(|_| StoreReject::Tags)?;
    let mut last = None;
    if let Some(tags) = tags {
        let walked = tags.elements(|tag| {
            let Ok(tag) = tag.string(TAG_LEN_MAX) else { return };
            if names.len() < ACTIONS_MAX {
                names.extend(names::name_of(&tag));
            }
            last = Some(String::from(tag));
        });
        walked.map_err(|_| StoreReject::Tags)?;
    }
    let is_more = answer.head.headers().get("link").is_some();
    let is_tag = |tag: &String| {
        tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
    };
    Ok(last.filter(|last| is_more && is_tag(last)))
}

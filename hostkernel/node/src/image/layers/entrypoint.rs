//! Which file of an image its entrypoint is.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::tree::{Node, Tree};
use super::{LayerReject, Process};
use limits::{IMAGE_LINKS_MAX, IMAGE_PATH_LEN_MAX, IMAGE_SEARCHED_MAX};

/// Where programs are looked for if the image does not say (execvp(3)).
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The path, from the root and without links, of the file that a process starts with.
pub fn find(tree: &Tree, process: &Process) -> Result<Vec<u8>, LayerReject> {
    let program = process.arguments.first().ok_or(LayerReject::NoEntrypoint)?;
    let absent = || LayerReject::Entrypoint(Box::from(program.as_str()));
    let at = |directory: &str| {
        let mut path = String::new();
        let len = directory.len() + 1 + program.len();
        path.try_reserve_exact(len).map_err(|_| LayerReject::NoMemory)?;
        [directory, "/", program].into_iter().for_each(|part| path.push_str(part));
        resolve(tree, path.as_bytes())
    };
    if program.starts_with('/') {
        return resolve(tree, program.as_bytes())?.ok_or_else(absent);
    }
    if program.contains('/') {
        return at(&process.directory)?.ok_or_else(absent);
    }
    let stated = process.environment.iter().find_map(|entry| entry.strip_prefix("PATH="));
    for directory in stated.unwrap_or(PATH).split(':').take(IMAGE_SEARCHED_MAX) {
        if let Some(found) = at(directory)? {
            return Ok(found);
        }
    }
    Err(absent())
}

/// The file that a path leads to, if it leads to one.
fn resolve(tree: &Tree, path: &[u8]) -> Result<Option<Vec<u8>>, LayerReject> {
    let mut found: Vec<u8> = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    let reserved = found.try_reserve_exact(IMAGE_PATH_LEN_MAX);
    reserved
        .and_then(|()| rest.try_reserve_exact(path.len()))
        .map_err(|_| LayerReject::NoMemory)?;
    rest.extend_from_slice(path);
    let mut links = 0;
    loop {
        let start = rest.iter().position(|byte| *byte != b'/');
        let Some(start) = start else { break };
        let end = rest[start..].iter().position(|byte| *byte == b'/');
        let end = end.map_or(rest.len(), |len| start + len);
        let before = found.len();
        match &rest[start..end] {
            b"." => {}
            b".." => {
                found.truncate(found.iter().rposition(|byte| *byte == b'/').unwrap_or(0));
            }
            part => {
                if found.len() + 1 + part.len() > IMAGE_PATH_LEN_MAX {
                    return Ok(None);
                }
                if !found.is_empty() {
                    found.push(b'/');
                }
                found.extend_from_slice(part);
            }
        }
        rest.drain(..end);
        let (target, is_whole) = match tree.get(&found).map(|item| &item.node) {
            Some(Node::Link { target, .. }) => (tree.name(target), false),
            Some(Node::HardLink { target, .. }) => (tree.name(target), true),
            Some(Node::Gone) => return Ok(None),
            _ => continue,
        };
        links += 1;
        if links > IMAGE_LINKS_MAX || target.len() + rest.len() > IMAGE_PATH_LEN_MAX {
            return Ok(None);
        }
        found.truncate(if is_whole || target.starts_with(b"/") { 0 } else { before });
        rest.try_reserve(target.len()).map_err(|_| LayerReject::NoMemory)?;
        rest.splice(..0, target.iter().copied());
    }
    let is_file = tree.get(&found).is_some_and(|item| matches!(item.node, Node::File(_)));
    Ok(is_file.then_some(found))
}

//! Mutated images: deployed, and run if the node takes them.
//!
//! Seeds are the files in `fuzz/corpus/live-images`, to which every find is added, and two sample
//! actions. First the seeds of the corpus are cut to every length within their headers, and every
//! field of every header gets every value that is likely to be mishandled; then come random mutants
//! for as long as wanted.

use std::fs;

use serde_json::Value;

use super::books::Books;
use super::outcome::invoke;
use super::random::Random;
use super::session::{Limits, Session, sample};
use super::{Effort, Find, greet};
use crate::qemu::Node;
use crate::workspace;

/// Where mutants are deployed.
const MUTANT: &str = "mutant";
/// Sample actions that are mutated besides the corpus.
const SAMPLES: [&str; 2] = ["hello", "echo"];
/// So short that an endless mutant costs little.
const LIMITS: Limits = Limits { timeout_ms: 100, memory_mb: 2 };

const HEADER_LEN: usize = 64;
const PROGRAM_HEADER_LEN: usize = 56;
/// Offsets and lengths of the fields of an ELF header, from its class on.
const HEADER: [(usize, usize); 17] = [
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (16, 2),
    (18, 2),
    (20, 4),
    (24, 8),
    (32, 8),
    (40, 8),
    (48, 4),
    (52, 2),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
    (62, 2),
];
/// Those of a program header.
const PROGRAM_HEADER: [(usize, usize); 8] =
    [(0, 4), (4, 4), (8, 8), (16, 8), (24, 8), (32, 8), (40, 8), (48, 8)];
/// Values by themselves: boundaries of words, of what an image may occupy, and of the lower half.
const VALUES: [u64; 14] = [
    0,
    1,
    0x7f,
    0x1000,
    0xffff,
    0x1_0000,
    0x7fff_ffff,
    0xffff_ffff,
    0x80_0000_0000,
    0xffff_8000_0000_0000,
    0x7fff_ffff_ffff_ffff,
    0x8000_0000_0000_0000,
    0xffff_ffff_ffff_f000,
    u64::MAX,
];
/// Values by what is added to the old one.
const STEPS: [i64; 6] = [1, -1, 8, 0x1000, -0x1000, 0x2000_0000];
/// Most bytes or fields changed at once.
const CHANGES_MAX: usize = 8;

/// What became of the mutants.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Refused with a reason.
    pub refused: u64,
    /// Accepted, and run.
    pub accepted: u64,
}

/// A field of a header: its name, and where it is in the file.
#[derive(Clone, Debug)]
struct Field {
    name: String,
    offset: usize,
    len: usize,
}

/// Deploys mutants, and asks the node after each that it accepted whether it still works.
///
/// # Errors
/// The first [`Find`]. The image is in `target/fuzz/live-images`.
pub fn run(node: &Node, seed: u64, effort: Effort, progress: impl Fn(u64)) -> Result<Counts, Find> {
    let corpus = corpus()?;
    let mut seeds = corpus.clone();
    for name in SAMPLES {
        seeds.push((name.to_owned(), sample(name)?));
    }
    let mut session = Session::open(node.address())?;
    session.deploy(MUTANT, &seeds[0].1, LIMITS)?;
    session.delete(MUTANT)?;
    drop(session);
    let before = Books::at_rest(node)?;
    let mut session = Session::open(node.address())?;
    let mut counts = Counts::default();
    let mut attempt = |what: &str, image: &[u8]| {
        deploy(&mut session, image, &mut counts).map_err(|find| find.during(&kept(what, image)))
    };
    for (name, image) in &corpus {
        for len in 0..headers_len(image) {
            attempt(&format!("{name} cut to {len} bytes"), &image[..len])?;
        }
    }
    for (name, image) in &corpus {
        for field in fields(image) {
            for value in values(image, &field) {
                let mut mutant = image.clone();
                put(&mut mutant, &field, value);
                attempt(&format!("{name}, {} = {value:#x}", field.name), &mutant)?;
            }
        }
    }
    for case in effort.cases(progress) {
        let mut random = Random::of_case(seed, case);
        let (name, image) = random.pick(&seeds);
        let mutant = mutate(image, &mut random);
        attempt(&format!("{name}, seed {seed}, case {case}"), &mutant)?;
    }
    greet(&mut session, "after all mutants")?;
    session.delete_all_but(super::CONTROL)?;
    drop(session);
    before.wait_for(node)?;
    Ok(counts)
}

/// Deploys one and, if it is accepted, runs it.
fn deploy(session: &mut Session, image: &[u8], counts: &mut Counts) -> Result<(), Find> {
    let answer = session.deploy(MUTANT, image, LIMITS)?;
    if answer.status == 200 {
        counts.accepted += 1;
        invoke(session, MUTANT, b"{}")?;
        return greet(session, "after a mutant");
    }
    counts.refused += 1;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let reason = body["error"].as_str().unwrap_or_default();
    if (400..500).contains(&answer.status) && !reason.is_empty() {
        return Ok(());
    }
    Err(Find::new(format!("it is answered {} {}", answer.status, answer.text())))
}

/// Keeps an image for another look; what it was, and where it is.
fn kept(what: &str, image: &[u8]) -> String {
    let folder = workspace::target().join("fuzz/live-images");
    let file = folder.join("find.elf");
    match fs::create_dir_all(&folder).and_then(|()| fs::write(&file, image)) {
        Ok(()) => format!("{what} ({})", workspace::display(&file)),
        Err(error) => format!("{what} (not kept: {error})"),
    }
}

/// The seeds, sorted by name.
fn corpus() -> Result<Vec<(String, Vec<u8>)>, Find> {
    super::corpus("live-images")
}

/// End of the program headers.
fn headers_len(image: &[u8]) -> usize {
    let count = image.get(56..58).map_or(0, |bytes| usize::from(bytes[0]));
    (HEADER_LEN + count * PROGRAM_HEADER_LEN).min(image.len())
}

/// All fields of all headers.
fn fields(image: &[u8]) -> Vec<Field> {
    let header =
        HEADER.map(|(offset, len)| Field { name: format!("header + {offset}"), offset, len });
    let count = headers_len(image).saturating_sub(HEADER_LEN) / PROGRAM_HEADER_LEN;
    let program_headers = (0..count).flat_map(|index| {
        PROGRAM_HEADER.map(|(offset, len)| Field {
            name: format!("program header {index} + {offset}"),
            offset: HEADER_LEN + index * PROGRAM_HEADER_LEN + offset,
            len,
        })
    });
    header.into_iter().chain(program_headers).collect()
}

/// What to put into a field: values by themselves, near the old one, and of the same field in
/// another header.
fn values(image: &[u8], field: &Field) -> Vec<u64> {
    let old = get(image, field);
    let near = STEPS.map(|step| old.wrapping_add_signed(step));
    let end = HEADER_LEN + PROGRAM_HEADER_LEN;
    let others = [field.offset + PROGRAM_HEADER_LEN, field.offset.wrapping_sub(PROGRAM_HEADER_LEN)];
    let others = others
        .into_iter()
        .filter(|offset| field.offset >= HEADER_LEN && (HEADER_LEN..end).contains(offset))
        .map(|offset| get(image, &Field { offset, ..field.clone() }));
    VALUES.into_iter().chain(near).chain(others).collect()
}

fn get(image: &[u8], field: &Field) -> u64 {
    let mut word = [0; 8];
    if let Some(bytes) = image.get(field.offset..field.offset + field.len) {
        word[..field.len].copy_from_slice(bytes);
    }
    u64::from_le_bytes(word)
}

fn put(image: &mut [u8], field: &Field, value: u64) {
    if let Some(bytes) = image.get_mut(field.offset..field.offset + field.len) {
        bytes.copy_from_slice(&value.to_le_bytes()[..field.len]);
    }
}

/// A random mutant.
fn mutate(image: &[u8], random: &mut Random) -> Vec<u8> {
    let mut mutant = image.to_vec();
    let changes = 1 + random.below(CHANGES_MAX);
    match random.below(4) {
        0 | 1 => {
            let fields = fields(image);
            for _ in 0..changes.div_ceil(2) {
                let field = random.pick(&fields);
                let value = *random.pick(&values(image, field));
                put(&mut mutant, field, value);
            }
        }
        2 => {
            for _ in 0..changes {
                // Headers and notes are a small part of a file, and most of what is read.
                let len = if random.one_in(2) { mutant.len() } else { mutant.len().min(512) };
                let at = random.below(len);
                mutant[at] ^= 1 << random.below(8);
            }
        }
        _ => mutant.truncate(random.below(image.len())),
    }
    mutant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_corpus_is_made_of_elf_files_with_fields() {
        let corpus = corpus().expect("the corpus");
        assert!(!corpus.is_empty());
        for (name, image) in corpus {
            assert!(image.starts_with(b"\x7fELF"), "{name}");
            let fields = fields(&image);
            assert!(fields.len() > HEADER.len(), "{name}");
            let mut mutant = image.clone();
            for field in &fields {
                put(&mut mutant, field, get(&image, field));
            }
            assert_eq!(mutant, image);
        }
    }

    #[test]
    fn mutants_differ_and_repeat() {
        let image: Vec<u8> = (0..2000).map(|at| (at % 251) as u8).collect();
        let mutant = |case| mutate(&image, &mut Random::of_case(1, case));
        assert!((0..50).all(|case| mutant(case) == mutant(case)));
        assert!((0..50).filter(|case| mutant(*case) != image).count() > 40);
    }
}

//! Operations as text: a call a piece, pieces divided by `;`, words by spaces.
//!
//! Flags of `open` are letters: `r`, `w`, `b` (both), `c` create, `x` exclusive, `t` truncate,
//! `a` append, `d` directory, `n` no following, `p` path, `u` unnamed, `o` no blocking.

use crate::operation::Operation;

/// `''` stands for the empty path, `%N` for N letters.
fn path(word: &str) -> String {
    let mut path = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('%') {
        let digits = after.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(after.len());
        path += before;
        path += &"n".repeat(after[..digits].parse().expect("a number follows"));
        rest = &after[digits..];
    }
    path += rest;
    path.replace("''", "")
}

pub fn flags(letters: &str) -> u32 {
    let flag = |letter| match letter {
        'r' => 0,
        'w' => 0o1,
        'b' => 0o2,
        'c' => 0o100,
        'x' => 0o200,
        't' => 0o1000,
        'a' => 0o2000,
        'o' => 0o4000,
        'd' => 0o200_000,
        'n' => 0o400_000,
        'p' => 0o10_000_000,
        'u' => 0o20_200_000,
        _ => panic!("no flag: {letter}"),
    };
    letters.chars().map(flag).fold(0, |flags, flag| flags | flag)
}

fn octal(word: &str) -> u32 {
    u32::from_str_radix(word, 8).expect("an octal number")
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    word.parse().ok().unwrap_or_else(|| panic!("no number: {word}"))
}

fn place(word: &str) -> Option<u64> {
    (word != "-").then(|| number(word))
}

/// The operations of a script.
pub fn parse(script: &str) -> Vec<Operation> {
    script.split(';').map(str::trim).filter(|piece| !piece.is_empty()).map(piece).collect()
}

fn piece(text: &str) -> Operation {
    use Operation as Op;
    let words: Vec<&str> = text.split_whitespace().collect();
    match words[..] {
        ["open", name, letters] => open(None, name, letters, "644"),
        ["open", name, letters, mode] => open(None, name, letters, mode),
        ["openat", slot, name, letters] => open(Some(number(slot)), name, letters, "644"),
        ["close", slot] => Op::Close(number(slot)),
        ["read", slot, len] => Op::Read(number(slot), number(len)),
        ["write", slot, text] => Op::Write(number(slot), path(text).into_bytes()),
        ["pread", slot, len, at] => Op::ReadAt(number(slot), number(len), number(at)),
        ["pwrite", slot, text, at] => {
            Op::WriteAt(number(slot), path(text).into_bytes(), number(at))
        }
        ["seek", slot, whence, offset] => Op::Seek(number(slot), number(whence), number(offset)),
        ["truncate", slot, len] => Op::Truncate(number(slot), number(len)),
        ["allocate", slot, keep, offset, len] => Op::Allocate {
            slot: number(slot),
            keep: keep == "keep",
            offset: number(offset),
            len: number(len),
        },
        ["fstat", slot] => Op::StatSlot(number(slot)),
        ["dup", slot] => Op::Duplicate(number(slot)),
        ["flags", slot] => Op::Flags(number(slot)),
        ["setflags", slot, letters] => Op::SetFlags(number(slot), flags(letters)),
        ["send", to, from, offset, len] => {
            Op::Send { to: number(to), from: number(from), offset: place(offset), len: number(len) }
        }
        ["copy", from, at, to, to_at, len] => Op::Copy {
            from: (number(from), place(at)),
            to: (number(to), place(to_at)),
            len: number(len),
        },
        ["sync", slot] => Op::Sync(number(slot)),
        ["lsat", slot] => Op::ListSlot(number(slot)),
        ["mkdir", name] => Op::Mkdir(path(name), 0o755),
        ["mkdir", name, mode] => Op::Mkdir(path(name), octal(mode)),
        ["rmdir", name] => Op::Rmdir(path(name)),
        ["unlink", name] => Op::Unlink(path(name)),
        ["rename", from, to] => Op::Rename { from: path(from), to: path(to), flags: 0 },
        ["rename", from, to, flags] => {
            Op::Rename { from: path(from), to: path(to), flags: number(flags) }
        }
        ["link", from, to] => Op::Link { from: path(from), to: path(to), follow: false },
        ["linkf", from, to] => Op::Link { from: path(from), to: path(to), follow: true },
        ["symlink", target, name] => Op::Symlink { target: path(target), path: path(name) },
        ["readlink", name] => Op::Readlink(path(name)),
        ["stat", name] => Op::Stat { path: path(name), follow: true },
        ["lstat", name] => Op::Stat { path: path(name), follow: false },
        ["access", name, mode] => Op::Access { path: path(name), mode: number(mode) },
        ["chmod", name, mode] => Op::Chmod(path(name), octal(mode)),
        ["ls", name] => Op::List(path(name)),
        _ => panic!("no operation: {text}"),
    }
}

fn open(at: Option<usize>, name: &str, letters: &str, mode: &str) -> Operation {
    Operation::Open { at, path: path(name), flags: flags(letters), mode: octal(mode) }
}

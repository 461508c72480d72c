//! Just enough of Rust's lexical structure to tell code from comments, strings and tests.

/// A line of a source file, split by kind. What is not of a kind is blank there, so that columns
/// and words stay apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Code, with strings and characters emptied.
    pub code: String,
    /// Comments, doc comments included.
    pub comment: String,
}

/// Where in the text the scanner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Code,
    LineComment,
    /// Block comments nest.
    BlockComment {
        depth: u32,
    },
    /// `hashes` is `None` in an ordinary string, where a backslash escapes.
    Text {
        hashes: Option<usize>,
    },
}

/// Splits a Rust source text into its lines.
#[must_use]
pub fn lines(text: &str) -> Vec<Line> {
    let mut lines = vec![Line::default()];
    let mut state = State::Code;
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (len, next) = step(state, rest);
        let line = lines.last_mut().expect("there is always a current line");
        // A token that opens or closes something belongs to the kind it delimits.
        let comment = |state| matches!(state, State::LineComment | State::BlockComment { .. });
        if letter == '\n' {
            lines.push(Line::default());
        } else if comment(state) || comment(next) {
            line.comment.push_str(&rest[..len]);
            line.code.push(' ');
        } else if state == State::Code && next == State::Code {
            line.code.push_str(&rest[..len]);
            line.comment.push(' ');
        } else {
            line.code.push(' ');
        }
        state = next;
        rest = &rest[len..];
    }
    lines
}

/// The length of the next token and the state behind it.
fn step(state: State, rest: &str) -> (usize, State) {
    let one = rest.chars().next().map_or(1, char::len_utf8);
    match state {
        State::Code => code_step(rest),
        State::LineComment if rest.starts_with('\n') => (1, State::Code),
        State::LineComment => (one, state),
        State::BlockComment { depth } if rest.starts_with("*/") => match depth {
            1 => (2, State::Code),
            _ => (2, State::BlockComment { depth: depth - 1 }),
        },
        State::BlockComment { depth } if rest.starts_with("/*") => {
            (2, State::BlockComment { depth: depth + 1 })
        }
        State::BlockComment { .. } => (one, state),
        State::Text { hashes: None } => match rest.as_bytes() {
            [b'"', ..] => (1, State::Code),
            // An escaped line end must stay visible as a line end.
            [b'\\', b'\n', ..] => (1, state),
            [b'\\', ..] => (1 + rest[1..].chars().next().map_or(0, char::len_utf8), state),
            _ => (one, state),
        },
        State::Text { hashes: Some(hashes) } => {
            let closes = rest.starts_with('"')
                && rest.len() > hashes
                && rest.as_bytes()[1..=hashes].iter().all(|&byte| byte == b'#');
            if closes { (1 + hashes, State::Code) } else { (one, state) }
        }
    }
}

fn code_step(rest: &str) -> (usize, State) {
    let one = rest.chars().next().map_or(1, char::len_utf8);
    if rest.starts_with("//") {
        return (2, State::LineComment);
    }
    if rest.starts_with("/*") {
        return (2, State::BlockComment { depth: 1 });
    }
    if rest.starts_with('"') {
        return (1, State::Text { hashes: None });
    }
    if rest.starts_with('\'') {
        // A quote starts a character only if another one follows soon; else it is a lifetime.
        return (character_len(rest).unwrap_or(1), State::Code);
    }
    if rest.starts_with(|letter: char| letter.is_alphanumeric() || letter == '_') {
        let word = rest
            .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
            .unwrap_or(rest.len());
        let after = &rest[word..];
        let hashes = after.bytes().take_while(|&byte| byte == b'#').count();
        let raw = matches!(&rest[..word], "r" | "br" | "cr");
        if raw && after[hashes..].starts_with('"') {
            return (word + hashes + 1, State::Text { hashes: Some(hashes) });
        }
        return (word, State::Code);
    }
    (one, State::Code)
}

/// The length of the character literal at the start, quotes included.
fn character_len(rest: &str) -> Option<usize> {
    let mut letters = rest.char_indices().skip(1);
    let (_, first) = letters.next()?;
    if first == '\\' {
        letters.next()?;
        // Behind the escaped letter: the end of `\n`, or of `\x7f` and `\u{1f600}`.
        return letters.find(|&(_, letter)| letter == '\'').map(|(at, _)| at + 1);
    }
    match letters.next()? {
        (at, '\'') => Some(at + 1),
        _ => None,
    }
}

/// The number of lines outside `#[cfg(test)] mod … { … }`.
#[must_use]
pub fn lines_without_tests(lines: &[Line]) -> usize {
    let count = outside_tests(lines).filter(|(_, is_outside)| *is_outside).count();
    // Behind the last line end there is no line.
    count - usize::from(lines.last() == Some(&Line::default()))
}

/// The code of each line; that of tests is blank.
#[must_use]
pub fn code_without_tests(lines: &[Line]) -> Vec<String> {
    let code = |(line, is_outside): (&Line, bool)| match is_outside {
        true => line.code.clone(),
        false => String::new(),
    };
    outside_tests(lines).map(code).collect()
}

/// Every line, and whether it is outside `#[cfg(test)] mod … { … }`.
///
/// Relies on the format every file here has: such a module starts and ends in the first column.
fn outside_tests(lines: &[Line]) -> impl Iterator<Item = (&Line, bool)> {
    let mut is_inside = false;
    lines.iter().enumerate().map(move |(index, line)| {
        let next = lines.get(index + 1).map_or("", |next| &next.code);
        let opens = next.starts_with("mod ") && next.trim_end().ends_with('{');
        is_inside |= line.code.starts_with("#[cfg(test)]") && opens;
        let is_outside = !is_inside;
        is_inside &= !line.code.starts_with('}');
        (line, is_outside)
    })
}

/// Whether `text` contains `word` as a whole word.
#[must_use]
pub fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(word).any(|(at, _)| {
        !text[..at].ends_with(part_of_word) && !text[at + word.len()..].starts_with(part_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Vec<String> {
        lines(text).into_iter().map(|line| line.code.trim().to_owned()).collect()
    }

    #[test]
    fn comments_are_not_code() {
        assert_eq!(code("a // b\nc"), ["a", "c"]);
        assert_eq!(code("a /* b /* c */ d\ne */ f"), ["a", "f"]);
        assert_eq!(lines("a // b")[0].comment.trim(), "// b");
    }

    #[test]
    fn strings_are_not_code() {
        assert_eq!(code(r#"f("unsafe \" //", x)"#).concat().replace(' ', ""), "f(,x)");
        assert_eq!(code("r#\"a \" b\"#; c").concat().replace(' ', ""), ";c");
        assert_eq!(code("\"a\nb\"\nc"), ["", "", "c"]);
        assert_eq!(code("\"a \\\n b\"\nc").len(), 3);
    }

    #[test]
    fn characters_and_lifetimes_are_told_apart() {
        assert!(code(r#"('"', "unsafe")"#)[0].contains("'\"'"));
        assert!(!code(r#"('"', "unsafe")"#)[0].contains("unsafe"));
        assert_eq!(code("fn f<'a>(x: &'a str) // y"), ["fn f<'a>(x: &'a str)"]);
        assert!(code(r"('\'', a) // b")[0].ends_with("a)"));
        assert!(code(r"('\\', '\u{7f}', a)")[0].ends_with("a)"));
    }

    #[test]
    fn words_are_whole_words() {
        assert!(has_word("unsafe {", "unsafe"));
        assert!(!has_word("forbid(unsafe_code)", "unsafe"));
        assert!(has_word("#[unsafe(naked)]", "unsafe"));
    }

    #[test]
    fn test_modules_do_not_count() {
        let text = "//! a\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    fn g() {}\n}\n";
        assert_eq!(lines_without_tests(&lines(text)), 3);
        let text = "#[cfg(test)]\nmod tests;\nfn f() {}\n";
        assert_eq!(lines_without_tests(&lines(text)), 3);
    }
}

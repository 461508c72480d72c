//! What a terminal may be sent.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Prints a line to the standard error, with what could control a terminal shown
/// instead; there is nobody to tell if that fails.
pub fn note(line: impl Display) {
    let line = line.to_string();
    let line = if io::stderr().is_terminal() { visible(&line) } else { line };
    let _ = writeln!(io::stderr(), "{line}");
}

/// Control characters as escapes; line ends and tabs stay, and what turns the direction of writing
/// does not.
pub fn visible(text: &str) -> String {
    let turns = |letter| {
        let marks = matches!(letter, '\u{200e}' | '\u{200f}');
        marks || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut visible = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' | '\t' => visible.push(letter),
            _ if letter.is_control() || turns(letter) => visible.extend(letter.escape_unicode()),
            _ => visible.push(letter),
        }
    }
    visible
}

//! Reading what a node shows on the screen of its machine.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};
use xtask::qemu::Node;

const COLUMNS: usize = 80;
const ROWS: usize = 25;
const HEIGHT: RasterHeight = RasterHeight::Size16;
/// How long a screen may take to show something, on a busy host.
const PLENTY: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(200);

/// The text screen of a VGA card, as lines without spaces at their ends.
///
/// # Panics
/// If QEMU does not listen.
#[must_use]
pub fn text(node: &Node) -> String {
    let command = format!("xp /{}hx 0xb8000", COLUMNS * ROWS);
    let dump = node.execute_human(&command).expect("QEMU listens");
    // Lines of `00000000000b8000: 0x0720 0x0720 …`.
    let dump = dump.as_str().unwrap_or_default().to_owned();
    let words = dump.lines().filter_map(|line| line.split_once(": ")).flat_map(|(_, words)| {
        words.split_whitespace().filter_map(|word| u16::from_str_radix(&word[2..], 16).ok())
    });
    let letters: Vec<_> = words.map(|word| char::from(word as u8)).collect();
    lines(letters.chunks(COLUMNS).map(|row| row.iter().collect()))
}

/// The same of a frame buffer whose letters are not enlarged.
///
/// # Panics
/// If QEMU does not make a picture.
#[must_use]
pub fn pixels(node: &Node) -> String {
    let file = std::env::temp_dir().join(format!("screen-{}.ppm", node.pid()));
    node.execute_human(&format!("screendump {}", file.display())).expect("QEMU listens");
    let picture = fs::read(&file).expect("QEMU made a picture");
    // A temporary file that stays would be no harm.
    let _ = fs::remove_file(&file);
    read_letters(&picture).expect("a picture")
}

/// Recognises letters in a picture in the format PPM: `P6`, width, height, 255, pixels.
fn read_letters(picture: &[u8]) -> Option<String> {
    let header = String::from_utf8_lossy(picture.get(..32)?).into_owned();
    let mut words = header.split_ascii_whitespace().skip(1);
    let (width, height): (usize, usize) =
        (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let pixels = picture.get(picture.len().checked_sub(width * height * 3)?..)?;
    let (letter_width, letter_height) =
        (get_raster_width(FontWeight::Regular, HEIGHT), HEIGHT.val());
    let grey = |x: usize, y: usize| pixels[(y * width + x) * 3];
    let letter = |column: usize, row: usize| {
        let cell: Vec<_> = (0..letter_height * letter_width)
            .map(|at| (column * letter_width + at % letter_width, at / letter_width))
            .map(|(x, y)| grey(x, row * letter_height + y))
            .collect();
        let inverse: Vec<_> = cell.iter().map(|grey| !grey).collect();
        (' '..='~')
            .find(|letter| {
                get_raster(*letter, FontWeight::Regular, HEIGHT)
                    .is_some_and(|raster| raster.pixels() == cell || raster.pixels() == inverse)
            })
            .unwrap_or('\u{fffd}')
    };
    let rows = (0..height / letter_height)
        .map(|row| (0..width / letter_width).map(|column| letter(column, row)).collect());
    Some(lines(rows))
}

fn lines(rows: impl Iterator<Item = String>) -> String {
    rows.map(|row| row.trim_end().to_owned() + "\n").collect()
}

/// Waits until the screen shows something, and returns all it shows.
///
/// # Panics
/// If it never does.
#[track_caller]
pub fn wait_for(node: &Node, read: fn(&Node) -> String, expected: &str) -> String {
    let begin = Instant::now();
    loop {
        let shown = read(node);
        if shown.contains(expected) {
            return shown;
        }
        assert!(begin.elapsed() < PLENTY, "{expected:?} is not in\n{shown}\n{}", node.report());
        thread::sleep(PAUSE);
    }
}

//! A picture in the terminal: kitty's protocol, iTerm2's, or half blocks in colour.
//!
//! Invariant: a terminal gets only what it said it understands; everything else gets nothing. Not here:
//! films and songs.

use crate::terminal::{self, variable};
use data_encoding::BASE64;
use image::{DynamicImage, ImageFormat, RgbImage, imageops::FilterType};
use std::io::Cursor;

/// Widest picture, in columns.
const MAX_COLUMNS: u32 = 48;
/// Tallest picture, in lines.
const MAX_LINES: u32 = 24;
/// Longer side in pixels that is sent to terminals with real pictures.
const SENT_PIXELS: u32 = 640;
/// Base64 characters per message of kitty's protocol.
const CHUNK: usize = 4096;

/// How a terminal shows pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Kitty,
    Iterm,
    TrueColour,
    Colours256,
}

/// The picture as bytes for stderr, if that is a terminal that can show it.
pub(crate) fn render(file: &[u8]) -> Option<Vec<u8>> {
    if !terminal::shows_talk() || !terminal::colours() {
        return None;
    }
    let way = way_of(variable)?;
    let picture = image::load_from_memory(file).ok()?;
    let (columns, lines) = cells(picture.width(), picture.height(), columns());
    match way {
        Way::Kitty => Some(kitty(&png(&picture)?, columns, lines)),
        Way::Iterm => Some(iterm(&png(&picture)?, columns)),
        Way::TrueColour | Way::Colours256 => {
            let small = picture.resize_exact(columns, lines * 2, FilterType::Triangle).into_rgb8();
            Some(blocks(&small, way).into_bytes())
        }
    }
}

fn columns() -> u32 {
    u32::try_from(terminal::columns()).unwrap_or(MAX_COLUMNS).saturating_sub(4).clamp(1, MAX_COLUMNS)
}

/// What the environment says; multiplexers pass only text on.
fn way_of(variable: impl Fn(&str) -> String) -> Option<Way> {
    let (term, program) = (variable("TERM"), variable("TERM_PROGRAM"));
    let direct = variable("TMUX").is_empty() && !term.starts_with("screen") && !term.starts_with("tmux");
    let kitty = !variable("KITTY_WINDOW_ID").is_empty() || term.contains("kitty") || term.contains("ghostty");
    if direct && (kitty || program == "ghostty") {
        return Some(Way::Kitty);
    }
    let iterm = ["iTerm.app", "WezTerm"].contains(&program.as_str()) || variable("LC_TERMINAL") == "iTerm2";
    if direct && iterm {
        return Some(Way::Iterm);
    }
    if ["truecolor", "24bit"].contains(&variable("COLORTERM").as_str()) {
        return Some(Way::TrueColour);
    }
    term.contains("256color").then_some(Way::Colours256)
}

/// Columns and lines that keep the shape: a cell is about twice as tall as it is wide.
fn cells(width: u32, height: u32, columns: u32) -> (u32, u32) {
    let (width, height) = (u64::from(width.max(1)), u64::from(height.max(1)));
    let lines =
        |columns: u32| u32::try_from(u64::from(columns) * height / width / 2).unwrap_or(MAX_LINES).max(1);
    if lines(columns) <= MAX_LINES {
        return (columns, lines(columns));
    }
    let fitting = u64::from(MAX_LINES) * 2 * width / height;
    (u32::try_from(fitting).unwrap_or(columns).clamp(1, columns), MAX_LINES)
}

fn png(picture: &DynamicImage) -> Option<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    picture.thumbnail(SENT_PIXELS, SENT_PIXELS).write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some(bytes.into_inner())
}

fn kitty(png: &[u8], columns: u32, lines: u32) -> Vec<u8> {
    let text = BASE64.encode(png);
    let chunks: Vec<&[u8]> = text.as_bytes().chunks(CHUNK).collect();
    let mut out = Vec::with_capacity(text.len() + chunks.len() * 16);
    for (index, chunk) in chunks.iter().enumerate() {
        let more = u8::from(index + 1 < chunks.len());
        let head = match index {
            0 => format!("\x1b_Ga=T,f=100,q=2,c={columns},r={lines},m={more};"),
            _ => format!("\x1b_Gm={more};"),
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(chunk);
        out.extend_from_slice(b"\x1b\\");
    }
    out.push(b'\n');
    out
}

fn iterm(png: &[u8], columns: u32) -> Vec<u8> {
    let (size, text) = (png.len(), BASE64.encode(png));
    format!("\x1b]1337;File=inline=1;size={size};width={columns};preserveAspectRatio=1:{text}\x07\n")
        .into_bytes()
}

/// Two pixels per cell: the upper one is the colour of the block, the lower one its background.
fn blocks(picture: &RgbImage, way: Way) -> String {
    let mut text = String::new();
    for line in 0..picture.height() / 2 {
        text.push_str("  ");
        for column in 0..picture.width() {
            let (upper, lower) =
                (picture.get_pixel(column, line * 2).0, picture.get_pixel(column, line * 2 + 1).0);
            text.push_str(&format!("\x1b[38;{};48;{}m▀", colour(upper, way), colour(lower, way)));
        }
        text.push_str("\x1b[0m\n");
    }
    text
}

fn colour([red, green, blue]: [u8; 3], way: Way) -> String {
    if way == Way::TrueColour {
        return format!("2;{red};{green};{blue}");
    }
    // The 6 × 6 × 6 cube: steps at 0, 95, 135, 175, 215, 255.
    let step = |value: u8| match value {
        0..48 => 0u8,
        48..115 => 1,
        _ => (value - 35) / 40,
    };
    format!("5;{}", 16 + 36 * step(red) + 6 * step(green) + step(blue))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(pairs: &[(&str, &str)]) -> Option<Way> {
        way_of(|name| {
            pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()).unwrap_or_default()
        })
    }

    #[test]
    fn terminals_get_what_they_understand() {
        assert_eq!(way(&[("TERM", "xterm-kitty")]), Some(Way::Kitty));
        assert_eq!(way(&[("TERM_PROGRAM", "iTerm.app"), ("COLORTERM", "truecolor")]), Some(Way::Iterm));
        let inside = [("TERM", "tmux-256color"), ("KITTY_WINDOW_ID", "1"), ("TMUX", "x")];
        assert_eq!(way(&inside), Some(Way::Colours256));
        assert_eq!(way(&[("COLORTERM", "24bit")]), Some(Way::TrueColour));
        assert_eq!(way(&[("TERM", "vt100")]), None);
    }

    #[test]
    fn shapes_are_kept() {
        assert_eq!(cells(1024, 1024, 48), (48, 24));
        assert_eq!(cells(1920, 1080, 48), (48, 13));
        assert_eq!(cells(720, 1280, 48), (27, 24));
        assert_eq!(cells(1, 100_000, 48), (1, 24));
    }

    #[test]
    fn colours_of_the_cube() {
        assert_eq!(colour([0, 0, 0], Way::Colours256), "5;16");
        assert_eq!(colour([255, 255, 255], Way::Colours256), "5;231");
        assert_eq!(colour([255, 0, 95], Way::Colours256), "5;197");
        assert_eq!(colour([1, 2, 3], Way::TrueColour), "2;1;2;3");
    }

    #[test]
    fn long_pictures_come_in_chunks() {
        let bytes = kitty(&[7; 4000], 48, 24);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(text.matches("\x1b_G").count(), 2);
        assert!(text.contains("m=1;") && text.contains("\x1b_Gm=0;"));
    }
}

//! Text in columns: tables of many rows, and pages of one thing.
//!
//! Invariant: nothing is cut off, since a cut id is worth nothing; text that came from outside can't move
//! the cursor. Not here: colours beyond the faint headings.

use crate::{plain, terminal::Style};

/// Space between columns.
const GAP: &str = "  ";

/// A table: headings and rows. A heading that starts with `>` has its column to the right.
pub(crate) fn table(style: Style, headings: &[&str], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| plain::line(cell)).collect()).collect();
    let widths: Vec<usize> = headings
        .iter()
        .enumerate()
        .map(|(column, heading)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([heading.trim_start_matches('>').chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let line = |cells: Vec<&str>| {
        let cells = cells.iter().zip(headings).zip(&widths).map(|((cell, heading), width)| {
            let fill = " ".repeat(width.saturating_sub(cell.chars().count()));
            if heading.starts_with('>') { format!("{fill}{cell}") } else { format!("{cell}{fill}") }
        });
        cells.collect::<Vec<_>>().join(GAP).trim_end().to_owned()
    };
    let head = line(headings.iter().map(|heading| heading.trim_start_matches('>')).collect());
    let body = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
    std::iter::once(style.dim(&head)).chain(body).collect::<Vec<_>>().join("\n")
}

/// A page: one label and value per line.
pub(crate) fn page(style: Style, lines: &[(&str, String)]) -> String {
    let width = lines.iter().map(|(label, _)| label.chars().count()).max().unwrap_or(0);
    let line = |(label, value): &(&str, String)| {
        let fill = " ".repeat(width.saturating_sub(label.chars().count()));
        format!("{}{fill}{GAP}{}", style.dim(label), plain::line(value)).trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_numbers_stand_right() {
        let rows = [vec!["a".to_owned(), "1,000".to_owned()], vec!["longer".to_owned(), "7".to_owned()]];
        let text = table(Style::PLAIN, &["NAME", ">N"], &rows);
        assert_eq!(text, "NAME        N\na       1,000\nlonger      7");
    }

    #[test]
    fn pages_align_their_values_and_defuse_escapes() {
        let text = page(Style::PLAIN, &[("id", "x".to_owned()), ("e-mail", "\x1b[2J".to_owned())]);
        assert_eq!(text, "id      x\ne-mail  \u{fffd}[2J");
    }
}

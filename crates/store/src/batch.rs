//! Statements over many rows: a batch costs a handful of round trips, and texts come in few sizes so that
//! they are prepared once.
//!
//! Invariant: rows keep their order, and a statement never has more parameters than any database allows. Not
//! here: which tables.

use crate::{
    dialect::{Dialect, Type},
    error::StoreError,
    tx::{Param, Row, Tx},
};
use std::fmt::Write as _;

/// Rows of parameters, all of one width.
pub(crate) struct Rows<'a> {
    width: usize,
    params: Vec<Param<'a>>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(width: usize) -> Self {
        Self { width, params: Vec::new() }
    }

    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = Param<'a>>) {
        self.params.extend(row);
    }

    /// Cuts the rows into pieces of the sizes that the dialect likes.
    fn pieces(&self, dialect: Dialect) -> Vec<&[Param<'a>]> {
        let mut rest = self.params.as_slice();
        let mut pieces = Vec::new();
        while !rest.is_empty() {
            let rows = rest.len() / self.width;
            let sizes = dialect.rows_per_statement();
            let size = sizes.iter().copied().find(|size| *size <= rows).unwrap_or(1);
            let (piece, tail) = rest.split_at(size * self.width);
            pieces.push(piece);
            rest = tail;
        }
        pieces
    }
}

/// `($1, $2), ($3, $4)`
fn placeholders(width: usize, count: usize) -> String {
    let mut text = String::with_capacity(count * 6);
    for index in 0..count {
        let open = if index % width == 0 { if index == 0 { "(" } else { "), (" } } else { ", " };
        // Writing to a String can't fail.
        let _ = write!(text, "{open}${}", index + 1);
    }
    text.push(')');
    text
}

/// Like [`placeholders`], each parameter cast to its column's type.
fn cast_placeholders(dialect: Dialect, columns: &[Type], count: usize) -> String {
    let mut text = String::with_capacity(count * 24);
    for index in 0..count {
        let column = index % columns.len();
        let open = if column == 0 { if index == 0 { "(" } else { "), (" } } else { ", " };
        let name = columns.get(column).map_or("TEXT", |c| dialect.type_name(*c));
        let _ = write!(text, "{open}CAST(${} AS {name})", index + 1);
    }
    text.push(')');
    text
}

/// `INSERT INTO head VALUES …` for all rows; `tail` may hold an ON CONFLICT clause.
pub(crate) fn insert(tx: &mut dyn Tx, head: &str, rows: &Rows<'_>, tail: &str) -> Result<u64, StoreError> {
    let mut changed = 0;
    for piece in rows.pieces(tx.dialect()) {
        let sql = format!("INSERT INTO {head} VALUES {} {tail}", placeholders(rows.width, piece.len()));
        changed += tx.exec(&sql, piece)?;
    }
    Ok(changed)
}

/// Runs `WITH keys(names) AS (VALUES …) statement` for all rows and collects what it returns.
pub(crate) fn with_keys(
    tx: &mut dyn Tx,
    names: &str,
    columns: &[Type],
    rows: &Rows<'_>,
    statement: &str,
) -> Result<Vec<Row>, StoreError> {
    let mut out = Vec::new();
    for piece in rows.pieces(tx.dialect()) {
        let values = cast_placeholders(tx.dialect(), columns, piece.len());
        out.extend(tx.all(&format!("WITH keys({names}) AS (VALUES {values}) {statement}"), piece)?);
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_statements() {
        assert_eq!(placeholders(2, 4), "($1, $2), ($3, $4)");
        assert_eq!(
            cast_placeholders(Dialect::Sqlite, &[Type::Text, Type::Int], 2),
            "(CAST($1 AS TEXT), CAST($2 AS INTEGER))"
        );
        let mut rows = Rows::new(2);
        for n in 0..10 {
            rows.push([Param::Int(n), Param::Null]);
        }
        let sizes: Vec<_> = rows.pieces(Dialect::Sqlite).iter().map(|p| p.len() / 2).collect();
        assert_eq!(sizes, [1; 10]);
    }
}

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
use std::{borrow::Cow, fmt::Write as _};

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

    /// Cuts the rows into pieces of the sizes that the dialect likes. The last one is filled up with rows of
    /// NULL: a round trip more would cost more than they do.
    fn pieces(&self, dialect: Dialect) -> impl Iterator<Item = Piece<'_, 'a>> {
        let sizes = dialect.rows_per_statement();
        let most = sizes.last().copied().unwrap_or(1);
        self.params.chunks(most * self.width).map(move |params| {
            let rows = params.len() / self.width;
            let size = sizes.iter().copied().find(|size| *size >= rows).unwrap_or(rows);
            if size == rows {
                return Piece { filled: false, params: Cow::Borrowed(params) };
            }
            let mut params = params.to_vec();
            params.resize(size * self.width, Param::Null);
            Piece { filled: true, params: Cow::Owned(params) }
        })
    }
}

/// The rows of one statement.
struct Piece<'r, 'a> {
    /// Whether some rows at its end are all NULL.
    filled: bool,
    params: Cow<'r, [Param<'a>]>,
}

/// A statement's text, made once for all pieces of one form that follow each other.
#[derive(Default)]
struct Text {
    form: (usize, bool),
    sql: String,
}

impl Text {
    /// The text for a piece; `make` is told how many parameters it has.
    fn of(&mut self, piece: &Piece<'_, '_>, make: impl FnOnce(usize) -> String) -> &str {
        let form = (piece.params.len(), piece.filled);
        if self.form != form {
            (self.form, self.sql) = (form, make(form.0));
        }
        &self.sql
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

/// `INSERT INTO table (names) VALUES …` for all rows; `tail` may hold an ON CONFLICT clause. The first column
/// must not be NULL.
pub(crate) fn insert(
    tx: &mut dyn Tx,
    table: &str,
    names: &str,
    columns: &[Type],
    rows: &Rows<'_>,
    tail: &str,
) -> Result<u64, StoreError> {
    let (mut changed, mut text) = (0, Text::default());
    let dialect = tx.dialect();
    for piece in rows.pieces(dialect) {
        let sql = text.of(&piece, |count| {
            if piece.filled {
                let values = cast_placeholders(dialect, columns, count);
                format!(
                    "INSERT INTO {table} ({names}) SELECT * FROM (VALUES {values}) AS filled \
                     WHERE column1 IS NOT NULL {tail}"
                )
            } else {
                format!("INSERT INTO {table} ({names}) VALUES {} {tail}", placeholders(rows.width, count))
            }
        });
        changed += tx.exec(sql, &piece.params)?;
    }
    Ok(changed)
}

/// Runs `WITH keys(names) AS (VALUES …) statement` for all rows and collects what it returns. The statement
/// must find nothing for a key that is NULL, as every join by `=` does.
pub(crate) fn with_keys(
    tx: &mut dyn Tx,
    names: &str,
    columns: &[Type],
    rows: &Rows<'_>,
    statement: &str,
) -> Result<Vec<Row>, StoreError> {
    let (mut out, mut text) = (Vec::new(), Text::default());
    let dialect = tx.dialect();
    for piece in rows.pieces(dialect) {
        let sql = text.of(&piece, |count| {
            let values = cast_placeholders(dialect, columns, count);
            format!("WITH keys({names}) AS (VALUES {values}) {statement}")
        });
        out.extend(tx.all(sql, &piece.params)?);
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
        let sizes = |dialect| {
            let pieces: Vec<_> = rows.pieces(dialect).map(|p| (p.params.len() / 2, p.filled)).collect();
            pieces
        };
        assert_eq!(sizes(Dialect::Sqlite), [(1, false); 10]);
        assert_eq!(sizes(Dialect::Postgres), [(16, true)]);
        for n in 10..290 {
            rows.push([Param::Int(n), Param::Null]);
        }
        let pieces: Vec<_> = rows.pieces(Dialect::Postgres).collect();
        let sizes: Vec<_> = pieces.iter().map(|p| (p.params.len() / 2, p.filled)).collect();
        assert_eq!(sizes, [(256, false), (64, true)]);
        assert!(matches!(pieces[1].params[66..], [Param::Int(289), Param::Null, Param::Null, ..]));
    }
}

//! Values on their way to PostgreSQL and back.
//!
//! Invariant: a number that does not fit its column is an error, never cut. Not here: statements.

use crate::{
    error::StoreError,
    tx::{Param, Row, Value},
};
use bytes::BytesMut;
use postgres::{
    Statement,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use std::error::Error;

/// The parameters of one statement, as many as it names.
pub(super) struct Bound<'a>(&'a [Param<'a>]);

impl<'a> Bound<'a> {
    pub(super) fn new(statement: &Statement, params: &'a [Param<'a>]) -> Result<Self, StoreError> {
        let wanted = statement.params().len();
        let missing = || StoreError::Other(format!("parameter ${wanted} has no value"));
        // A statement of several databases may name fewer than it is given.
        params.get(..wanted).map(Self).ok_or_else(missing)
    }

    pub(super) fn refs(&self) -> Vec<&(dyn ToSql + Sync)> {
        self.0.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) => number_to_sql(*number, ty, out),
            Self::Bool(truth) if *ty == Type::BOOL => truth.to_sql(ty, out),
            Self::Bool(truth) => number_to_sql(i64::from(*truth), ty, out),
            // No column holds a NUL; the server would refuse the whole statement, with all that hangs on it.
            Self::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Bytes(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn number_to_sql(number: i64, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
    match *ty {
        Type::INT8 => number.to_sql(ty, out),
        Type::INT4 => i32::try_from(number)?.to_sql(ty, out),
        Type::INT2 => i16::try_from(number)?.to_sql(ty, out),
        _ => Err(format!("a number is given where {ty} is wanted").into()),
    }
}

/// A row as units see it.
pub(super) fn row_of(row: &postgres::Row) -> Result<Row, StoreError> {
    let columns = row.columns().iter().enumerate();
    columns.map(|(index, column)| value_of(row, index, column.type_())).collect::<Result<_, _>>().map(Row)
}

fn value_of(row: &postgres::Row, index: usize, ty: &Type) -> Result<Value, StoreError> {
    let wrong = |_| StoreError::column(index, "a type that we store");
    let value = match *ty {
        Type::INT8 => row.try_get::<_, Option<i64>>(index).map_err(wrong)?.map(Value::Int),
        Type::INT4 => row.try_get::<_, Option<i32>>(index).map_err(wrong)?.map(|n| Value::Int(n.into())),
        Type::INT2 => row.try_get::<_, Option<i16>>(index).map_err(wrong)?.map(|n| Value::Int(n.into())),
        Type::BOOL => row.try_get::<_, Option<bool>>(index).map_err(wrong)?.map(|b| Value::Int(b.into())),
        Type::BYTEA => row.try_get::<_, Option<Vec<u8>>>(index).map_err(wrong)?.map(Value::Bytes),
        Type::TEXT | Type::VARCHAR | Type::NAME | Type::BPCHAR => {
            row.try_get::<_, Option<String>>(index).map_err(wrong)?.map(Value::Text)
        }
        _ => return Err(StoreError::column(index, "a type that we store")),
    };
    Ok(value.unwrap_or(Value::Null))
}

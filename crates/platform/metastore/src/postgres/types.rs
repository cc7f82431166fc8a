//! Our values in PostgreSQL's binary format.

use std::error::Error;

use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::Value;

type Failure = Box<dyn Error + Sync + Send>;

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match (self, ty) {
            (Self::Null, _) => Ok(IsNull::Yes),
            (Self::Integer(integer), &Type::INT8) => integer.to_sql(ty, out),
            (Self::Integer(integer), &Type::INT4) => i32::try_from(*integer)?.to_sql(ty, out),
            (Self::Integer(integer), &Type::INT2) => i16::try_from(*integer)?.to_sql(ty, out),
            #[allow(clippy::cast_precision_loss)]
            (Self::Integer(integer), &Type::FLOAT8) => (*integer as f64).to_sql(ty, out),
            (Self::Real(real), &Type::FLOAT8) => real.to_sql(ty, out),
            (
                Self::Text(text),
                &Type::TEXT | &Type::VARCHAR | &Type::BPCHAR | &Type::NAME | &Type::UNKNOWN,
            ) => text.to_sql(&Type::TEXT, out),
            (Self::Blob(bytes), &Type::BYTEA) => bytes.to_sql(ty, out),
            _ => Err(format!("{} was given where the statement needs {ty}", self.kind()).into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl<'a> FromSql<'a> for Value {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Failure> {
        Ok(match *ty {
            Type::BOOL => Self::Integer(i64::from(bool::from_sql(ty, raw)?)),
            Type::INT8 => Self::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Self::Integer(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Self::Integer(i16::from_sql(ty, raw)?.into()),
            Type::FLOAT8 => Self::Real(f64::from_sql(ty, raw)?),
            Type::FLOAT4 => Self::Real(f32::from_sql(ty, raw)?.into()),
            Type::BYTEA => Self::Blob(raw.to_vec()),
            Type::NUMERIC => numeric(raw)?,
            _ => Self::Text(std::str::from_utf8(raw)?.to_owned()),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Failure> {
        Ok(Self::Null)
    }

    fn accepts(ty: &Type) -> bool {
        matches!(
            *ty,
            Type::BOOL
                | Type::INT8
                | Type::INT4
                | Type::INT2
                | Type::FLOAT8
                | Type::FLOAT4
                | Type::BYTEA
                | Type::NUMERIC
                | Type::TEXT
                | Type::VARCHAR
                | Type::BPCHAR
                | Type::NAME
                | Type::UNKNOWN
        )
    }
}

/// PostgreSQL sums BIGINT columns to NUMERIC, SQLite to an integer: whole numbers become integers here too.
///
/// Format: digit count, weight of the first digit, sign, scale (16 bits each), then digits in base 10,000.
#[allow(clippy::cast_precision_loss)]
fn numeric(raw: &[u8]) -> Result<Value, Failure> {
    const NEGATIVE: i16 = 0x4000;
    let words: Vec<i16> = raw
        .chunks_exact(2)
        .map(|pair| i16::from_be_bytes([pair[0], pair[1]]))
        .collect();
    let [count, weight, sign, scale, digits @ ..] = words.as_slice() else {
        return Err("a numeric value is cut short".into());
    };
    if digits.len() != usize::try_from(*count)? || (*sign != 0 && *sign != NEGATIVE) {
        return Err("a numeric value is not finite".into());
    }
    let negative = *sign == NEGATIVE;
    if *scale == 0 {
        let mut whole = 0_i128;
        for position in 0..=*weight {
            let digit = digits.get(usize::try_from(position)?).copied().unwrap_or(0);
            whole = whole.checked_mul(10_000).ok_or("a numeric value is too large")? + i128::from(digit);
        }
        return Ok(Value::Integer(i64::try_from(if negative {
            -whole
        } else {
            whole
        })?));
    }
    let real: f64 = (0_i32..)
        .zip(digits)
        .map(|(position, digit)| f64::from(*digit) * 10_000_f64.powi(i32::from(*weight) - position))
        .sum();
    Ok(Value::Real(if negative { -real } else { real }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(words: &[i16]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn whole_numerics_are_integers() {
        assert_eq!(numeric(&encoded(&[0, 0, 0, 0])).unwrap(), Value::Integer(0));
        assert_eq!(
            numeric(&encoded(&[1, 1, 0, 0, 3])).unwrap(),
            Value::Integer(30_000)
        );
        assert_eq!(
            numeric(&encoded(&[2, 1, 0x4000, 0, 1, 2345])).unwrap(),
            Value::Integer(-12_345)
        );
        assert_eq!(
            numeric(&encoded(&[2, 0, 0, 1, 1, 5000])).unwrap(),
            Value::Real(1.5)
        );
        assert!(numeric(&encoded(&[0, 0, -16384, 0])).is_err(), "NaN");
        assert!(numeric(&[0]).is_err());
    }
}

//! Values of metrics as MLflow keeps them.

/// A database of MLflow holds the largest number in place of an infinity, which no training logs otherwise.
pub(crate) fn from_database(value: f64, is_nan: bool) -> f64 {
    if is_nan {
        return f64::NAN;
    }
    if value.abs() >= f64::MAX {
        return f64::INFINITY.copysign(value);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_database_cannot_hold_comes_back() {
        assert!(from_database(0.0, true).is_nan());
        assert_eq!(from_database(1.797_693_134_862_315_7e308, false), f64::INFINITY);
        assert_eq!(
            from_database(-1.797_693_134_862_315_7e308, false),
            f64::NEG_INFINITY
        );
        assert_eq!(from_database(1e300, false), 1e300);
    }
}

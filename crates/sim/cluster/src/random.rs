//! Draws that are the same on every machine.

/// `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014).
#[derive(Debug, Clone)]
pub(crate) struct Random(pub u64);

impl Random {
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of so many, from 0.
    pub fn below(&mut self, count: usize) -> usize {
        let scaled = (u128::from(self.next()) * count as u128) >> 64;
        usize::try_from(scaled).unwrap_or(0)
    }

    /// Of the exponential distribution whose mean is 1.
    pub fn exponential(&mut self) -> f64 {
        -ln(self.unit())
    }

    /// Above 0, and at most 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits are exact in a double")]
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }
}

/// The natural logarithm of a positive number, to 15 digits, and the same on every machine: the standard library's is not.
pub(crate) fn ln(number: f64) -> f64 {
    const MANTISSA: u64 = (1 << 52) - 1;
    let bits = number.to_bits();
    let exponent = i32::try_from(bits >> 52).unwrap_or(0) - 1_023;
    let mantissa = f64::from_bits((bits & MANTISSA) | (1_023 << 52));
    // ln m = 2 artanh((m - 1) / (m + 1)), whose series converges fast where m is at most 2.
    let ratio = (mantissa - 1.0) / (mantissa + 1.0);
    let mut sum = 0.0;
    for power in (0..=17_u8).rev() {
        sum = sum * ratio * ratio + 1.0 / f64::from(2 * power + 1);
    }
    f64::from(exponent) * std::f64::consts::LN_2 + 2.0 * ratio * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithms_are_logarithms() {
        for number in [
            1.0 / 9_007_199_254_740_992.0,
            1e-3,
            0.5,
            0.999_999,
            1.0,
            1.5,
            2.0,
            1e9,
        ] {
            assert!(
                (ln(number) - f64::ln(number)).abs() < 1e-14 * (1.0 + f64::ln(number).abs()),
                "{number}"
            );
        }
    }

    #[test]
    fn the_mean_is_one_and_as_many_are_above_the_median_as_below() {
        let mut random = Random(1);
        let draws: Vec<f64> = (0..100_000).map(|_| random.exponential()).collect();
        let mean = draws.iter().sum::<f64>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        let above = draws
            .iter()
            .filter(|draw| **draw > std::f64::consts::LN_2)
            .count();
        assert!((49_000..51_000).contains(&above), "{above}");
    }
}

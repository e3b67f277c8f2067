//! Amounts of money: whole credits in 64 bits, and exact ratios that prices are multiplied by.
//!
//! Invariant: no floating point touches an amount, and arithmetic that would overflow returns `None`.

use std::fmt;

/// An amount of credits. Negative amounts exist only inside an account's books (`issued`, `owed`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Credits(pub i64);

impl Credits {
    /// No credits.
    pub const ZERO: Self = Self(0);

    /// Sum, or `None` beyond 64 bits.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Difference, or `None` beyond 64 bits.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// Product with a count of units, or `None` beyond 64 bits.
    #[must_use]
    pub fn checked_mul(self, count: u32) -> Option<Self> {
        self.0.checked_mul(i64::from(count)).map(Self)
    }
}

impl fmt::Display for Credits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An exact positive ratio such as 9/5 for ×1.8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ratio {
    numerator: u32,
    denominator: u32,
}

impl Ratio {
    /// ×1.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// Parses a decimal such as `"1.8"` exactly; at most four places, and above zero.
    #[must_use]
    pub fn parse_decimal(text: &str) -> Option<Self> {
        let (whole, places) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || whole.len() > 4 || places.len() > 4 || !digits(whole) || !digits(places) {
            return None;
        }
        let denominator = 10u32.pow(u32::try_from(places.len()).ok()?);
        let numerator: u32 = format!("{whole}{places}").parse().ok()?;
        (numerator > 0).then_some(Self { numerator, denominator })
    }

    /// `amount` × every ratio, rounded up once at the end; `None` beyond 64 bits.
    #[must_use]
    pub fn apply_all_ceil(amount: Credits, ratios: &[Self]) -> Option<Credits> {
        let mut numerator = u128::try_from(amount.0).ok()?;
        let mut denominator = 1u128;
        for ratio in ratios {
            numerator = numerator.checked_mul(u128::from(ratio.numerator))?;
            denominator = denominator.checked_mul(u128::from(ratio.denominator))?;
        }
        i64::try_from(numerator.div_ceil(denominator)).ok().map(Credits)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.numerator / self.denominator;
        let places = self.denominator.ilog10() as usize;
        if places == 0 {
            return write!(f, "{whole}");
        }
        write!(f, "{whole}.{:0places$}", self.numerator % self.denominator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decimals_are_exact() {
        let times = |amount, ratios: &[&str]| {
            let ratios: Vec<_> = ratios.iter().map(|r| Ratio::parse_decimal(r).unwrap()).collect();
            Ratio::apply_all_ceil(Credits(amount), &ratios).map(|c| c.0)
        };
        // 330 × 2.7 is 891 exactly; in binary floating point 1.5 × 1.8 × 330 ceils to 892.
        assert_eq!(times(330, &["1.5", "1.8"]), Some(891));
        assert_eq!(times(10, &["1.8"]), Some(18));
        assert_eq!(times(25, &["1.5", "1.8"]), Some(68));
        assert_eq!(times(1, &["1.0001"]), Some(2));
        assert_eq!(times(i64::MAX, &["1.5"]), None);
        for bad in ["", ".", "1.", "-1", "0", "0.0", "1.00001", "1e3", "99999", "+1"] {
            let parsed = Ratio::parse_decimal(bad);
            assert!(parsed.is_none() || bad == "1.", "{bad} gave {parsed:?}");
        }
        assert_eq!(Ratio::parse_decimal("1.80").unwrap().to_string(), "1.80");
    }

    proptest! {
        #[test]
        fn ceil_is_the_smallest_amount_not_below(amount in 0i64..1_000_000_000, tenths in 1u32..1000) {
            let ratio = Ratio::parse_decimal(&format!("{}.{}", tenths / 10, tenths % 10)).unwrap();
            let got = i128::from(Ratio::apply_all_ceil(Credits(amount), &[ratio]).unwrap().0);
            let exact_tenths = i128::from(amount) * i128::from(tenths);
            prop_assert!(got * 10 >= exact_tenths && (got - 1) * 10 < exact_tenths);
        }
    }
}

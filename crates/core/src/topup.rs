//! Credits that somebody buys: which packs there are, and how much of a payment's credits is taken back when
//! money goes back.
//!
//! Invariant: what is taken back follows from the facts alone, in whatever order and however often they are
//! heard, and is the whole exactly when the whole amount went back. Not here: the ledger's moves, and what
//! the payment service calls things.

use crate::credits::Credits;

/// So many credits for so much money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pack {
    pub credits: Credits,
    /// In the smallest unit of the currency, such as cents.
    pub amount_minor: i64,
}

impl Pack {
    /// The most that either side of a pack may be.
    pub const MAX: i64 = 99_999_999;

    /// As it is read again.
    #[must_use]
    pub fn to_text(&self) -> String {
        format!("{}={}", self.credits, self.amount_minor)
    }

    /// Reads `CREDITS=AMOUNT`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let part = part.trim();
            let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let number: i64 = if digits { part.parse().ok()? } else { return None };
            (1..=Self::MAX).contains(&number).then_some(number)
        };
        let (credits, amount) = text.split_once('=')?;
        Some(Self { credits: Credits(number(credits)?), amount_minor: number(amount)? })
    }
}

/// How many digits a currency's smallest unit is behind the point, as the payment service counts it
/// (docs.stripe.com/currencies).
#[must_use]
pub fn minor_digits(currency: &str) -> usize {
    match currency {
        "bif" | "clp" | "djf" | "gnf" | "jpy" | "kmf" | "krw" | "mga" | "pyg" | "rwf" | "vnd" | "vuv"
        | "xaf" | "xof" | "xpf" => 0,
        "bhd" | "jod" | "kwd" | "omr" | "tnd" => 3,
        _ => 2,
    }
}

/// What prices in a currency are multiples of, as the payment service takes them (its special cases, same
/// page): the last of three digits is zero, and two currencies without digits are written with two.
#[must_use]
pub fn minor_step(currency: &str) -> i64 {
    match currency {
        "isk" | "ugx" => 100,
        _ if minor_digits(currency) == 3 => 10,
        _ => 1,
    }
}

/// Where a purchase stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Waits for the payment.
    Open,
    Paid,
    /// Nobody paid in time.
    Expired,
    /// The whole amount went back.
    Refunded,
    /// Whoever paid says that they did not want to.
    Disputed,
}

impl State {
    const ALL: [Self; 5] = [Self::Open, Self::Paid, Self::Expired, Self::Refunded, Self::Disputed];

    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Paid => "paid",
            Self::Expired => "expired",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }

    /// The state of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why money of a payment goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReversalKind {
    Refund,
    Dispute,
}

impl ReversalKind {
    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refund => "refund",
            Self::Dispute => "dispute",
        }
    }

    /// The kind of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Refund, Self::Dispute].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// How far a reversal has come. The order is that of time: what is heard later never counts less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Somebody asks; no money has moved.
    Inquiry,
    /// The money went back, or is on its way.
    Gone,
    /// It went back for good; only an appeal may still bring it again.
    Lost,
    /// It came again: the refund failed, the dispute was won.
    Returned,
}

impl Standing {
    const ALL: [Self; 4] = [Self::Inquiry, Self::Gone, Self::Lost, Self::Returned];

    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inquiry => "inquiry",
            Self::Gone => "gone",
            Self::Lost => "lost",
            Self::Returned => "returned",
        }
    }

    /// The standing of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text)
    }

    fn is_away(self) -> bool {
        matches!(self, Self::Gone | Self::Lost)
    }
}

/// One refund or dispute of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reversal {
    /// What the payment service calls it.
    pub id: String,
    pub kind: ReversalKind,
    pub amount_minor: i64,
    pub standing: Standing,
}

/// Adds what was heard to what is known of a payment; tells whether it is news.
pub fn hear(known: &mut Vec<Reversal>, heard: Reversal) -> bool {
    let Some(row) = known.iter_mut().find(|row| row.id == heard.id) else {
        known.push(heard);
        return true;
    };
    let news = heard.standing > row.standing;
    if news {
        // An inquiry may become a dispute over another amount.
        if row.standing == Standing::Inquiry {
            row.amount_minor = heard.amount_minor;
        }
        row.standing = heard.standing;
    }
    news
}

/// How many of a payment's credits are to be taken back: in proportion to the money that is away, rounded
/// down, and all of them when all of it is.
#[must_use]
pub fn taken_back(bought: Pack, reversals: &[Reversal]) -> Credits {
    let away = away_minor(bought, reversals);
    let share = i128::from(bought.credits.0) * i128::from(away) / i128::from(bought.amount_minor.max(1));
    Credits(i64::try_from(share).unwrap_or(bought.credits.0))
}

/// Where a paid purchase stands.
#[must_use]
pub fn state(bought: Pack, reversals: &[Reversal]) -> State {
    let disputed = |row: &Reversal| row.kind == ReversalKind::Dispute && row.standing.is_away();
    if reversals.iter().any(disputed) {
        State::Disputed
    } else if away_minor(bought, reversals) == bought.amount_minor {
        State::Refunded
    } else {
        State::Paid
    }
}

/// The money that is away; at most what was paid, also where a refund and a dispute are about the same.
fn away_minor(bought: Pack, reversals: &[Reversal]) -> i64 {
    let away = reversals.iter().filter(|row| row.standing.is_away());
    away.fold(0i64, |sum, row| sum.saturating_add(row.amount_minor.max(0))).min(bought.amount_minor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refund(id: &str, amount_minor: i64, standing: Standing) -> Reversal {
        Reversal { id: id.to_owned(), kind: ReversalKind::Refund, amount_minor, standing }
    }

    fn dispute(id: &str, amount_minor: i64, standing: Standing) -> Reversal {
        Reversal { kind: ReversalKind::Dispute, ..refund(id, amount_minor, standing) }
    }

    #[test]
    fn packs_are_read_strictly() {
        let pack = Pack { credits: Credits(1000), amount_minor: 999 };
        assert_eq!((Pack::parse("1000=999"), Pack::parse(" 1000 = 999 ")), (Some(pack), Some(pack)));
        for bad in ["", "1000", "=1", "1=", "0=1", "1=0", "-1=1", "+1=1", "1=1=1", "1.5=2", "100000000=1"] {
            assert_eq!(Pack::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let bought = Pack { credits: Credits(10), amount_minor: 999 };
        let mut known = Vec::new();
        for (at, taken) in [(1, 3), (2, 6), (3, 10)] {
            assert!(hear(&mut known, refund(&format!("re_{at}"), 333, Standing::Gone)));
            assert_eq!(taken_back(bought, &known), Credits(taken));
        }
        assert_eq!(state(bought, &known), State::Refunded);
        assert!(!hear(&mut known, refund("re_1", 333, Standing::Gone)));
        assert!(hear(&mut known, refund("re_1", 333, Standing::Returned)));
        assert_eq!((taken_back(bought, &known), state(bought, &known)), (Credits(6), State::Paid));
    }

    #[test]
    fn a_dispute_takes_and_gives_back_once() {
        let bought = Pack { credits: Credits(500), amount_minor: 450 };
        let rows = [
            (Standing::Inquiry, 0, State::Paid),
            (Standing::Gone, 500, State::Disputed),
            (Standing::Inquiry, 500, State::Disputed),
            (Standing::Lost, 500, State::Disputed),
            (Standing::Gone, 500, State::Disputed),
            (Standing::Returned, 0, State::Paid),
            (Standing::Lost, 0, State::Paid),
        ];
        let mut known = Vec::new();
        for (standing, taken, after) in rows {
            hear(&mut known, dispute("dp_1", 450, standing));
            assert_eq!((taken_back(bought, &known), state(bought, &known)), (Credits(taken), after));
        }
    }

    #[test]
    fn a_part_is_refunded_and_the_rest_disputed() {
        let bought = Pack { credits: Credits(1000), amount_minor: 999 };
        let mut known = Vec::new();
        for (heard, taken, after) in [
            (refund("re_1", 300, Standing::Gone), 300, State::Paid),
            (dispute("dp_1", 699, Standing::Gone), 1000, State::Disputed),
            (dispute("dp_1", 699, Standing::Lost), 1000, State::Disputed),
            (dispute("dp_1", 699, Standing::Returned), 300, State::Paid),
            (refund("re_2", 699, Standing::Gone), 1000, State::Refunded),
            // The bank asked for all of it, although a part was refunded.
            (dispute("dp_2", 999, Standing::Gone), 1000, State::Disputed),
            (dispute("dp_2", 999, Standing::Returned), 1000, State::Refunded),
        ] {
            assert!(hear(&mut known, heard));
            assert_eq!((taken_back(bought, &known), state(bought, &known)), (Credits(taken), after));
        }
    }

    #[test]
    fn prices_are_multiples_of_what_stripe_takes() {
        let steps = ["usd", "jpy", "kwd", "isk", "ugx"].map(minor_step);
        assert_eq!(steps, [1, 1, 10, 100, 100]);
    }

    #[test]
    fn what_is_away_twice_is_taken_once() {
        let bought = Pack { credits: Credits(Pack::MAX), amount_minor: Pack::MAX };
        let known = [
            refund("re_1", Pack::MAX, Standing::Gone),
            dispute("dp_1", i64::MAX, Standing::Lost),
            refund("re_2", -5, Standing::Gone),
        ];
        assert_eq!(taken_back(bought, &known), Credits(Pack::MAX));
        assert_eq!(taken_back(bought, &known[2..]), Credits::ZERO);
    }

    fn heard() -> impl Strategy<Value = Reversal> {
        let standing = prop::sample::select(Standing::ALL.to_vec());
        (0..4u8, standing, any::<bool>()).prop_map(|(number, standing, disputed)| {
            let amount = 100 + i64::from(number) * 77;
            let make = if disputed { dispute } else { refund };
            make(&format!("{}_{number}", if disputed { "dp" } else { "re" }), amount, standing)
        })
    }

    proptest! {
        #[test]
        fn order_and_repetition_change_nothing(
            told in prop::collection::vec(heard(), 0..12),
            order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let bought = Pack { credits: Credits(1234), amount_minor: 777 };
            let (mut in_order, mut shuffled) = (Vec::new(), Vec::new());
            for row in &told {
                hear(&mut in_order, row.clone());
            }
            if !told.is_empty() {
                for index in &order {
                    hear(&mut shuffled, index.get(&told).clone());
                }
            }
            for row in told.iter().rev() {
                hear(&mut shuffled, row.clone());
            }
            prop_assert_eq!(taken_back(bought, &in_order), taken_back(bought, &shuffled));
            prop_assert_eq!(state(bought, &in_order), state(bought, &shuffled));
        }
    }
}

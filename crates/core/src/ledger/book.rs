//! The books of one account, and the entries that move credits between them.
//!
//! Invariant: the six books of an account sum to zero, `available` and `held` are never negative, and each
//! entry's hash covers the one before, so that a changed row breaks the chain. Entries are made only here.

use crate::{
    credits::Credits,
    id::{AccountId, TaskId},
};
use sha2::{Digest, Sha256};

/// One of an account's books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Book {
    /// What the owner may spend.
    Available,
    /// Reserved for open tasks.
    Held,
    /// Earned by the house from this account.
    Revenue,
    /// What the house paid a vendor and could not charge.
    ProviderLoss,
    /// Where credits come from; its balance is minus all that was granted.
    Issued,
    /// What the owner owes after a clawback beyond `available`; zero or negative.
    Owed,
}

impl Book {
    /// All books, in stored order.
    pub const ALL: [Self; 6] =
        [Self::Available, Self::Held, Self::Revenue, Self::ProviderLoss, Self::Issued, Self::Owed];

    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Held => "held",
            Self::Revenue => "revenue",
            Self::ProviderLoss => "provider_loss",
            Self::Issued => "issued",
            Self::Owed => "owed",
        }
    }

    /// The book of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.as_str() == text)
    }
}

/// Why an entry was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    Grant,
    Hold,
    Capture,
    Release,
    Refund,
    Loss,
    Clawback,
}

impl EntryKind {
    /// All kinds.
    pub const ALL: [Self; 7] =
        [Self::Grant, Self::Hold, Self::Capture, Self::Release, Self::Refund, Self::Loss, Self::Clawback];

    /// The kind of a stored word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The stored word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Grant => "grant",
            Self::Hold => "hold",
            Self::Capture => "capture",
            Self::Release => "release",
            Self::Refund => "refund",
            Self::Loss => "loss",
            Self::Clawback => "clawback",
        }
    }
}

/// A broken invariant, found before anything is written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("books sum to {0} instead of zero")]
    Unbalanced(i128),
    #[error("{0} is negative: {1}")]
    Negative(&'static str, i64),
    #[error("arithmetic beyond 64 bits")]
    Overflow,
    #[error("the move leaves {0} negative")]
    Overdrawn(&'static str),
    #[error("task {0} holds {1}, which its account's held book does not cover")]
    HoldMissing(String, i64),
}

/// Balances of the six books.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Books {
    pub available: Credits,
    pub held: Credits,
    pub revenue: Credits,
    pub provider_loss: Credits,
    pub issued: Credits,
    pub owed: Credits,
}

impl Books {
    /// The balance of a book.
    #[must_use]
    pub fn get(&self, book: Book) -> Credits {
        match book {
            Book::Available => self.available,
            Book::Held => self.held,
            Book::Revenue => self.revenue,
            Book::ProviderLoss => self.provider_loss,
            Book::Issued => self.issued,
            Book::Owed => self.owed,
        }
    }

    fn get_mut(&mut self, book: Book) -> &mut Credits {
        match book {
            Book::Available => &mut self.available,
            Book::Held => &mut self.held,
            Book::Revenue => &mut self.revenue,
            Book::ProviderLoss => &mut self.provider_loss,
            Book::Issued => &mut self.issued,
            Book::Owed => &mut self.owed,
        }
    }

    /// Checks the sum and the two books that may never be negative.
    pub fn check(&self) -> Result<(), Fault> {
        let sum: i128 = Book::ALL.iter().map(|book| i128::from(self.get(*book).0)).sum();
        if sum != 0 {
            return Err(Fault::Unbalanced(sum));
        }
        for book in [Book::Available, Book::Held] {
            if self.get(book) < Credits::ZERO {
                return Err(Fault::Negative(book.as_str(), self.get(book).0));
            }
        }
        Ok(())
    }

    /// Moves `amount` from one book to another; both legs or neither.
    pub fn transfer(&mut self, from: Book, to: Book, amount: Credits) -> Result<(), Fault> {
        let less = self.get(from).checked_sub(amount).ok_or(Fault::Overflow)?;
        let more = self.get(to).checked_add(amount).ok_or(Fault::Overflow)?;
        if matches!(from, Book::Available | Book::Held) && less < Credits::ZERO {
            return Err(Fault::Overdrawn(from.as_str()));
        }
        *self.get_mut(from) = less;
        *self.get_mut(to) = more;
        Ok(())
    }
}

/// An immutable line of an account's ledger: `amount` from one book to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    account: AccountId,
    sequence: i64,
    at_ms: i64,
    kind: EntryKind,
    from: Book,
    to: Book,
    amount: Credits,
    task: Option<TaskId>,
    reference: Option<String>,
    hash: [u8; 32],
}

/// What an entry says, before it has its place in the chain.
pub(super) struct Line<'a> {
    pub(super) kind: EntryKind,
    pub(super) from: Book,
    pub(super) to: Book,
    pub(super) amount: Credits,
    pub(super) task: Option<&'a TaskId>,
    pub(super) reference: Option<&'a str>,
}

impl Entry {
    /// Makes the entry that follows `previous_hash` in an account's chain.
    pub(super) fn chained(
        account: &AccountId,
        sequence: i64,
        at_ms: i64,
        line: &Line<'_>,
        previous_hash: &[u8; 32],
    ) -> Self {
        let mut entry = Self {
            account: account.clone(),
            sequence,
            at_ms,
            kind: line.kind,
            from: line.from,
            to: line.to,
            amount: line.amount,
            task: line.task.cloned(),
            reference: line.reference.map(str::to_owned),
            hash: [0; 32],
        };
        entry.hash = chain_hash(
            previous_hash,
            &[
                account.as_str(),
                &sequence.to_string(),
                &at_ms.to_string(),
                line.kind.as_str(),
                line.from.as_str(),
                line.to.as_str(),
                &line.amount.to_string(),
                line.task.map_or("", TaskId::as_str),
                line.reference.unwrap_or(""),
            ],
        );
        entry
    }

    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }
    #[must_use]
    pub fn sequence(&self) -> i64 {
        self.sequence
    }
    #[must_use]
    pub fn at_ms(&self) -> i64 {
        self.at_ms
    }
    #[must_use]
    pub fn kind(&self) -> EntryKind {
        self.kind
    }
    #[must_use]
    pub fn from(&self) -> Book {
        self.from
    }
    #[must_use]
    pub fn to(&self) -> Book {
        self.to
    }
    #[must_use]
    pub fn amount(&self) -> Credits {
        self.amount
    }
    #[must_use]
    pub fn task(&self) -> Option<&TaskId> {
        self.task.as_ref()
    }
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.reference.as_deref()
    }
    #[must_use]
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }
}

/// SHA-256 over the hash before and every field, each with its length, so that no two lines have the same
/// bytes.
#[must_use]
pub fn chain_hash(previous_hash: &[u8; 32], fields: &[&str]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous_hash);
    for field in fields {
        hasher.update((field.len() as u64).to_be_bytes());
        hasher.update(field.as_bytes());
    }
    hasher.finalize().into()
}

//! News for owners: what was said, how much of it is unread, and that it was read.
//!
//! Invariant: whoever administers sees the news of accounts within their reach alone. The rows are written in
//! the commit of what they tell of, and are the outbox that webhooks will read. Not here: when a budget is
//! worth a word (`core::ledger`), and delivering anything.

use crate::app::{Error, admin::Admin};
use rynjer_core::id::{AccountId, NoticeId};
use rynjer_store::notice::{self, NoticeRow};

impl Admin {
    /// The newest news of an account, older than the piece `before`.
    ///
    /// # Errors
    /// No such account within reach.
    pub async fn notice_list(
        &self,
        account: &AccountId,
        before: Option<NoticeId>,
        limit: u32,
    ) -> Result<Vec<NoticeRow>, Error> {
        self.reach.check(Some(account))?;
        let account = account.clone();
        self.store.read(move |tx| Ok(notice::of_account(tx, &account, before.as_ref(), limit)?)).await
    }

    /// How much of an account's news nobody has read.
    ///
    /// # Errors
    /// No such account within reach.
    pub async fn notices_unread(&self, account: &AccountId) -> Result<i64, Error> {
        self.reach.check(Some(account))?;
        let account = account.clone();
        self.store.read(move |tx| Ok(notice::unread(tx, &account)?)).await
    }

    /// Marks an account's news read, up to the piece of an id, and all of it without; how much there was.
    ///
    /// # Errors
    /// No such account within reach.
    pub async fn notices_read(&self, account: &AccountId, newest: Option<NoticeId>) -> Result<u64, Error> {
        self.reach.check(Some(account))?;
        let (account, now_ms) = (account.clone(), self.clock.now_ms());
        self.store.write(move |tx| Ok(notice::mark_read(tx, &account, newest.as_ref(), now_ms)?)).await
    }
}

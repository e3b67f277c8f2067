//! The state of an account at a glance: what runs, what was spent, what is new.
//!
//! Invariant: all of it is read in one moment. Not here: lists and single tasks (`history`).

use crate::{
    app::{
        Error,
        history::{self, AgentNames},
    },
    state::App,
};
use rynjer_core::{
    id::{AccountId, NoticeId},
    task::Status,
};
use rynjer_store::{
    StoreError, Tx,
    list::{self, Filter},
    notice::{self, NoticeRow},
    spend::{self, SPEND_SCAN_MAX, Spend},
    task::TaskRow,
};

/// How many open tasks are shown.
pub(crate) const OPEN_MAX: usize = 8;
/// How many tasks with finished pictures are shown.
const PICTURES_MAX: usize = 6;
/// How much news is looked through for what nobody has read.
const NOTICES_MAX: u32 = 20;

/// An account at a glance.
pub(crate) struct Overview {
    pub(crate) spend: Spend,
    pub(crate) open: Vec<TaskRow>,
    pub(crate) pictures: Vec<TaskRow>,
    /// News that nobody has read yet.
    pub(crate) notices: Vec<NoticeRow>,
    pub(crate) names: AgentNames,
}

/// Reads an account; spending from `from_ms` on.
pub(crate) async fn of_account(app: &App, account: AccountId, from_ms: i64) -> Result<Overview, Error> {
    let read = app.store.read(move |tx| {
        let period = Filter { from_ms: Some(from_ms), ..Filter::default() };
        let done = (Some(Status::Success), Some("image".to_owned()));
        let pictures = Filter { status: done.0, product: done.1, ..Filter::default() };
        let mut notices = notice::of_account(tx, &account, None, NOTICES_MAX)?;
        notices.retain(|row| row.read_at_ms.is_none());
        Ok::<_, StoreError>(Overview {
            spend: spend::by_kind(tx, &account, &period, SPEND_SCAN_MAX)?,
            open: open(tx, &account)?,
            pictures: list::tasks(tx, &account, &pictures, PICTURES_MAX)?.rows,
            notices,
            names: history::names(tx, &account)?,
        })
    });
    Ok(read.await?)
}

/// The newest open tasks of an account, and the names of its agents.
pub(crate) async fn running(app: &App, account: AccountId) -> Result<(Vec<TaskRow>, AgentNames), Error> {
    let read =
        app.store.read(move |tx| Ok::<_, StoreError>((open(tx, &account)?, history::names(tx, &account)?)));
    Ok(read.await?)
}

fn open(tx: &mut dyn Tx, account: &AccountId) -> Result<Vec<TaskRow>, StoreError> {
    let mut rows = Vec::new();
    for status in [Status::Processing, Status::Pending] {
        let filter = Filter { status: Some(status), ..Filter::default() };
        rows.extend(list::tasks(tx, account, &filter, OPEN_MAX)?.rows);
    }
    rows.sort_by(|left, right| right.id.cmp(&left.id));
    rows.truncate(OPEN_MAX);
    Ok(rows)
}

/// Marks news read, up to the newest that was shown.
pub(crate) async fn read_notices(app: &App, account: AccountId, newest: NoticeId) -> Result<(), Error> {
    let now_ms = app.now_ms();
    let written = app.store.write(move |tx| notice::mark_read(tx, &account, Some(&newest), now_ms));
    written.await.map(drop).map_err(|error: StoreError| error.into())
}

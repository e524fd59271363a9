//! [`History`] on the embedded store.

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::committer::Op;
use super::tables::{Tables, bad_key};
use super::{EmbeddedStore, keys, rows, stopped};
use crate::domain::group::Head;
use crate::domain::ids::{GroupUid, Seq};
use crate::domain::message::{Before, Message};
use crate::store::{Appending, History, StoreError, Window};

#[async_trait]
impl History for EmbeddedStore {
    async fn append(&self, group: GroupUid, message: Message) -> Appending {
        let (done, appending) = Appending::pair();
        // A closed queue drops `done`, which answers.
        let _ = self.ops.send(Op::Append { group, message, done }).await;
        appending
    }

    async fn head(&self, group: GroupUid) -> Result<Head, StoreError> {
        let (done, head) = oneshot::channel();
        self.ops.send(Op::Head { group, done }).await.map_err(|error| stopped(&error))?;
        head.await.unwrap_or_else(|error| Err(stopped(&error)))
    }

    async fn page(&self, group: GroupUid, window: Window) -> Result<Vec<Message>, StoreError> {
        self.read(move |tables| {
            let end = match window.before {
                None => window.upto.next(),
                Some(Before::Seq(seq)) => seq.min(window.upto.next()),
                Some(Before::Time(time_ms)) => first_at_or_after(tables, group, time_ms, window.upto)?,
            };
            let rows = tables.messages.range(keys::message(group, Seq(0))..keys::message(group, end));
            window.cut(rows.rev().map(read_row))
        })
        .await
    }

    async fn after(
        &self,
        group: GroupUid,
        after: Seq,
        upto: Seq,
        limit: usize,
    ) -> Result<Vec<Message>, StoreError> {
        self.read(move |tables| {
            if after >= upto {
                return Ok(Vec::new());
            }
            tables
                .messages
                .range(keys::message(group, after.next())..=keys::message(group, upto))
                .take(limit)
                .map(read_row)
                .collect()
        })
        .await
    }
}

fn read_row(row: fjall::Guard) -> Result<Message, StoreError> {
    let (key, value) = row.into_inner()?;
    let (_, seq) = keys::message_of(&key).ok_or_else(bad_key)?;
    rows::decode_message(seq, &value)
}

/// The first place whose message is not older than a time, by halving: times never go back within a log.
fn first_at_or_after(tables: &Tables, group: GroupUid, time_ms: u64, upto: Seq) -> Result<Seq, StoreError> {
    let (mut low, mut high) = (Seq(1), upto.next());
    while low < high {
        let middle = Seq(low.0 + (high.0 - low.0) / 2);
        let row = tables.messages.range(keys::message(group, middle)..keys::message(group, high)).next();
        match row.map(read_row).transpose()? {
            Some(message) if message.time_ms < time_ms => low = message.seq.next(),
            _ => high = middle,
        }
    }
    Ok(low)
}

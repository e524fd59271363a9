//! Pages of history.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::super::told::GroupMessage;
use super::Session;
use super::places::Place;
use crate::domain::ids::{GroupUid, MessageId, Seq};
use crate::domain::message::Before;
use crate::error::EngineError;
use crate::protocol::code::ErrorCode;
use crate::protocol::codec;
use crate::protocol::frame::{PageEdge, Refusal};
use crate::socket::outbound::Alone;
use crate::store::{Edge, StoreError, Window};

impl Session {
    /// The newest page, the same bytes for all of version 1 who join before the log goes on.
    pub(super) async fn greeting(&self, upto: Seq) -> Result<Bytes, StoreError> {
        let place = self.places.first().expect("the session has taken its place");
        let uid = place.slot.record.uid;
        let _turn = place.slot.greeting.lock().await;
        let now_ms = self.shared.clock.mono_ms();
        if let Some(page) = self.shared.greetings.get(uid, upto, now_ms) {
            return Ok(page);
        }
        let reading = self.shared.greetings.read(now_ms);
        let limit = self.shared.limits.history_items_default;
        let page = self.page(None, place, upto, Edge::Newest, limit).await?;
        self.shared.greetings.keep(uid, upto, page.clone(), reading);
        Ok(page)
    }

    /// Reads and encodes a page.
    async fn page(
        &self,
        r: Option<u32>,
        place: &Place,
        upto: Seq,
        edge: Edge,
        limit: usize,
    ) -> Result<Bytes, StoreError> {
        let bytes_max = self.shared.limits.history_bytes_max;
        let reader = (!self.dialect.is_v1()).then(|| self.grant.user.clone());
        let window = Window { upto, edge, limit, bytes_max, reader };
        let page = self.shared.history.page(place.slot.record.uid, window).await?;
        Ok(codec::encode_page(
            self.dialect,
            r,
            place.slot.scope(),
            &page.messages,
            page.more,
            edge.is_forward(),
            bytes_max,
        ))
    }

    pub(super) async fn history(
        &mut self,
        r: Option<u32>,
        index: usize,
        edge: PageEdge,
        limit: Option<usize>,
    ) -> Result<(), Refusal> {
        let edge = edge_in(edge, self.places[index].slot.record.uid)?;
        // Who asks for pages must read them: without room the next frame isn't looked at.
        if !self.outbound.room().await {
            return Ok(());
        }
        self.settle(index).await;
        let limits = &self.shared.limits;
        let limit = limit.unwrap_or(limits.history_items_default).min(limits.history_items_max);
        // What is said from here on comes after the page, and all that was heard before is in it.
        self.outbound.hold(Alone::Whole);
        let place = &self.places[index];
        let upto = place.slot.audience.lock().cursor().unwrap_or_default();
        let page = self.page(r, place, upto, edge, limit).await;
        self.outbound.release(page.as_ref().ok().cloned());
        page.map(|_| ()).map_err(|error| {
            tracing::error!(%error, "a page of history can't be read");
            EngineError::Store(error).refusal()
        })
    }

    /// Waits until what this session said is in history, so that it finds its own words there.
    async fn settle(&mut self, index: usize) {
        let place = &mut self.places[index];
        if std::mem::take(&mut place.said) {
            let (done, settled) = oneshot::channel();
            // A group that crashed has told the session which of its words are uncertain.
            if place.slot.tell(GroupMessage::Flush(done)).is_ok() {
                let _ = settled.await;
            }
        }
    }
}

/// Where a page lies in this group's log.
fn edge_in(edge: PageEdge, group: GroupUid) -> Result<Edge, Refusal> {
    Ok(match edge {
        PageEdge::Newest => Edge::Newest,
        PageEdge::BeforeTime(time_ms) => Edge::Before(Before::Time(time_ms)),
        PageEdge::BeforeSeq(seq) => Edge::Before(Before::Seq(seq)),
        PageEdge::BeforeId(id) => Edge::Before(Before::Seq(seq_in(id, group, "d.b")?)),
        PageEdge::AfterSeq(seq) => Edge::After(seq),
        PageEdge::AfterId(id) => Edge::After(seq_in(id, group, "d.af")?),
    })
}

/// A message's place in this group's log.
pub(super) fn seq_in(id: MessageId, group: GroupUid, field: &str) -> Result<Seq, Refusal> {
    if id.group != group {
        let text = format!("{field} is no message of this group: use a message's i");
        return Err(Refusal::new(ErrorCode::MESSAGE_NOT_FOUND, text));
    }
    Ok(id.seq)
}

//! How far the user has come in all groups, and what is said in those that the session isn't in.

use std::collections::HashMap;

use super::Session;
use super::paces::Pace;
use crate::domain::attendance::Attendance;
use crate::domain::profile::GroupRecord;
use crate::error::EngineError;
use crate::protocol::code::CloseCode;
use crate::protocol::codec;
use crate::protocol::frame::{InboxEntry, Refusal, ServerFrame};
use crate::socket::outbound::{Pushed, Worth};
use crate::store::{StoreError, Unread};

/// So many groups in an inbox take as much reading as one page, and count as that.
const GROUPS_PER_REQUEST: usize = 50;

impl Session {
    /// From now on the session is told of what is said in its user's groups.
    pub(super) async fn listen_for_news(&mut self) -> Result<(), CloseCode> {
        let user = (self.grant.service.clone(), self.grant.user.clone());
        // First, so that no group is missed that is added meanwhile.
        let listening = self.shared.inboxes.listen(self.entry.id, user);
        let groups = self.attended().await.map_err(|error| {
            tracing::error!(%error, "a user's groups can't be read");
            CloseCode::INTERNAL
        })?;
        listening.add(&groups);
        if let Some(chores) = &mut self.chores {
            chores.listen(listening);
        }
        Ok(())
    }

    pub(super) async fn inbox(&mut self, r: Option<u32>, limit: Option<usize>) -> Result<(), Refusal> {
        if !self.outbound.room().await {
            return Ok(());
        }
        let limits = &self.shared.limits;
        let limit = limit.unwrap_or(limits.history_items_default).min(limits.history_items_max);
        let read = async {
            let groups = self.attended().await?;
            self.paces.also(Pace::Request, groups.len() / GROUPS_PER_REQUEST, &self.shared);
            self.entries(self.open_to_user(groups).await?, limit).await
        };
        let entries = read.await.map_err(|error| {
            tracing::error!(%error, "an inbox can't be read");
            EngineError::Store(error).refusal()
        })?;
        if let Some(frame) = codec::encode(self.dialect, r, ServerFrame::Inbox(&entries)) {
            self.outbound.push(frame, Worth::Essential);
        }
        Ok(())
    }

    pub(super) async fn tell_news(&mut self) {
        let Some(listening) = self.chores.as_ref().and_then(|chores| chores.listening()) else { return };
        let mut groups = listening.bell().take();
        // Whoever is in a group hears itself what is said there.
        groups.retain(|group| {
            !self.places.iter().any(|place| place.slot.record.uid == group.uid && place.is_kept())
        });
        let told = async { self.entries(self.open_to_user(groups.clone()).await?, usize::MAX).await };
        let is_told = match told.await {
            Ok(entries) => entries.is_empty() || self.tell_entries(&entries),
            Err(error) => {
                tracing::error!(%error, "an inbox can't be read");
                false
            }
        };
        if !is_told {
            // Looked at again after the usual time, with what has happened by then.
            listening.bell().put_back(groups);
        }
    }

    /// False when the client is too slow for it now.
    fn tell_entries(&self, entries: &[InboxEntry]) -> bool {
        let frame = codec::encode(self.dialect, None, ServerFrame::Inbox(entries));
        frame.is_none_or(|frame| self.outbound.push(frame, Worth::Fleeting) != Pushed::Shed)
    }

    async fn attended(&self) -> Result<Vec<GroupRecord>, StoreError> {
        let mut groups = self.shared.directory.groups_of(&self.grant.service, &self.grant.user).await?;
        groups.truncate(self.shared.limits.inbox_groups_max);
        Ok(groups)
    }

    /// Of these groups those that the user attends now and isn't banned from.
    async fn open_to_user(&self, groups: Vec<GroupRecord>) -> Result<Vec<GroupRecord>, StoreError> {
        let unix_ms = self.shared.clock.now().unix_ms;
        let mut open = Vec::with_capacity(groups.len());
        for group in groups {
            // Each may be answered without a wait, and there may be thousands.
            tokio::task::consume_budget().await;
            let attendance = self.shared.directory.attendance(&group, &self.grant.user.id).await?;
            let may_enter = |it: &Attendance| it.user == self.grant.user && !it.standing.is_banned(unix_ms);
            if attendance.as_ref().is_some_and(may_enter) {
                open.push(group);
            }
        }
        Ok(open)
    }

    /// The entries of so many groups in which something happened last, the latest first.
    async fn entries(&self, groups: Vec<GroupRecord>, limit: usize) -> Result<Vec<InboxEntry>, StoreError> {
        let (history, user) = (&self.shared.history, &self.grant.user);
        let mut ids: HashMap<_, _> = groups.into_iter().map(|group| (group.uid, group.id)).collect();
        let mut entries = Vec::new();
        for (uid, _) in history.latest(ids.keys().copied().collect(), limit).await? {
            let Some(group) = ids.remove(&uid) else { continue };
            let Unread { head, marker, messages } = history.unread(uid, user).await?;
            entries.push(InboxEntry { group, head: head.seq, read: marker.read, unread: messages });
        }
        Ok(entries)
    }
}

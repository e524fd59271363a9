//! What is asked of a group is decided here: the store is asked what the rules need to know, the rules decide, and who asked is told.

use ractor::ActorProcessingErr;

use super::super::delivery::{Before, Moderating, Order};
use super::super::receipt::Receipt;
use super::GroupState;
use crate::domain::event::{Event, EventKind, Facts, Head, Marker, Message, Moderation, ModerationOp};
use crate::domain::group::{Command, Denied, Effect, Speaker};
use crate::domain::ids::{Seq, SessionId, UserId, UserLife};
use crate::error::EngineError;
use crate::store::StoreError;

impl GroupState {
    pub(super) async fn say(
        &mut self,
        speaker: Speaker,
        message: Message,
        marks: bool,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let Some(receipt) = self.open_for(receipt) else { return Ok(()) };
        let known = async { Ok((self.sent(&speaker, &message).await?, self.answers(&message).await?)) };
        match known.await {
            Ok((sent, answers_known)) => {
                self.decide(Command::Say { speaker, message, sent, answers_known, marks }, receipt).await
            }
            Err(error) => {
                self.cannot_look(error, receipt);
                Ok(())
            }
        }
    }

    pub(super) async fn change(
        &mut self,
        speaker: Speaker,
        kind: EventKind,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let Some(receipt) = self.open_for(receipt) else { return Ok(()) };
        match self.facts(&speaker, &kind).await {
            Ok(facts) => self.decide(Command::Change { speaker, kind, facts }, receipt).await,
            Err(error) => {
                self.cannot_look(error, receipt);
                Ok(())
            }
        }
    }

    /// Where the store has the message already, if it has a client id by which it can be found.
    async fn sent(&mut self, speaker: &Speaker, message: &Message) -> Result<Option<Head>, StoreError> {
        let Some(client_id) = message.client_id() else { return Ok(None) };
        let Some(user) = self.user_of(speaker) else { return Ok(None) };
        self.settle();
        self.shared.history.sent(self.slot.record.uid, &user, client_id).await
    }

    /// Whether the store has the message that this one replies to.
    async fn answers(&mut self, message: &Message) -> Result<bool, StoreError> {
        let Some(of) = message.reply_to() else { return Ok(true) };
        self.settle();
        Ok(self.shared.history.facts(self.slot.record.uid, of, None).await?.is_some())
    }

    async fn facts(&mut self, speaker: &Speaker, kind: &EventKind) -> Result<Option<Facts>, StoreError> {
        let Some(of) = kind.of() else { return Ok(None) };
        let user = self.user_of(speaker);
        self.settle();
        self.shared.history.facts(self.slot.record.uid, of, user.as_ref()).await
    }

    /// What is stored by now needs not be remembered any more.
    fn settle(&mut self) {
        let stored = self.slot.stored();
        self.live().group.settle(stored);
    }

    fn user_of(&mut self, speaker: &Speaker) -> Option<UserLife> {
        match speaker {
            Speaker::Session(session) => self.live().group.user_of(*session).cloned(),
            Speaker::Backend(by) => by.user().cloned(),
        }
    }

    /// Gives the receipt back when something may be said now; else it is answered.
    fn open_for(&mut self, receipt: Receipt) -> Option<Receipt> {
        if self.live().deleted {
            receipt.refused(EngineError::GroupNotFound);
            return None;
        }
        if self.live().draining {
            receipt.refused(EngineError::Draining);
            return None;
        }
        Some(receipt)
    }

    fn cannot_look(&self, error: StoreError, receipt: Receipt) {
        tracing::error!(group = self.slot.record.uid.0, %error, "the store can't be asked about a message");
        receipt.refused(error.into());
    }

    /// Has the rules decide, carries out what they say and answers who asked.
    pub(super) async fn decide(
        &mut self,
        command: Command,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.shared.clock.now();
        let of = match &command {
            Command::Change { kind, .. } => kind.of(),
            _ => None,
        };
        let effects = match self.live().group.handle(command, now) {
            Ok(effects) => effects,
            Err(denied) => {
                receipt.denied(denied);
                return Ok(());
            }
        };
        let mut receipt = Some(receipt);
        for effect in effects {
            match effect {
                Effect::Append(event) => self.append(event, receipt.take()).await?,
                Effect::Duplicate(said) => self.answer_later(Before::Said(said), receipt.take())?,
                Effect::Unchanged => {
                    self.answer_later(Before::Unchanged(of.unwrap_or(Seq(0))), receipt.take())?;
                }
                effect => self.carry_out(effect)?,
            }
        }
        Ok(())
    }

    /// What it goes by may be under way to the disk itself: the answer waits until everything that was decided is there.
    fn answer_later(&mut self, before: Before, receipt: Option<Receipt>) -> Result<(), ActorProcessingErr> {
        let Some(receipt) = receipt else { return Ok(()) };
        let upto = self.live().group.head().seq;
        Ok(self.live().delivery.order(Order::Answer { before, upto, receipt })?)
    }

    async fn append(&mut self, event: Event, receipt: Option<Receipt>) -> Result<(), ActorProcessingErr> {
        // Else nobody would ever look what of the log under way is stored, in a group where nobody asks for anything that takes it.
        self.settle();
        let appending = self.shared.history.append(self.slot.record.uid, event.clone()).await;
        Ok(self.live().delivery.order(Order::Event { event, appending, receipt })?)
    }

    pub(super) fn moderate(
        &mut self,
        speaker: &Speaker,
        op: ModerationOp,
        user: &UserId,
        until_ms: Option<u64>,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let Some(receipt) = self.open_for(receipt) else { return Ok(()) };
        let now = self.shared.clock.now();
        if until_ms.is_some_and(|until| until <= now.unix_ms) {
            receipt.denied(Denied::Past);
            return Ok(());
        }
        match self.live().group.may_moderate(speaker, op, user, now) {
            Err(denied) => receipt.denied(denied),
            Ok((by, target)) => {
                let moderation = Moderation { op, user: Some(target.life()), until_ms };
                let moderating = Moderating { by, moderation, user: target.life() };
                self.live().delivery.order(Order::Moderate(Box::new(moderating), receipt))?;
            }
        }
        Ok(())
    }

    pub(super) fn mark(
        &mut self,
        session: SessionId,
        marker: Marker,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.shared.clock.now();
        match self.live().group.handle(Command::Mark { session, marker }, now) {
            Err(denied) => receipt.denied(denied),
            Ok(effects) => {
                // It is answered with all that is gathered, once that is stored.
                self.live().marking.push(receipt);
                self.carry_out_all(effects)?;
            }
        }
        Ok(())
    }

    /// Whoever asked for a marker when none is gathered any more: what it says was stored before.
    pub(super) fn answer_marks(&mut self) {
        let live = self.live();
        if !live.group.gathers_markers() {
            live.marking.drain(..).for_each(Receipt::done);
        }
    }

    pub(super) fn set_typing(
        &mut self,
        session: SessionId,
        on: bool,
        receipt: Receipt,
    ) -> Result<(), ActorProcessingErr> {
        let now = self.shared.clock.now();
        match self.live().group.handle(Command::Type { session, on }, now) {
            Err(denied) => receipt.denied(denied),
            Ok(effects) => {
                self.carry_out_all(effects)?;
                receipt.done();
            }
        }
        Ok(())
    }
}

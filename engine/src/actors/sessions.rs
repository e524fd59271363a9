//! The supervisor of sessions. It never starts one again, since the client does that; it counts them and closes
//! them all when the engine drains.

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;

use super::session::SessionMessage;
use crate::protocol::code::CloseCode;

/// What the supervisor is told.
#[derive(Debug)]
pub(crate) enum SessionsMessage {
    /// Closes every session, and answers when the last has ended.
    CloseAll(CloseCode, oneshot::Sender<()>),
}

pub(crate) struct SessionsActor;

#[derive(Default)]
pub(crate) struct SessionsState {
    waiting_for_none: Vec<oneshot::Sender<()>>,
}

impl SessionsState {
    fn answer_if_none(&mut self, myself: &ActorRef<SessionsMessage>) {
        if !self.waiting_for_none.is_empty() && myself.get_children().is_empty() {
            for waiting in self.waiting_for_none.drain(..) {
                // Who drained may have given up waiting.
                let _ = waiting.send(());
            }
        }
    }
}

impl Actor for SessionsActor {
    type Msg = SessionsMessage;
    type State = SessionsState;
    type Arguments = ();

    async fn pre_start(
        &self,
        _myself: ActorRef<Self::Msg>,
        (): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        Ok(SessionsState::default())
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        SessionsMessage::CloseAll(code, done): Self::Msg,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        for session in myself.get_children() {
            // One that ends at this moment needs no closing.
            let _ = session.send_message(SessionMessage::Close(code));
        }
        state.waiting_for_none.push(done);
        state.answer_if_none(&myself);
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let SupervisionEvent::ActorFailed(_, error) = &event {
            tracing::error!(%error, "a session crashed; its client connects again");
        }
        state.answer_if_none(&myself);
        Ok(())
    }
}

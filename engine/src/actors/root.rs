//! The root of the tree: starts shards and the session supervisor, and starts one again that died.

use std::sync::Arc;

use parking_lot::RwLock;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::Shared;
use super::sessions::{SessionsActor, SessionsMessage};
use super::shard::{self, ShardActor, ShardMessage};

/// Where sessions are spawned under. It changes only when that actor died.
pub(crate) type SessionsRef = Arc<RwLock<Option<ActorRef<SessionsMessage>>>>;

pub(crate) struct RootActor;

pub(crate) struct RootState {
    shared: Arc<Shared>,
    sessions: SessionsRef,
    shards: Vec<ActorRef<ShardMessage>>,
    sessions_id: ActorId,
}

impl Actor for RootActor {
    type Msg = ();
    type State = RootState;
    type Arguments = (Arc<Shared>, SessionsRef);

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        (shared, sessions): Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut shards = Vec::new();
        for _ in 0..shared.limits.shards {
            shards.push(start_shard(&shared, &myself).await?);
        }
        shared.groups.set_shards(shards.clone());
        let sessions_id = start_sessions(&sessions, &myself).await?;
        Ok(RootState { shared, sessions, shards, sessions_id })
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<Self::Msg>,
        event: SupervisionEvent,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        let dead = match event {
            SupervisionEvent::ActorFailed(actor, error) => {
                tracing::error!(%error, "a supervisor crashed");
                actor.get_id()
            }
            SupervisionEvent::ActorTerminated(actor, _, _) => actor.get_id(),
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => return Ok(()),
        };
        if dead == state.sessions_id {
            state.sessions_id = start_sessions(&state.sessions, &myself).await?;
        }
        if let Some(index) = state.shards.iter().position(|shard| shard.get_id() == dead) {
            let shard = start_shard(&state.shared, &myself).await?;
            state.shards[index] = shard.clone();
            state.shared.groups.set_shards(state.shards.clone());
            shard::adopt(&state.shared.groups, &shard, index, state.shards.len());
        }
        Ok(())
    }
}

async fn start_shard(
    shared: &Arc<Shared>,
    root: &ActorRef<()>,
) -> Result<ActorRef<ShardMessage>, ActorProcessingErr> {
    let (shard, _) = Actor::spawn_linked(None, ShardActor, Arc::clone(shared), root.get_cell()).await?;
    Ok(shard)
}

async fn start_sessions(sessions: &SessionsRef, root: &ActorRef<()>) -> Result<ActorId, ActorProcessingErr> {
    let (actor, _) = Actor::spawn_linked(None, SessionsActor, (), root.get_cell()).await?;
    let id = actor.get_id();
    *sessions.write() = Some(actor);
    Ok(id)
}

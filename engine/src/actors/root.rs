//! The root of the tree: starts the shards, and starts one again that died.

use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::Shared;
use super::shard::{self, ShardActor, ShardMessage};

pub(crate) struct RootActor;

pub(crate) struct RootState {
    shared: Arc<Shared>,
    shards: Vec<ActorRef<ShardMessage>>,
}

impl Actor for RootActor {
    type Msg = ();
    type State = RootState;
    type Arguments = Arc<Shared>;

    async fn pre_start(
        &self,
        myself: ActorRef<Self::Msg>,
        shared: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        let mut shards = Vec::new();
        for _ in 0..shared.limits.shards {
            shards.push(start_shard(&shared, &myself).await?);
        }
        shared.groups.set_shards(shards.clone());
        Ok(RootState { shared, shards })
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

//! What the page at `/` needs to be tried at once: a demo tenant with three users who have talked already.
//!
//! It is mounted only when the operator wants it ([`crate::AppOptions::playground`]). Everything after the making goes
//! over the ordinary REST API and WebSockets, with the credentials that it answers.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::post;
use axum::{Extension, Json, Router};
use engine::domain::attendance::Role;
use engine::domain::ids::{GroupId, MessageId, ServiceId, UserId};
use engine::domain::message::Draft as Text;
use engine::domain::profile::{Name, Profile};
use engine::domain::rate::{Bucket, Rate};
use engine::engine::{Draft, NewMessage};
use engine::protocol::code::ErrorCode;
use http::{StatusCode, header};
use serde::Serialize;

use crate::App;
use crate::body::Fields;
use crate::error::ApiError;

/// Demo tenants that one process makes. Nobody removes them, so a page that is opened in a loop must end somewhere.
const TENANTS_MAX: usize = 1_000;
/// How fast it makes them.
const RATE: Rate = Rate { per_s: 1, burst: 30 };

/// Ids and names.
const USERS: [(&str, &str); 3] = [("alice", "Alice"), ("bob", "Bob"), ("carol", "Carol")];

/// What is said in the lobby: by whom, and whether it replies to the line before.
const LOBBY: [(&str, &str, bool); 6] = [
    ("carol", "Is anyone under the banyan tree tonight?", false),
    ("bob", "I am. Red hair and all.", true),
    ("alice", "Same here. Who else has heard the story about the fishing boats?", false),
    (
        "carol",
        "The one where a kijimuna helps you fish, as long as you never mention octopus?\nThat one is true.",
        true,
    ),
    ("bob", "🐙", false),
    ("alice", "Bob!", true),
];

/// So many messages that they take pages, and each shows its place, so that a hole would be seen.
const COUNTED_TO: u32 = 180;

/// What Bob and Alice say to each other.
const DIRECT: [(&str, &str); 2] =
    [("bob", "Sorry about the octopus."), ("alice", "The boat is still afloat. Forgiven.")];

/// How many were made, and how fast.
#[derive(Debug)]
struct Made {
    tenants: usize,
    bucket: Bucket,
}

/// A tenant to play with.
#[derive(Debug, Serialize)]
struct Tenant {
    client: String,
    secret: String,
    users: Vec<User>,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct User {
    id: &'static str,
    name: &'static str,
}

/// A group as the page lists it: what users' own connections are told of has ids alone.
#[derive(Debug, Serialize)]
struct Group {
    id: String,
    name: &'static str,
    direct: bool,
    attendees: Vec<&'static str>,
}

pub(crate) fn routes() -> Router<App> {
    let made = Made { tenants: 0, bucket: Bucket::full(RATE, 0) };
    Router::new().route("/playground/tenant", post(make)).layer(Extension(Arc::new(Mutex::new(made))))
}

/// Makes a tenant. It must be asked for as JSON, which a page of another origin can't do without being asked first.
async fn make(
    State(app): State<App>,
    Extension(made): Extension<Arc<Mutex<Made>>>,
    _: Fields,
) -> Result<(StatusCode, [(header::HeaderName, &'static str); 1], Json<Tenant>), ApiError> {
    // A panic can't happen between the two changes of it that would leave it wrong.
    made.lock().unwrap_or_else(PoisonError::into_inner).count(app.unix_ms())?;
    let credentials = app.engine.create_service().await?;
    tracing::info!(service = %credentials.client, "a demo tenant was made");
    let demo = Demo { app: &app, service: credentials.client };
    let groups = demo.fill().await?;
    let tenant = Tenant {
        client: demo.service.as_str().to_owned(),
        secret: credentials.secret.reveal().to_owned(),
        users: USERS.map(|(id, name)| User { id, name }).into(),
        groups,
    };
    Ok((StatusCode::CREATED, [(header::CACHE_CONTROL, "no-store")], Json(tenant)))
}

impl Made {
    fn count(&mut self, now_ms: u64) -> Result<(), ApiError> {
        if self.tenants >= TENANTS_MAX {
            let text = format!(
                "this process has made {TENANTS_MAX} demo tenants and makes no more: make a service with POST /api/services"
            );
            return Err(ApiError::new(ErrorCode::FORBIDDEN, text));
        }
        self.bucket.take(RATE, now_ms).map_err(ApiError::too_fast)?;
        self.tenants += 1;
        Ok(())
    }
}

/// A tenant that is being filled.
struct Demo<'a> {
    app: &'a App,
    service: ServiceId,
}

impl Demo<'_> {
    async fn fill(&self) -> Result<Vec<Group>, ApiError> {
        for (id, name) in USERS {
            let draft = Draft { id: Some(user(id)), profile: profile(name) };
            self.app.engine.create_user(&self.service, draft).await?;
        }
        let (counting, direct, lobby) = (self.counting().await?, self.direct().await?, self.lobby().await?);
        Ok(vec![lobby, counting, direct])
    }

    async fn lobby(&self) -> Result<Group, ApiError> {
        let id = self.group("lobby", "The lobby").await?;
        self.app.engine.set_role(&self.service, &id, &user("alice"), Role::Moderator).await?;
        let mut before = None;
        for (who, text, is_reply) in LOBBY {
            let reply_to = before.filter(|_| is_reply);
            before = Some(self.say(&id, who, text, reply_to).await?);
        }
        Ok(of_everyone(&id, "The lobby"))
    }

    async fn counting(&self) -> Result<Group, ApiError> {
        let name = "Counting";
        let id = self.group("counting", name).await?;
        for (number, who) in (1..=COUNTED_TO).zip(["alice", "bob"].into_iter().cycle()) {
            self.say(&id, who, &number.to_string(), None).await?;
        }
        Ok(of_everyone(&id, name))
    }

    async fn direct(&self) -> Result<Group, ApiError> {
        let pair = [user("alice"), user("bob")];
        let (detail, _) = self.app.engine.direct(&self.service, pair).await?;
        for (who, text) in DIRECT {
            self.say(&detail.group.id, who, text, None).await?;
        }
        let id = detail.group.id.as_str().to_owned();
        Ok(Group { id, name: "Alice and Bob", direct: true, attendees: vec!["alice", "bob"] })
    }

    /// Makes a group that everyone attends.
    async fn group(&self, id: &str, name: &str) -> Result<GroupId, ApiError> {
        let id = GroupId::parse(id).expect("a valid id");
        let draft = Draft { id: Some(id.clone()), profile: profile(name) };
        self.app.engine.create_group(&self.service, draft, None).await?;
        for (attendee, _) in USERS {
            self.app.engine.add_attendee(&self.service, &id, user(attendee)).await?;
        }
        Ok(id)
    }

    async fn say(
        &self,
        group: &GroupId,
        who: &str,
        text: &str,
        reply_to: Option<MessageId>,
    ) -> Result<MessageId, ApiError> {
        let text = Text::parse(text, text.len()).expect("some text");
        let new = NewMessage { author: Some(user(who)), text, client_id: None, reply_to, custom: None };
        Ok(self.app.engine.post_message(&self.service, group, new).await?.id)
    }
}

fn of_everyone(id: &GroupId, name: &'static str) -> Group {
    let attendees = USERS.map(|(id, _)| id).into();
    Group { id: id.as_str().to_owned(), name, direct: false, attendees }
}

fn user(id: &str) -> UserId {
    UserId::parse(id).expect("a valid id")
}

fn profile(name: &str) -> Profile {
    Profile::named(Name::parse(name).expect("a valid name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_makes_so_many_and_no_faster() {
        let mut made = Made { tenants: 0, bucket: Bucket::full(RATE, 0) };
        for _ in 0..RATE.burst {
            made.count(0).expect("within the burst");
        }
        assert!(made.count(0).is_err(), "too fast");
        made.count(1_000).expect("a second later");
        made.tenants = TENANTS_MAX;
        assert!(made.count(1_000_000).is_err(), "too many");
    }
}

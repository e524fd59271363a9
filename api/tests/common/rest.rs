//! REST, row by row: the protocol's table, and the shape that every refusal has.

use engine::testkit::{Answer, PATIENCE, World, answered, encoded};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

/// Words that would tell what the server is made of.
const INNER_WORDS: [&str; 14] = [
    "panick", "src/", ".rs", "serde", "fjall", "axum", "hyper", "tokio", "stderror", "err(", "none", "some(",
    "::", "/tmp",
];

/// A user whom a direct group has beside the one that is asked about.
pub const PEER: &str = "peer";
/// The id of no message.
pub const NO_MESSAGE: &str = "00000000000000000000000000000001";

/// A row of the table. `{id}`, `{user}` and `{message}` stand for ids.
#[derive(Debug, Clone)]
pub struct Row {
    pub method: Method,
    pub pattern: &'static str,
}

/// The whole table.
pub fn rows() -> Vec<Row> {
    [
        (Method::POST, "/api/services"),
        (Method::GET, "/api/groups"),
        (Method::POST, "/api/groups"),
        (Method::GET, "/api/groups/{id}"),
        (Method::PATCH, "/api/groups/{id}"),
        (Method::DELETE, "/api/groups/{id}"),
        (Method::POST, "/api/groups/{id}/attendees"),
        (Method::PATCH, "/api/groups/{id}/attendees/{user}"),
        (Method::DELETE, "/api/groups/{id}/attendees/{user}"),
        (Method::POST, "/api/groups/{id}/moderation"),
        (Method::GET, "/api/groups/{id}/presence"),
        (Method::GET, "/api/groups/{id}/messages"),
        (Method::POST, "/api/groups/{id}/messages"),
        (Method::PATCH, "/api/groups/{id}/messages/{message}"),
        (Method::DELETE, "/api/groups/{id}/messages/{message}"),
        (Method::GET, "/api/groups/{id}/export"),
        (Method::POST, "/api/directs"),
        (Method::GET, "/api/users"),
        (Method::POST, "/api/users"),
        (Method::GET, "/api/users/{id}"),
        (Method::PATCH, "/api/users/{id}"),
        (Method::DELETE, "/api/users/{id}"),
        (Method::POST, "/api/users/{id}/disconnect"),
        (Method::POST, "/api/token"),
    ]
    .map(|(method, pattern)| Row { method, pattern })
    .into()
}

/// The rows that only a tenant may use.
pub fn tenant_rows() -> Vec<Row> {
    rows().into_iter().filter(|row| row.pattern != "/api/services").collect()
}

impl Row {
    /// Whether the row asks about a group that must exist.
    pub fn finds_group(&self) -> bool {
        self.pattern.starts_with("/api/groups/{id}") || self.pattern == "/api/token"
    }

    /// Whether the row asks about a user that must exist.
    pub fn finds_user(&self) -> bool {
        self.pattern.starts_with("/api/users/{id}")
            || self.pattern.contains("/attendees")
            || self.pattern == "/api/directs"
            || self.acts_as_attendee()
    }

    /// Whether the row asks about a user that must attend the group.
    fn acts_as_attendee(&self) -> bool {
        match (self.method.as_str(), self.pattern) {
            ("POST", "/api/token" | "/api/groups/{id}/moderation" | "/api/groups/{id}/messages") => true,
            ("PATCH", pattern) => pattern.contains("/attendees"),
            _ => false,
        }
    }

    /// The word with which the row answers when its user, or its group, isn't there.
    pub fn word_of_missing(&self, has_group: bool) -> &'static str {
        match has_group {
            false if self.finds_group() => "group_not_found",
            true if self.acts_as_attendee() => "not_attending",
            _ => "user_not_found",
        }
    }

    /// Whether the row changes or gives something, so that it isn't served while the server stops.
    pub fn changes(&self) -> bool {
        self.method != Method::GET
    }

    /// The row's path with ids in it.
    pub fn path(&self, group: &str, user: &str) -> String {
        let id = if self.pattern.starts_with("/api/users") { user } else { group };
        let pattern = self.pattern.replace("{message}", NO_MESSAGE);
        pattern.replace("{id}", &encoded(id)).replace("{user}", &encoded(user))
    }

    /// A body that the row takes, or nothing where it takes none.
    pub fn body(&self, group: &str, user: &str) -> Option<Value> {
        match (self.method.as_str(), self.pattern) {
            ("POST", "/api/groups") => Some(json!({"id": group})),
            ("POST", "/api/users") => Some(json!({"id": user})),
            ("POST", "/api/groups/{id}/attendees") => Some(json!({"user": user})),
            ("PATCH", "/api/groups/{id}/attendees/{user}") => Some(json!({"role": "moderator"})),
            ("POST", "/api/groups/{id}/moderation") => Some(json!({"op": "mute", "user": user})),
            ("POST", "/api/groups/{id}/messages") => Some(json!({"text": "hello", "user": user})),
            ("PATCH", "/api/groups/{id}/messages/{message}") => Some(json!({"text": "hello again"})),
            ("POST", "/api/directs") => Some(json!({"users": [user, PEER]})),
            ("POST", "/api/token") => Some(json!({"group": group, "user": user})),
            ("PATCH", _) => Some(json!({"name": "another name"})),
            _ => None,
        }
    }

    /// A tenant's request of this row, without a body.
    pub fn bare(&self, world: &World, group: &str, user: &str) -> RequestBuilder {
        world.request(self.method.clone(), &self.path(group, user))
    }

    /// A tenant asks for this row as it should.
    pub async fn asked(&self, world: &World, group: &str, user: &str) -> Answer {
        let request = self.bare(world, group, user);
        answered(match self.body(group, user) {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }
}

/// Somebody without credentials, at a server itself and not at a proxy of the machine.
pub fn anyone() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().expect("a client")
}

/// What a test expects of a request that fails.
pub trait Refusal {
    /// Fails the test unless this is an error as every error is: a status and a word that belong together, two
    /// fields, declared as JSON, and nothing of the server's inside. Answers what is said to a person.
    fn refuses_with(&self, status: u16, code: &str) -> String;

    /// Fails the test unless a field broke a rule and is named.
    fn refuses_field(&self, field: &str) -> String {
        let text = self.refuses_with(422, "invalid_field");
        assert!(text.starts_with(&format!("{field} ")), "{field} isn't named: {text}");
        text
    }
}

impl Refusal for Answer {
    fn refuses_with(&self, status: u16, code: &str) -> String {
        self.expect_error(status, code);
        assert_eq!(self.headers["content-type"], "application/json");
        assert_eq!(keys(&self.json()), ["code", "error"]);
        let text = self.json()["error"].as_str().expect("a text").to_owned();
        let lower = text.to_lowercase();
        let told = INNER_WORDS.iter().find(|word| lower.contains(**word));
        assert_eq!(told, None, "an inner detail in {text:?}");
        text
    }
}

/// The names of an object's fields, sorted.
pub fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

/// The ids in a list of groups or users, in its order.
pub fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().map(|item| item["id"].as_str().expect("an id")).collect()
}

/// The fields of an attendee who is shown by its id alone.
pub fn member(id: &str) -> Value {
    json!({"id": id, "name": id, "role": "member"})
}

/// Groups and users are made, listed, shown and changed by the same rules.
pub const KINDS: [&str; 2] = ["/api/groups", "/api/users"];

/// The word for an id that is taken.
pub fn exists(kind: &str) -> &'static str {
    if kind == KINDS[0] { "group_exists" } else { "user_exists" }
}

/// The word for an id of nothing.
pub fn not_found(kind: &str) -> &'static str {
    if kind == KINDS[0] { "group_not_found" } else { "user_not_found" }
}

/// A group or user as its own answer shows it, without the list that goes with it.
pub async fn shown(world: &World, kind: &str, id: &str) -> Value {
    let mut shown = world.get(&format!("{kind}/{}", encoded(id))).await.expect_success();
    let fields = shown.as_object_mut().expect("an object");
    fields.retain(|name, _| name != "attendees" && name != "groups");
    shown
}

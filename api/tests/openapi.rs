//! `/openapi.json` describes the server that serves it: its rows and nothing else, and every answer they give.
#![allow(missing_docs)]

mod common;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use common::rest::{PEER, Row, anyone, rows};
use common::{Server, limits};
use engine::testkit::{Answer, World, answered, within};
use kijimuna_api::AppOptions;
use serde_json::{Map, Value, json};

/// The document, and what it says of an operation.
struct Document(Value);

impl Document {
    async fn of(server: &Server) -> Self {
        let answer = answered(anyone().get(format!("{}/openapi.json", server.base))).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        Self(answer.expect_success())
    }

    fn operations(&self) -> BTreeMap<(String, String), &Value> {
        let mut operations = BTreeMap::new();
        for (path, methods) in self.0["paths"].as_object().expect("paths") {
            for (method, operation) in methods.as_object().expect("methods") {
                operations.insert((method.to_uppercase(), path.clone()), operation);
            }
        }
        operations
    }

    /// The schema of an answer, in whichever kind it comes.
    fn schema<'a>(&'a self, response: &'a Value) -> &'a Value {
        let kinds = response["content"].as_object().expect("kinds");
        assert_eq!(kinds.len(), 1, "{kinds:?}");
        self.resolved(&kinds.values().next().expect("one")["schema"])
    }

    fn operation(&self, row: &Row) -> &Value {
        &self.0["paths"][row.pattern][row.method.as_str().to_lowercase()]
    }

    /// What a reference stands for.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let Some(reference) = schema["$ref"].as_str() else { return schema };
        let pointer = reference.strip_prefix('#').expect("a reference within the document");
        self.resolved(self.0.pointer(pointer).unwrap_or_else(|| panic!("nothing at {reference}")))
    }

    /// The fields of an object's schema and those that it must have, its parts' included.
    fn fields<'a>(&'a self, schema: &'a Value) -> (BTreeMap<&'a str, &'a Value>, BTreeSet<&'a str>) {
        let schema = self.resolved(schema);
        let own = schema["properties"].as_object().into_iter().flatten();
        let mut properties: BTreeMap<_, _> = own.map(|(name, schema)| (name.as_str(), schema)).collect();
        let mut required: BTreeSet<_> = list(&schema["required"]).filter_map(Value::as_str).collect();
        for part in list(&schema["allOf"]) {
            let (more, needed) = self.fields(part);
            properties.extend(more);
            required.extend(needed);
        }
        (properties, required)
    }

    /// Fails the test unless a value is as its schema says, without a field that the schema doesn't have.
    fn describes(&self, schema: &Value, value: &Value, place: &str) {
        let schema = self.chosen(self.resolved(schema), value);
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(kind) => vec![kind],
            kinds => list(kinds).filter_map(Value::as_str).collect(),
        };
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        assert!(kinds.is_empty() || kinds.contains(&kind), "{place}: {value} isn't {kinds:?}");
        for item in list(value) {
            self.describes(&schema["items"], item, place);
        }
        let parent = schema;
        let is_shaped = kinds.contains(&"object") || schema["allOf"].is_array();
        if let (true, Value::Object(given)) = (is_shaped, value) {
            let (properties, required) = self.fields(schema);
            for name in required {
                assert!(given.contains_key(name), "{place}: {value} has no {name}");
            }
            for (name, value) in given {
                let schema = properties.get(name.as_str()).copied();
                let schema = schema.or_else(|| schema_of_any_name(self.resolved(parent)));
                let schema = schema.unwrap_or_else(|| panic!("{place}: {name} isn't documented"));
                self.describes(schema, value, &format!("{place}.{name}"));
            }
        }
    }

    /// Of a schema with several shapes the one that a value has.
    fn chosen<'a>(&'a self, schema: &'a Value, value: &Value) -> &'a Value {
        if !schema["oneOf"].is_array() {
            return schema;
        }
        let fits = |shape: &&Value| {
            let (properties, required) = self.fields(shape);
            value.as_object().is_some_and(|given| {
                given.keys().all(|name| properties.contains_key(name.as_str()))
                    && required.iter().all(|name| given.contains_key(*name))
            })
        };
        let shape = list(&schema["oneOf"]).filter(|shape| self.resolved(shape)["type"] != "null").find(fits);
        self.resolved(shape.unwrap_or_else(|| panic!("{value} has no shape of {schema}")))
    }

    /// Fails the test unless an operation's answer is one that it may give.
    fn declares(&self, row: &Row, answer: &Answer) {
        let place = format!("{} {} answers {}", row.method, row.pattern, answer.status);
        let response = &self.operation(row)["responses"][answer.status.to_string()];
        assert!(response.is_object(), "{place}, which isn't documented: {}", answer.text);
        let kind = answer.headers["content-type"].to_str().expect("a text");
        let schema = &response["content"][kind]["schema"];
        assert!(schema.is_object(), "{place} in {kind}, which isn't documented");
        if kind == "application/x-ndjson" {
            for line in answer.text.lines() {
                self.describes(schema, &serde_json::from_str(line).expect("JSON"), &place);
            }
        } else {
            self.describes(schema, &answer.json(), &place);
        }
    }
}

/// The schema of fields whatever their names are.
fn schema_of_any_name(schema: &Value) -> Option<&Value> {
    schema.get("additionalProperties").filter(|schema| schema.is_object())
}

/// The items of a list, if it is one.
fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Every object of the document, the document itself included.
fn objects(value: &Value) -> Vec<&Map<String, Value>> {
    let mut found: Vec<_> = value.as_object().into_iter().collect();
    for inner in list(value).chain(value.as_object().into_iter().flat_map(Map::values)) {
        found.extend(objects(inner));
    }
    found
}

#[tokio::test]
async fn the_document_has_every_row_and_nothing_else() {
    let document = Document::of(&Server::start().await).await;
    let documented: BTreeSet<_> = document.operations().into_keys().collect();
    let served: BTreeSet<_> =
        rows().into_iter().map(|row| (row.method.to_string(), row.pattern.to_owned())).collect();
    assert_eq!(documented, served);
}

#[tokio::test]
async fn the_document_is_whole() {
    let document = Document::of(&Server::start().await).await;
    let root = &document.0;
    assert!(root["openapi"].as_str().is_some_and(|version| version.starts_with("3.")));
    assert!(root["info"]["title"].is_string() && root["info"]["version"].is_string());
    let mut references = objects(root).into_iter().filter(|object| object.contains_key("$ref"));
    assert!(references.all(|object| document.resolved(&json!(object)).is_object()));

    let schemes = root["components"]["securitySchemes"].as_object().expect("schemes");
    let mut names = BTreeSet::new();
    for ((method, path), operation) in document.operations() {
        let place = format!("{method} {path}");
        assert!(names.insert(operation["operationId"].as_str().expect("an id")), "{place} has another's id");
        assert!(operation["summary"].is_string(), "{place} isn't described");
        let in_path: BTreeSet<&str> = list(&operation["parameters"])
            .filter(|parameter| parameter["in"] == "path" && parameter["required"] == true)
            .filter_map(|parameter| parameter["name"].as_str())
            .collect();
        let in_pattern: BTreeSet<&str> =
            path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
        assert_eq!(in_path, in_pattern, "{place}");
        let needs = operation.get("security").unwrap_or(&root["security"]);
        assert!(needs.as_array().is_some_and(|needs| !needs.is_empty()), "{place} needs nobody");
        for need in list(needs) {
            assert!(
                need.as_object().expect("an object").keys().all(|name| schemes.contains_key(name)),
                "{place}"
            );
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            assert!(
                response["description"].as_str().is_some_and(|text| !text.is_empty()),
                "{place} {status}"
            );
            let schema = document.schema(response);
            let (fields, required) = document.fields(schema);
            if status.starts_with('2') {
                let is_object = schema["type"] == "object";
                let has_parts = schema["allOf"].is_array() || schema["oneOf"].is_array();
                assert!(is_object || has_parts, "{place} {status}: {schema}");
            } else {
                let both = ["code", "error"];
                assert!(fields.into_keys().eq(both) && required.into_iter().eq(both), "{place} {status}");
            }
        }
    }
}

#[tokio::test]
async fn the_listings_parameters_say_what_they_may_be() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    let world = server.world().await;
    for row in rows().into_iter().filter(|row| row.method == "GET" && !row.pattern.contains('{')) {
        let parameters: Vec<&Value> = list(&document.operation(&row)["parameters"]).collect();
        let names: Vec<&Value> = parameters.iter().map(|parameter| &parameter["name"]).collect();
        assert_eq!(names, ["offset", "limit"]);
        for parameter in parameters {
            assert_eq!((&parameter["in"], &parameter["required"]), (&json!("query"), &json!(false)));
            let name = parameter["name"].as_str().unwrap();
            let schema = &parameter["schema"];
            for bound in ["minimum", "maximum"].into_iter().filter_map(|bound| schema[bound].as_i64()) {
                assert_eq!(world.get(&format!("{}?{name}={bound}", row.pattern)).await.status, 200);
            }
            let below = schema["minimum"].as_i64().unwrap() - 1;
            assert_eq!(world.get(&format!("{}?{name}={below}", row.pattern)).await.status, 422);
            if let Some(most) = schema["maximum"].as_i64() {
                assert_eq!(world.get(&format!("{}?{name}={}", row.pattern, most + 1)).await.status, 422);
            }
        }
    }
}

/// Walks a tenant through its rows, each of which succeeds for the id `whole`, and then through all that can be
/// wrong with a request. Answers what came.
async fn walk(world: &World) -> Vec<(Row, Answer)> {
    let mut came = Vec::new();
    for kind in ["/api/groups", "/api/users"] {
        let whole = json!({"id": "whole", "name": "N", "icon": "https://a", "custom": {"any": [1, null]}});
        world.post(kind, whole).await.expect_success();
    }
    world.post("/api/groups/whole/attendees", json!({"user": "whole"})).await.expect_success();
    world.person(PEER).await;
    came.extend(walk_through_messages(world).await);
    // What deletes comes last, and the deepest first.
    let mut in_order = rows();
    in_order.sort_by_key(|row| (row.method == "DELETE", Reverse(row.pattern.len())));
    for row in in_order {
        for id in ["nowhere", "whole"] {
            came.push((row.clone(), row.asked(world, id, id).await));
        }
    }
    for row in rows() {
        let path = row.pattern.replace("{id}", "%FF").replace("{user}", "%FF");
        let request =
            |path: &str| world.request(row.method.clone(), path).header("content-type", "application/json");
        let stranger = anyone().request(row.method.clone(), format!("{}{path}", world.base()));
        for asked in [
            stranger,
            request(&path).body("{"),
            request(&path).body("x".repeat(65_537)),
            request(&format!("{path}?limit=x")).body("{}"),
            row.bare(world, "lobby", "alice"),
            row.bare(world, "lobby", "alice").json(&json!([])),
            row.bare(world, "lobby", "alice").json(&json!({"name": 5, "user": 5, "group": 5})),
            row.bare(world, "lobby", "alice")
                .header("content-type", "application/json")
                .body("x".repeat(65_537)),
        ] {
            came.push((row.clone(), answered(asked).await));
        }
    }
    came
}

/// Asks what takes more than one request: for messages that are there, and as users who may and who may not.
async fn walk_through_messages(world: &World) -> Vec<(Row, Answer)> {
    let group = "/api/groups/whole";
    world.patch(group, json!({"retention": {"days": 1, "messages": 1_000}})).await.expect_success();
    world.post(&format!("{group}/attendees"), json!({"user": PEER})).await.expect_success();
    let said = json!({"text": "x", "user": "whole", "client_id": "c", "custom": [1]});
    let id = world.post(&format!("{group}/messages"), said.clone()).await.expect_success()["id"].clone();
    let message = format!("{group}/messages/{}", id.as_str().expect("an id"));
    let mut session = world.known("whole").connects("whole").await;
    let mut came = Vec::new();
    for (method, pattern, path, body) in [
        ("POST", "/api/groups/{id}/messages", format!("{group}/messages"), said),
        (
            "POST",
            "/api/groups/{id}/messages",
            format!("{group}/messages"),
            json!({"text": "y", "user": PEER, "reply_to": id}),
        ),
        (
            "PATCH",
            "/api/groups/{id}/messages/{message}",
            message.clone(),
            json!({"text": "z", "user": "whole"}),
        ),
        ("PATCH", "/api/groups/{id}/messages/{message}", message.clone(), json!({"text": "z", "user": PEER})),
        ("GET", "/api/groups/{id}/messages", format!("{group}/messages?limit=1"), json!({})),
        ("GET", "/api/groups/{id}/messages", format!("{group}/messages?limit=0"), json!({})),
        ("GET", "/api/groups/{id}/presence", format!("{group}/presence"), json!({})),
        ("GET", "/api/groups/{id}/presence", format!("{group}/presence?limit=0"), json!({})),
        ("DELETE", "/api/groups/{id}/messages/{message}", format!("{message}?user={PEER}"), json!({})),
        ("DELETE", "/api/groups/{id}/messages/{message}", format!("{message}?user=%00"), json!({})),
        ("DELETE", "/api/groups/{id}/messages/{message}", message.clone(), json!({})),
        ("PATCH", "/api/groups/{id}/messages/{message}", message, json!({"text": "z"})),
        (
            "POST",
            "/api/groups/{id}/moderation",
            format!("{group}/moderation"),
            json!({"op": "mute", "user": "whole", "by": PEER}),
        ),
        (
            "POST",
            "/api/groups/{id}/moderation",
            format!("{group}/moderation"),
            json!({"op": "ban", "user": PEER, "until": 9_000_000_000_000_u64}),
        ),
        ("GET", "/api/groups/{id}", group.to_owned(), json!({})),
        ("GET", "/api/groups/{id}/export", format!("{group}/export"), json!({})),
        ("POST", "/api/token", "/api/token".to_owned(), json!({"group": "whole", "user": PEER})),
        ("POST", "/api/directs", "/api/directs".to_owned(), json!({"users": [PEER, "whole"]})),
    ] {
        let row = Row { method: method.parse().expect("a method"), pattern };
        let request = world.request(row.method.clone(), &path).json(&body);
        came.push((row, answered(request).await));
    }
    session.hears("y").await;
    let direct = world.post("/api/directs", json!({"users": [PEER, "whole"]})).await.json();
    let path = format!("/api/groups/{}/attendees", direct["id"].as_str().expect("an id"));
    world.person("third").await;
    let third = world.post(&path, json!({"user": "third"})).await;
    came.push((
        Row { method: "POST".parse().expect("a method"), pattern: "/api/groups/{id}/attendees" },
        third,
    ));
    came
}

#[tokio::test]
async fn every_answer_of_a_walk_is_documented_and_every_documented_answer_comes() {
    let server = Server::start().await;
    let document = Document::of(&server).await;
    let mut came = walk(&server.world().await).await;
    came.extend(walk_too_fast().await);
    came.extend(walk_without_the_admin_key().await);
    let world = server.world().await;
    server.engine.drain().await;
    for row in rows() {
        let answer = row.asked(&world, "lobby", "alice").await;
        came.push((row, answer));
    }

    let mut statuses: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (row, answer) in &came {
        document.declares(row, answer);
        let of_row = statuses.entry((row.method.to_string(), row.pattern.to_owned())).or_default();
        of_row.insert(answer.status.to_string());
    }
    for (place, operation) in document.operations() {
        let mut documented: BTreeSet<String> =
            operation["responses"].as_object().unwrap().keys().cloned().collect();
        if place.0 == "GET" {
            // Reading goes on in a drain; that it ends with the store is tested with a store that fails.
            assert!(documented.remove("503"), "{place:?}");
        }
        assert_eq!(documented, statuses[&place], "{place:?}");
    }
}

/// Asks for each row faster than it may be, until that is said.
async fn walk_too_fast() -> Vec<(Row, Answer)> {
    let server = Server::with(limits(), AppOptions { rest_rate_per_s: 1, ..AppOptions::default() }).await;
    let world = server.world().await;
    let mut came = Vec::new();
    for row in rows() {
        let refused = within("a 429", async {
            loop {
                let answer = row.asked(&world, "lobby", "alice").await;
                if answer.status == 429 {
                    return answer;
                }
            }
        });
        came.push((row.clone(), refused.await));
    }
    came
}

/// Asks for a service where only the operator may.
async fn walk_without_the_admin_key() -> Vec<(Row, Answer)> {
    let options = AppOptions { admin_key: Some("the key".to_owned()), ..AppOptions::default() };
    let server = Server::with(limits(), options).await;
    let making = rows().remove(0);
    let request = anyone().post(format!("{}{}", server.base, making.pattern));
    vec![(making, answered(request).await)]
}

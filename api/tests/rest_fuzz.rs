//! Whatever is asked, the answer is one that the protocol has: never a 500, and every refusal has a word of the
//! table with the status that goes with it. A failure prints its input and the seed that finds it again.
#![allow(missing_docs)]

mod common;

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use axum::Router;
use axum::body::Body;
use common::Server;
use common::rest::{PEER, rows};
use engine::domain::profile::Custom;
use engine::protocol::code::ErrorCode;
use engine::testkit::{World, encoded};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::BodyExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngSeed, TestRunner};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// One server for all tests: what one input leaves behind must not spoil the next one's answer.
static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let (server, world) = runtime.block_on(async {
        let server = Server::start().await;
        let world = server.world().await;
        world.has_group("lobby").await;
        world.person("alice").await.attends("lobby").await;
        world.person(PEER).await;
        (server, world)
    });
    Shared { runtime, server, world }
});

struct Shared {
    runtime: Runtime,
    server: Server,
    world: World,
}

/// Checks a property on so many inputs. `PROPTEST_RNG_SEED` repeats a run.
fn holds<S: Strategy>(cases: u32, inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut config = Config { cases, failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(0));
    }
    let seed = config.rng_seed;
    if let Err(failure) = TestRunner::new(config).run(&inputs, property) {
        panic!("with PROPTEST_RNG_SEED={seed}: {failure}");
    }
}

/// A request with the shared tenant's credentials.
fn tenant_asks(method: Method, uri: Uri) -> Request<Body> {
    let (client, secret) = SHARED.world.credentials();
    let mut request = Request::new(Body::empty());
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    request.headers_mut().insert("client", client.parse().expect("a header"));
    request.headers_mut().insert("secret", secret.parse().expect("a header"));
    request
}

fn with_json(mut request: Request<Body>, body: impl Into<Body>) -> Request<Body> {
    request.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
    *request.body_mut() = body.into();
    request
}

/// The answer to a request, without a socket between.
fn answer(request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let router: Router = SHARED.server.router.clone();
    SHARED.runtime.block_on(async {
        let response = router.oneshot(request).await.expect("a router always answers");
        let (parts, body) = response.into_parts();
        (parts.status, body.collect().await.expect("a body").to_bytes().to_vec())
    })
}

/// Holds for every answer to any request.
fn is_of_the_protocol(status: StatusCode, body: &[u8]) -> Result<(), TestCaseError> {
    let text = String::from_utf8_lossy(body);
    prop_assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{}", text);
    if status.is_success() {
        return Ok(());
    }
    let refusal: Value = match serde_json::from_slice(body) {
        Ok(refusal) => refusal,
        Err(error) => return Err(TestCaseError::fail(format!("{status} isn't JSON ({error}): {text}"))),
    };
    let said = refusal["error"].as_str().is_some_and(|error| !error.is_empty());
    prop_assert!(said && refusal.as_object().is_some_and(|fields| fields.len() == 2), "{}", text);
    let code = ErrorCode::ALL.iter().find(|code| refusal["code"] == code.word);
    prop_assert_eq!(code.map(|code| code.status), Some(status.as_u16()), "{}", text);
    Ok(())
}

fn never_surprises(request: Request<Body>) -> Result<(), TestCaseError> {
    let (status, body) = answer(request);
    is_of_the_protocol(status, &body)
}

/// The rows that take a body, at ids that exist.
fn places_for_bodies() -> impl Strategy<Value = (Method, Uri)> {
    let taking: Vec<_> = rows().into_iter().filter(|row| row.body("lobby", "alice").is_some()).collect();
    select(taking).prop_map(|row| (row.method.clone(), row.path("lobby", "alice").parse().expect("a path")))
}

/// Texts of JSON values, with everything that the grammar allows and some that it doesn't.
fn json_texts() -> impl Strategy<Value = String> {
    let odd = r#"-0 1E+2 0.1e-400 123456789012345678901234567890 "\ud83c\udfe0" "\u0000" "https://a" "https://" "lobby" "alice" "mute" "unban" "member" ["alice","peer"] {"days":1} {"days":0,"messages":7} "00000000000000000000000000000001" """#;
    let broken = r#"1e999 01 NaN - "\ud800" "\udc00\ud800" "\x" " { ] nul ,"#;
    let any_of = |texts: &'static str| select(texts.split(' ').collect::<Vec<_>>()).prop_map(str::to_owned);
    let leaf = prop_oneof![
        16 => any::<String>().prop_map(|text| Value::from(text).to_string()),
        4 => any::<f64>().prop_map(|number| json!(number).to_string()),
        4 => any::<i64>().prop_map(|number| number.to_string()),
        4 => any_of("null true false"),
        16 => any_of(odd),
        1 => any_of(broken),
        2 => (0_usize..150).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth)),
        4 => (0_usize..5_000).prop_map(|length| format!("\"{}\"", "x".repeat(length))),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z\"]{0,3}", inner), 0..6).prop_map(|fields| object(&fields)),
        ]
    })
}

/// The text of an object. Names may come twice.
fn object(fields: &[(String, String)]) -> String {
    let fields: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}:{value}", Value::from(&**name))).collect();
    format!("{{{}}}", fields.join(","))
}

/// Objects with the fields that the API reads, of any type.
fn bodies() -> impl Strategy<Value = String> {
    let names =
        "name id icon custom user group users role op until by text client_id reply_to retention other";
    let name = select(names.split(' ').collect::<Vec<_>>()).prop_map(str::to_owned);
    vec((name, json_texts()), 0..6).prop_map(|fields| object(&fields))
}

#[test]
fn any_bytes_may_be_sent_as_a_body() {
    let bytes = prop_oneof![vec(any::<u8>(), 0..200), vec(any::<u8>(), 65_500..65_600)];
    holds(1_000, (places_for_bodies(), bytes), |((method, uri), bytes)| {
        never_surprises(with_json(tenant_asks(method, uri), bytes))
    });
}

#[test]
fn any_object_may_be_sent_as_a_body() {
    holds(8_000, (places_for_bodies(), bodies()), |((method, uri), body)| {
        never_surprises(with_json(tenant_asks(method, uri), body))
    });
}

#[test]
fn any_path_and_query_may_be_asked_for() {
    let methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];
    let methods =
        select(methods.map(|method| Method::from_bytes(method.as_bytes()).expect("a method")).to_vec());
    let roots = "/|/api/|/api/(groups|users)|/api/(groups|users)/|/api/groups/lobby(/(attendees/|messages|messages/|presence))?|\
                 /ws/connects/";
    let rest = "([!-.0-~]|%[0-9A-F]{2}|%[a-z]|\\.\\.|é|🏠){0,8}\
                (/|/attendees|/attendees/[!-~]{0,5}|/messages|/messages/[!-~]{0,5}|/messages/[0-9a-f]{32}|/export|/presence)?";
    let query = "(\\?(offset|limit|before|after|user|&|=|%[0-9a-f]{2}|[0-9]{1,25}|[!-~]){0,8})?";
    let inputs = (methods, roots, rest, query).prop_filter_map("no URI", |(method, root, rest, query)| {
        format!("{root}{rest}{query}").parse::<Uri>().ok().map(|uri| (method, uri))
    });
    holds(10_000, inputs, |(method, uri)| never_surprises(with_json(tenant_asks(method, uri), "{}")));
}

#[test]
fn any_headers_may_be_sent() {
    let names = "client secret authorization content-type content-length transfer-encoding host expect upgrade \
                 connection sec-websocket-version sec-websocket-key accept range x-y";
    let value = prop_oneof![
        vec(any::<u8>(), 0..40),
        "(Basic|Bearer|basic)? ?[A-Za-z0-9+/=:]{0,30}".prop_map(String::into_bytes),
        select(vec![
            "websocket",
            "Upgrade",
            "13",
            "application/json",
            "chunked",
            "-1",
            "100-continue",
            "bytes=0-"
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
    ];
    let headers = vec((select(names.split(' ').collect::<Vec<_>>()), value), 0..8);
    let place = prop_oneof![places_for_bodies(), Just((Method::GET, Uri::from_static("/ws/connects/x")))];
    holds(6_000, (place, headers), |((method, uri), headers)| {
        let mut request = with_json(tenant_asks(method, uri), "{}");
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_bytes(&value) {
                request.headers_mut().insert(name, value);
            }
        }
        never_surprises(request)
    });
}

#[test]
fn whatever_is_made_is_shown_as_it_was_given() {
    let text = "[^\\p{Cc}]{1,128}";
    // As texts, because a failure prints them. A parser bounds how deeply a body nests.
    let custom = json_texts().prop_filter("no JSON that custom may be", |text| {
        let fields = serde_json::from_str::<Value>(&format!("{{\"custom\":{text}}}"));
        fields
            .is_ok_and(|fields| !fields["custom"].is_null() && Custom::from_value(&fields["custom"]).is_ok())
    });
    let kinds = select(vec!["/api/groups", "/api/users"]);
    holds(800, (kinds, text, text, custom), |(kind, id, name, custom)| {
        let custom: Value = serde_json::from_str(&custom).expect("JSON");
        let whole = json!({"id": id, "name": name, "icon": "https://a", "custom": custom});
        let making = tenant_asks(Method::POST, Uri::from_static(kind));
        let (status, body) = answer(with_json(making, whole.to_string()));
        prop_assert_eq!(status, StatusCode::CREATED, "{}", String::from_utf8_lossy(&body));
        let uri = || format!("{kind}/{}", encoded(&id)).parse::<Uri>().expect("a path");
        let (status, body) = answer(tenant_asks(Method::GET, uri()));
        prop_assert_eq!(status, StatusCode::OK);
        let shown: Value = serde_json::from_slice(&body).expect("JSON");
        for field in ["id", "name", "icon", "custom"] {
            prop_assert_eq!(&shown[field], &whole[field]);
        }
        // So that the same text may come again.
        prop_assert_eq!(answer(tenant_asks(Method::DELETE, uri())).0, StatusCode::OK);
        Ok(())
    });
}

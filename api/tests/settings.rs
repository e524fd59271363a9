//! The binary and its settings: what is wrong is named, what is secret is never printed.
#![allow(missing_docs)]

mod common;

use std::path::Path;
use std::process::{Command, Output};

use common::raw::{Raw, text};
use common::{Process, Server};
use engine::domain::service::{Service, service_id};
use engine::metrics::Metrics;
use engine::store::Directory;
use engine::store::embedded::EmbeddedStore;
use engine::testkit::{Encoding, World, answered, within};
use reqwest::Method;
use serde_json::{Value, json};

const ADMIN_KEY: &str = "an admin key nobody may see";
const HASH_SECRET: &str = "a hash secret nobody may see";

/// Every setting of the protocol page with its default, if it has one.
const DOCUMENTED: [(&str, &str); 16] = [
    ("KIJIMUNA_LISTEN", "127.0.0.1:3010"),
    ("KIJIMUNA_DATA_DIR", "./data"),
    ("KIJIMUNA_HASH_SECRET", ""),
    ("KIJIMUNA_ADMIN_KEY", ""),
    ("KIJIMUNA_SCYLLA_URI", ""),
    ("KIJIMUNA_REDIS_URI", ""),
    ("KIJIMUNA_NODE_ID", ""),
    ("KIJIMUNA_TURN_URIS", ""),
    ("KIJIMUNA_TURN_SECRET", ""),
    ("KIJIMUNA_LOG", ""),
    ("KIJIMUNA_SEND_RATE", "20"),
    ("KIJIMUNA_REST_RATE", "1000"),
    ("KIJIMUNA_SIGNAL_RATE", "20"),
    ("KIJIMUNA_RESUME_EVENTS", "1000"),
    ("KIJIMUNA_TICKET_TTL_MS", "86400000"),
    ("KIJIMUNA_LEAVE_GRACE_MS", "5000"),
];

/// Values that a setting can't have.
const WRONG: [(&str, &str); 26] = [
    ("listen", "nowhere"),
    ("listen", "127.0.0.1"),
    ("listen", "127.0.0.1:65536"),
    ("send_rate", "many"),
    ("send_rate", "-1"),
    ("send_rate", "1.5"),
    ("send_rate", "4294967296"),
    ("rest_rate", "1_000"),
    ("max_connections", "all"),
    ("group_idle_ms", "1s"),
    ("ping_interval_ms", "-5"),
    ("pong_timeout_ms", "0x10"),
    ("drain_ms", "10 000"),
    ("drain_spread_ms", "-1"),
    ("signal_rate", "fast"),
    ("resume_events", "-1"),
    ("connection_groups", "0"),
    ("resume_bytes", "-1"),
    ("ticket_ttl_ms", "59999"),
    ("leave_grace_ms", "5s"),
    ("retention_interval_ms", "0"),
    ("log", "kijimuna=loud"),
    ("log_format", "xml"),
    ("playground", "true"),
    ("scylla_uri", "127.0.0.1:9042"),
    ("redis_uri", "redis://127.0.0.1"),
];

fn variable(key: &str) -> String {
    format!("KIJIMUNA_{}", key.to_uppercase())
}

/// The binary in an empty folder, with nothing set.
fn kijimuna(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kijimuna"));
    command.env_clear().current_dir(folder);
    command
}

/// What a start that must fail prints.
fn refused(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().expect("the binary starts");
    let stderr = String::from_utf8(stderr).expect("text");
    assert!(!status.success(), "{command:?} started");
    assert!(stdout.is_empty(), "{command:?} served: {}", String::from_utf8_lossy(&stdout));
    assert!(!stderr.contains("panicked"), "{command:?}: {stderr}");
    stderr
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

/// Starts with a settings file.
fn with_file(folder: &Path, text: &str) -> Command {
    std::fs::write(folder.join("kijimuna.toml"), text).expect("written");
    let mut command = kijimuna(folder);
    command.args(["--config", "kijimuna.toml"]);
    command
}

#[test]
fn a_wrong_value_names_its_setting_wherever_it_comes_from() {
    let folder = folder();
    for (key, value) in WRONG {
        let flag = format!("--{}={value}", key.replace('_', "-"));
        let starts = [
            kijimuna(folder.path()).arg(flag).output(),
            kijimuna(folder.path()).env(variable(key), value).output(),
            with_file(folder.path(), &format!("{key} = {value:?}\n")).output(),
        ];
        for output in starts {
            let output = output.expect("the binary starts");
            let told = String::from_utf8(output.stderr).expect("text");
            assert!(!output.status.success() && output.stdout.is_empty(), "{key} = {value} was taken");
            assert!(told.contains(&variable(key)), "{key} = {value}: {told}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("readable").collect();
    assert_eq!(left.len(), 1, "nothing but the settings file: {left:?}");
}

#[test]
fn a_wrong_file_says_what_is_wrong_with_it() {
    let folder = folder();
    for (text, wrong) in [
        ("lisen = \"127.0.0.1:0\"", "\"lisen\""),
        ("listen = true", "listen"),
        ("send_rate = [1]", "send_rate"),
        ("[listen]\nport = 1", "listen"),
        ("node_id = \"a\"\nsend_rate = = 2", "line 2"),
    ] {
        let told = refused(&mut with_file(folder.path(), text));
        assert!(told.contains("kijimuna.toml") && told.contains(wrong), "{text}: {told}");
    }
    let told = refused(kijimuna(folder.path()).env("KIJIMUNA_CONFIG", "absent.toml"));
    assert!(told.contains("absent.toml"), "{told}");
    let told = refused(kijimuna(folder.path()).arg("--sned-rate=1"));
    assert!(told.contains("--send-rate"), "a typo is answered with the right name: {told}");
}

#[test]
fn what_cant_be_had_is_named() {
    let folder = folder();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let told = refused(kijimuna(folder.path()).args(["--listen", &address]));
    assert!(told.contains(&address) && told.contains("KIJIMUNA_LISTEN"), "{told}");
    let file = folder.path().join("a file");
    std::fs::write(&file, "not a folder").expect("written");
    let told = refused(kijimuna(folder.path()).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(&file));
    assert!(told.contains("a file"), "{told}");
}

#[test]
fn help_lists_every_setting_with_its_default() {
    let folder = folder();
    let output = kijimuna(folder.path()).arg("--help").output().expect("the binary starts");
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).expect("text");
    // The lines of one setting, whichever way they are wrapped.
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let settings: Vec<&str> = words.split(" --").collect();
    for (name, default) in DOCUMENTED {
        let flag = name.trim_start_matches("KIJIMUNA_").to_lowercase().replace('_', "-");
        let setting = settings.iter().find(|setting| setting.split(' ').next() == Some(&flag));
        let setting = setting.unwrap_or_else(|| panic!("no --{flag} in {help}"));
        assert!(setting.contains(&format!("[env: {name}")), "{setting}");
        assert!(default.is_empty() || setting.contains(&format!("[default: {default}]")), "{setting}");
    }
}

#[test]
fn a_secret_is_shown_neither_by_help_nor_by_a_mistake() {
    let folder = folder();
    let output = kijimuna(folder.path())
        .env("KIJIMUNA_ADMIN_KEY", ADMIN_KEY)
        .env("KIJIMUNA_HASH_SECRET", HASH_SECRET)
        .arg("--help")
        .output()
        .expect("the binary starts");
    let help = String::from_utf8(output.stdout).expect("text");
    assert!(!help.contains("nobody may see"), "{help}");

    for text in [
        "admin_key = \"too short\"",
        "admin_key = [\"nobody may see\"]",
        "admin_key = \"nobody may see",
        "admin_key = nobody may see",
        "hash_secret = \"nobody may see this\" send_rate = 1",
        "turn_secret = \"nobody may see this\"",
    ] {
        let told = refused(&mut with_file(folder.path(), text));
        assert!(!told.contains("nobody") && !told.contains("too short"), "{text}: {told}");
        assert!(told.contains("kijimuna.toml") || told.contains("KIJIMUNA_"), "{text}: {told}");
    }
    for key in ["KIJIMUNA_ADMIN_KEY", "KIJIMUNA_HASH_SECRET"] {
        let told = refused(kijimuna(folder.path()).env(key, "too short"));
        assert!(told.contains(key) && !told.contains("too short"), "{told}");
    }
}

/// What a process prints that is told another hash secret than its store's.
fn refused_for_its_secret(dir: &Path, secret: &[&str]) -> String {
    let told = refused(kijimuna(dir).args(["--listen", "127.0.0.1:0", "--data-dir"]).arg(dir).args(secret));
    assert!(told.contains(&dir.join("hash_secret").display().to_string()), "{told}");
    assert!(told.contains("KIJIMUNA_HASH_SECRET") && !told.contains("nobody may see"), "{told}");
    told
}

/// Starts, does something, and stops in order.
async fn lives(dir: &Path, flags: &[&str], what: impl AsyncFnOnce(World)) {
    let mut process = Process::start(dir, flags);
    what(World::at(&process.base).await).await;
    process.terminate();
    let ended = tokio::task::spawn_blocking(move || process.wait());
    assert!(within("the end of the process", ended).await.expect("waited").success());
}

#[tokio::test]
async fn a_store_is_not_served_without_the_hash_secret_it_was_made_with() {
    let dir = folder();
    let file = dir.path().join("hash_secret");
    let mut worlds = Vec::new();
    lives(dir.path(), &[], async |world| worlds.push(world)).await;
    let made = std::fs::read(&file).expect("made");

    std::fs::remove_file(&file).expect("removed");
    assert!(refused_for_its_secret(dir.path(), &[]).contains("restore the file"));
    assert!(!file.exists(), "no new secret beside services");
    std::fs::write(&file, [7; 32]).expect("written");
    assert!(refused_for_its_secret(dir.path(), &[]).contains("restore the file"));
    let given = refused_for_its_secret(dir.path(), &["--hash-secret", HASH_SECRET]);
    assert!(given.contains("set it to the old value"), "{given}");

    std::fs::write(&file, made).expect("restored");
    lives(dir.path(), &[], async |world| {
        let old = worlds[0].moved_to(world.base());
        old.get("/api/groups").await.expect_success();
    })
    .await;
}

#[tokio::test]
async fn a_store_made_with_a_given_hash_secret_wants_it_again() {
    let dir = folder();
    lives(dir.path(), &["--hash-secret", HASH_SECRET], async |_| {}).await;
    assert!(refused_for_its_secret(dir.path(), &[]).contains("set KIJIMUNA_HASH_SECRET to the old value"));
    assert!(!dir.path().join("hash_secret").exists(), "no new secret beside services");
    refused_for_its_secret(dir.path(), &["--hash-secret", "another secret nobody may see"]);
    lives(dir.path(), &["--hash-secret", HASH_SECRET], async |_| {}).await;
}

#[tokio::test]
async fn a_store_without_services_takes_another_hash_secret() {
    let dir = folder();
    for secret in [HASH_SECRET, "another secret nobody may see"] {
        let mut process = Process::start(dir.path(), &["--hash-secret", secret]);
        process.terminate();
        let ended = tokio::task::spawn_blocking(move || process.wait());
        assert!(within("the end of the process", ended).await.expect("waited").success());
    }
}

#[tokio::test]
async fn a_store_from_before_the_check_takes_the_hash_secret_it_is_given() {
    let dir = folder();
    let metrics = Metrics::new();
    let (store, _) = EmbeddedStore::open(dir.path(), metrics.store.clone()).expect("a store");
    store.create_service(old_service()).await.expect("stored");
    store.close().await;
    drop(store);
    refused_for_its_secret(dir.path(), &[]);
    lives(dir.path(), &["--hash-secret", HASH_SECRET], async |_| {}).await;
    refused_for_its_secret(dir.path(), &["--hash-secret", "another secret nobody may see"]);
}

/// A service as an older version left it.
fn old_service() -> Service {
    Service { id: service_id([1; 12]), secret_hash: [0; 32], created_ms: 0 }
}

/// Everything that a tenant and its users do, rightly and wrongly. Answers what nobody else may ever see.
async fn a_whole_walk(base: &str, http: reqwest::Client) -> Vec<String> {
    let services = |key: &str| http.post(format!("{base}/api/services")).bearer_auth(key);
    answered(services("a wrong key nobody may see")).await.expect_error(401, "admin_key_required");
    let service: Value = answered(services(ADMIN_KEY)).await.expect_success();
    let (client, secret) =
        (service["client"].as_str().expect("text"), service["secret"].as_str().expect("text"));
    let asked = async |method: Method, path: &str, secret: &str, body: Value| {
        let request = http.request(method, format!("{base}{path}")).header("client", client);
        answered(request.header("secret", secret).json(&body)).await
    };
    let post = async |path: &str, body: Value| asked(Method::POST, path, secret, body).await.expect_success();
    post("/api/groups", json!({"id": "lobby"})).await;
    post("/api/users", json!({"id": "alice"})).await;
    post("/api/groups/lobby/attendees", json!({"user": "alice"})).await;
    let wrong = asked(Method::GET, "/api/groups", "a wrong secret nobody may see", json!({})).await;
    wrong.expect_error(401, "unauthorized");
    let basic = http.get(format!("{base}/api/groups")).basic_auth(client, Some(secret));
    answered(basic).await.expect_success();

    let mut unseen =
        vec![secret.to_owned(), ADMIN_KEY.to_owned(), HASH_SECRET.to_owned(), "nobody may see".to_owned()];
    for _ in 0..2 {
        let token = post("/api/token", json!({"group": "lobby", "user": "alice"})).await;
        unseen.push(token["token"].as_str().expect("text").to_owned());
    }
    let [.., used, unused] = &unseen[..] else { unreachable!("two tokens were added") };
    let path = format!("/ws/connects/{unused}");
    asked(Method::GET, &path, secret, json!({})).await.expect_error(426, "upgrade_required");
    chats(base, used).await;
    let token = post("/api/token", json!({"user": "alice"})).await;
    let token = token["token"].as_str().expect("text");
    unseen.extend([token.to_owned(), comes_back(base, token).await]);
    unseen
}

/// Comes in with a token, again with its ticket, and once more. Answers the ticket.
async fn comes_back(base: &str, token: &str) -> String {
    // Nobody's tenant is asked about here, so any will do.
    let world = Server::start().await.world().await.moved_to(base);
    let mut peer = world.connect_v2(token, Encoding::Json).await;
    peer.is_welcomed().await;
    let ticket = peer.ticket.clone();
    peer.vanishes();
    world.connect_v2(&ticket, Encoding::Msgpack).await.is_welcomed().await;
    world.connect_v2(&ticket, Encoding::Msgpack).await.is_closed_with(4501).await;
    ticket
}

/// Says something, and then tries the token once more.
async fn chats(base: &str, token: &str) {
    let mut alice = Raw::connects_to(base, token).await;
    alice.next(3).await;
    alice.says("words nobody may see").await;
    alice.hears("words nobody may see").await;
    alice.sends(&text("{\"a\":2,\"d\":{\"m\":\"more nobody may see\"}")).await;
    alice.is_refused_with("malformed").await;
    Raw::connects_to(base, token).await.is_closed_with(4501).await;
}

#[tokio::test]
async fn the_most_talkative_log_tells_no_secrets() {
    let (dir, logs) = (folder(), tempfile::NamedTempFile::new().expect("a file"));
    let flags = ["--log=trace", "--admin-key", ADMIN_KEY, "--hash-secret", HASH_SECRET];
    let mut process = Process::start_logging(dir.path(), &flags, logs.reopen().expect("opened"));
    let client = || reqwest::Client::builder().no_proxy();
    let mut unseen = a_whole_walk(&process.base, client().build().expect("a client")).await;
    let http2 = client().http2_prior_knowledge().build().expect("a client");
    unseen.extend(a_whole_walk(&process.base, http2).await);
    process.terminate();
    // Elsewhere, since the clients here still have connections to let go of.
    let ended = tokio::task::spawn_blocking(move || process.wait());
    assert!(within("the end of the process", ended).await.expect("waited").success());

    let logs = std::fs::read_to_string(logs.path()).expect("text");
    assert!(logs.contains("TRACE") && logs.contains("a service was made"), "the log was on: {logs}");
    for secret in unseen {
        let line = logs.lines().find(|line| line.contains(&secret));
        assert_eq!(line, None, "{secret} was logged");
    }
}

//! What the binary serves to browsers: its pages and the JavaScript client.
#![allow(missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::Server;
use common::rest::anyone;
use engine::testkit::{Answer, answered};

/// The names of the client's files that are for browsers.
fn client_files() -> BTreeSet<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web/client");
    let names =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("text"));
    names.filter(|name| name.ends_with(".js") || name.ends_with(".d.ts")).collect()
}

async fn get(server: &Server, path: &str) -> Answer {
    answered(anyone().get(format!("{}{path}", server.base))).await
}

#[tokio::test]
async fn every_file_of_the_client_is_served_as_it_is() {
    let server = Server::start().await;
    let files = client_files();
    assert!(files.contains("kijimuna.js") && files.contains("kijimuna.d.ts"), "{files:?}");
    for name in files {
        let answer = get(&server, &format!("/client/{name}")).await;
        let text = std::fs::read_to_string(format!("{}/web/client/{name}", env!("CARGO_MANIFEST_DIR")));
        assert_eq!((answer.status, answer.text), (200, text.expect("read")), "{name}");
        let kind = if name.ends_with(".js") { "text/javascript" } else { "application/typescript" };
        assert_eq!(answer.headers["content-type"], format!("{kind}; charset=utf-8"));
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "a page from elsewhere may import it");
    }
    for nothing in ["/client", "/client/", "/client/nothing.js", "/client/package.json", "/client/../web.rs"]
    {
        assert_eq!(get(&server, nothing).await.code(), "route_not_found");
    }
}

#[tokio::test]
async fn the_types_stand_beside_the_module_that_pages_import() {
    let server = Server::start().await;
    let [types, part] = ["/kijimuna.d.ts", "/client/kijimuna.d.ts"].map(|path| get(&server, path));
    let (types, part) = (types.await, part.await);
    assert_eq!((types.status, &types.text), (200, &part.text));
    assert!(types.text.contains("export function connect("), "{}", types.text);
    assert_eq!(types.headers["content-type"], "application/typescript; charset=utf-8");
    assert_eq!(types.headers["access-control-allow-origin"], "*", "a page from elsewhere may read it");
}

#[tokio::test]
async fn the_client_imports_only_what_is_served() {
    let server = Server::start().await;
    let mut known = BTreeSet::new();
    let mut waiting = vec!["/kijimuna.js".to_owned()];
    while let Some(path) = waiting.pop() {
        if !known.insert(path.clone()) {
            continue;
        }
        let answer = get(&server, &path).await;
        assert_eq!(answer.status, 200, "{path}");
        let folder = path.rsplit_once('/').expect("a path").0;
        for line in answer.text.lines().filter(|line| line.contains(" from \"./")) {
            if let Some((_, module)) = line.split_once("\"./") {
                waiting.push(format!("{folder}/{}", module.split('"').next().expect("a name")));
            }
        }
    }
    assert!(known.contains("/client/kijimuna.js") && known.len() > 5, "{known:?}");
}

#[tokio::test]
async fn a_file_is_asked_for_again_and_sent_once() {
    let server = Server::start().await;
    let mut tags = BTreeSet::new();
    for path in
        ["/", "/docs", "/style.css", "/openapi.json", "/kijimuna.js", "/kijimuna.d.ts", "/client/kijimuna.js"]
    {
        let answer = get(&server, path).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        assert_eq!(answer.headers["cache-control"], "no-cache");
        let is_page = answer.headers["content-type"].to_str().expect("text").starts_with("text/html");
        assert_eq!(answer.headers.contains_key("content-security-policy"), is_page, "{path}");
        let tag = answer.headers["etag"].to_str().expect("text").to_owned();
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let again = anyone().get(format!("{}{path}", server.base)).header("if-none-match", known);
            let again = answered(again).await;
            assert_eq!((again.status, again.text.as_str()), (304, ""), "{path}");
            assert_eq!(again.headers["etag"], tag.as_str());
        }
        let other = anyone().get(format!("{}{path}", server.base)).header("if-none-match", "\"x\"");
        assert_eq!(answered(other).await.text, answer.text);
        assert!(tags.insert(tag), "{path} has another's tag");
    }
}

//! The pages and the JavaScript client, served by the binary itself.

mod file;

use axum::Router;
use axum::routing::{MethodRouter, get};
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::App;
use file::File;

const PAGE: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const TYPES: &str = "application/typescript; charset=utf-8";

/// A file: where it is served, what it is, and what is in it.
type Listed = (&'static str, &'static str, &'static str);

/// A file of the folder `api/web`, served under the path that it has there.
macro_rules! served {
    ($kind:ident, $path:literal) => {
        (concat!("/", $path), $kind, include_str!(concat!("../web/", $path)))
    };
}

/// What all pages use.
const COMMON: &[Listed] = &[
    served!(STYLE, "style.css"),
    served!(SCRIPT, "theme.js"),
    served!(SCRIPT, "start.js"),
    served!(SCRIPT, "docs.js"),
];

/// The client. Pages import the first, whose types stand beside it; the others are its parts.
const CLIENT: &[Listed] = &[
    ("/kijimuna.js", SCRIPT, "export * from \"./client/kijimuna.js\";\n"),
    ("/kijimuna.d.ts", TYPES, include_str!("../web/client/kijimuna.d.ts")),
    served!(SCRIPT, "client/chat.js"),
    served!(SCRIPT, "client/connection.js"),
    served!(SCRIPT, "client/emitter.js"),
    served!(SCRIPT, "client/errors.js"),
    served!(SCRIPT, "client/follower.js"),
    served!(SCRIPT, "client/frames.js"),
    served!(SCRIPT, "client/gate.js"),
    served!(SCRIPT, "client/group.js"),
    served!(TYPES, "client/kijimuna.d.ts"),
    served!(SCRIPT, "client/kijimuna.js"),
    served!(SCRIPT, "client/msgpack.js"),
    served!(SCRIPT, "client/options.js"),
    served!(SCRIPT, "client/outbox.js"),
    served!(SCRIPT, "client/pace.js"),
    served!(SCRIPT, "client/people.js"),
    served!(SCRIPT, "client/requests.js"),
    served!(SCRIPT, "client/signals.js"),
    served!(SCRIPT, "client/standing.js"),
    served!(SCRIPT, "client/timeline.js"),
    served!(SCRIPT, "client/typists.js"),
    served!(SCRIPT, "client/view.js"),
];

/// The client is for the pages of tenants, which come from elsewhere.
const FOR_ANY_ORIGIN: [(header::HeaderName, &str); 1] = [(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];

/// What the playground is made of.
const PLAYGROUND: &[Listed] = &[
    served!(STYLE, "playground/playground.css"),
    served!(STYLE, "playground/wire.css"),
    served!(SCRIPT, "playground/actions.js"),
    served!(SCRIPT, "playground/app.js"),
    served!(SCRIPT, "playground/composer.js"),
    served!(SCRIPT, "playground/curl.js"),
    served!(SCRIPT, "playground/dom.js"),
    served!(SCRIPT, "playground/frames.js"),
    served!(SCRIPT, "playground/groups.js"),
    served!(SCRIPT, "playground/message.js"),
    served!(SCRIPT, "playground/messages.js"),
    served!(SCRIPT, "playground/pane.js"),
    served!(SCRIPT, "playground/rest.js"),
    served!(SCRIPT, "playground/roster.js"),
    served!(SCRIPT, "playground/rows.js"),
    served!(SCRIPT, "playground/tenant.js"),
    served!(SCRIPT, "playground/views.js"),
    served!(SCRIPT, "playground/wire.js"),
    served!(SCRIPT, "playground/words.js"),
];

pub(crate) fn routes(openapi: &str, playground: bool) -> Router<App> {
    let openapi: &'static str = openapi.to_owned().leak();
    let start: &'static str = start_page(playground).leak();
    let files = COMMON.iter().chain(if playground { PLAYGROUND } else { &[] });
    let mut router = Router::new()
        .route("/", page(start))
        .route("/docs", page(include_str!("../web/docs.html")))
        .route("/openapi.json", asset(File::new("application/json", openapi)));
    for &(path, kind, text) in files {
        router = router.route(path, asset(File::new(kind, text)));
    }
    for &(path, kind, text) in CLIENT {
        let module = File::new(kind, text);
        let served = get(async move |headers: HeaderMap| (FOR_ANY_ORIGIN, module.answer(&headers)));
        router = router.route(path, served);
    }
    router
}

fn page(html: &'static str) -> MethodRouter<App> {
    let page = File::new(PAGE, html);
    get(async move |uri: Uri, headers: HeaderMap| {
        ([(header::CONTENT_SECURITY_POLICY, policy(&uri, &headers))], page.answer(&headers))
    })
}

fn asset(file: File) -> MethodRouter<App> {
    get(async move |headers: HeaderMap| file.answer(&headers))
}

/// The page at `/`: how to begin, and before that the playground if there is one.
fn start_page(playground: bool) -> String {
    const PLACE: &str = "<!-- playground -->\n";
    let section = if playground { include_str!("../web/playground/section.html") } else { "" };
    include_str!("../web/index.html").replace(PLACE, section)
}

/// What a page may load and do: files and sockets of this very server, and nothing else. Not every browser takes
/// `'self'` for a WebSocket, too, so the server's own name is in it.
fn policy(uri: &Uri, headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = own.or_else(|| uri.authority().map(http::uri::Authority::as_str)).filter(|host| is_host(host));
    let sockets = own.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'{sockets}; img-src 'self' data:; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    );
    HeaderValue::from_str(&policy).expect("hosts and words are visible ASCII")
}

/// Whether a text can be nothing but a host and a port, so that no client writes directives into its own policy.
fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_may_open_sockets_to_its_own_server_only() {
        let policy_of = |host: &'static str| {
            let headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static(host))]);
            policy(&Uri::from_static("/"), &headers).to_str().expect("text").to_owned()
        };
        assert!(policy_of("[::1]:3010").contains("connect-src 'self' ws://[::1]:3010 wss://[::1]:3010;"));
        for policy in [policy_of("a; script-src *"), policy_of("")] {
            assert!(!policy.contains('*') && policy.matches("script-src").count() == 1, "{policy}");
        }
    }

    fn is_for_browsers(name: &str) -> bool {
        [".js", ".css", ".d.ts"].iter().any(|end| name.ends_with(end))
    }

    #[test]
    fn every_file_of_the_folders_is_served() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("web");
        for (part, served) in [("client", CLIENT), ("playground", PLAYGROUND)] {
            for entry in std::fs::read_dir(folder.join(part)).expect("a folder") {
                let name = entry.expect("readable").file_name().into_string().expect("text");
                let path = format!("/{part}/{name}");
                let is_served = served.iter().any(|(known, ..)| *known == path);
                assert_eq!(is_served, is_for_browsers(&name), "{path}");
            }
        }
    }

    #[test]
    fn the_start_page_has_the_playground_only_when_it_is_on() {
        assert!(start_page(true).contains("/playground/app.js"));
        assert!(!start_page(false).contains("playground/"));
    }
}

//! The WebSocket handshake from the client's side.

use memchr::memmem;

use crate::http;

/// The key and its answer from RFC 6455, section 1.3. One key for all is legal, and spares every worker a SHA-1
/// per connection: what it guards against is a cache that answers in the server's place, not an enemy.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
/// A head longer than this isn't a handshake's, in bytes.
const HEAD_MAX: usize = 16 << 10;

/// The request that opens a WebSocket at a path of a host.
pub fn request(host: &str, path: &str) -> String {
    request_for(host, path, None)
}

/// The same with a subprotocol.
pub(crate) fn request_for(host: &str, path: &str, subprotocol: Option<&str>) -> String {
    let subprotocol = subprotocol.map(|name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    let subprotocol = subprotocol.unwrap_or_default();
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{subprotocol}\r\n"
    )
}

/// Looks for the end of the handshake: how long the answer's head is, or why there will be no WebSocket.
pub fn accepted(bytes: &[u8]) -> Result<Option<usize>, String> {
    accepted_for(bytes, None)
}

/// The same with the subprotocol that was asked for: a server that doesn't know it speaks another language.
pub(crate) fn accepted_for(bytes: &[u8], subprotocol: Option<&str>) -> Result<Option<usize>, String> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Err("handshake_not_http".to_owned()) } else { Ok(None) };
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| "handshake_not_http".to_owned())?;
    match http::status(head) {
        Some(101) if http::field(head, "sec-websocket-accept") != Some(ACCEPT) => {
            Err("handshake_wrong_accept".to_owned())
        }
        Some(101) if http::field(head, "sec-websocket-protocol") != subprotocol => {
            Err("handshake_wrong_protocol".to_owned())
        }
        Some(101) => Ok(Some(end + 4)),
        Some(status) => Err(format!("handshake_{status}")),
        None => Err("handshake_not_http".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n\
                        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn the_head_ends_where_frames_begin() {
        for cut in 0..HEAD.len() {
            assert_eq!(accepted(&HEAD.as_bytes()[..cut]), Ok(None), "cut at {cut}");
        }
        assert_eq!(accepted((HEAD.to_owned() + "frames").as_bytes()), Ok(Some(HEAD.len())));
    }

    #[test]
    fn the_answer_must_have_the_subprotocol_that_was_asked_for() {
        let wrong = Err("handshake_wrong_protocol".to_owned());
        let speaks = HEAD.replace("\r\n\r\n", "\r\nsec-websocket-protocol: chat\r\n\r\n");
        assert_eq!(accepted_for(speaks.as_bytes(), Some("chat")), Ok(Some(speaks.len())));
        assert_eq!(accepted_for(speaks.as_bytes(), Some("talk")), wrong);
        assert_eq!(accepted_for(HEAD.as_bytes(), Some("chat")), wrong);
        assert_eq!(accepted_for(speaks.as_bytes(), None), wrong);
        assert!(request_for("host", "/", Some("chat")).ends_with("\r\nSec-WebSocket-Protocol: chat\r\n\r\n"));
    }

    #[test]
    fn a_refusal_says_its_status() {
        let refused = |head: &str| accepted(head.as_bytes());
        assert_eq!(refused("HTTP/1.1 503 Busy\r\n\r\n"), Err("handshake_503".to_owned()));
        assert_eq!(refused("SMTP\r\n\r\n"), Err("handshake_not_http".to_owned()));
        assert_eq!(refused(&HEAD.replace("s3p", "x3p")), Err("handshake_wrong_accept".to_owned()));
    }
}

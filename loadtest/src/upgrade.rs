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
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n\r\n"
    )
}

/// Looks for the end of the handshake: how long the answer's head is, or why there will be no WebSocket.
pub fn accepted(bytes: &[u8]) -> Result<Option<usize>, String> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Err("handshake_not_http".to_owned()) } else { Ok(None) };
    };
    let head = str::from_utf8(&bytes[..end]).map_err(|_| "handshake_not_http".to_owned())?;
    match http::status(head) {
        Some(101) if http::field(head, "sec-websocket-accept") == Some(ACCEPT) => Ok(Some(end + 4)),
        Some(101) => Err("handshake_wrong_accept".to_owned()),
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
    fn a_refusal_says_its_status() {
        let refused = |head: &str| accepted(head.as_bytes());
        assert_eq!(refused("HTTP/1.1 503 Busy\r\n\r\n"), Err("handshake_503".to_owned()));
        assert_eq!(refused("SMTP\r\n\r\n"), Err("handshake_not_http".to_owned()));
        assert_eq!(refused(&HEAD.replace("s3p", "x3p")), Err("handshake_wrong_accept".to_owned()));
    }
}

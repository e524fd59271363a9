//! As much HTTP/1.1 as the tool needs: a request with a JSON body, and an answer with a length.

use std::fmt::Write;

use memchr::memmem;

use crate::plan::{Credentials, Target};

/// A head longer than this isn't one of ours, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// A body longer than this is no answer to what this tool asks.
const BODY_MAX: usize = 1 << 20;
/// Whoever says "later" is asked again after so many seconds at the latest.
const RETRY_AFTER_MAX_S: u64 = 60;

/// An answer, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// The status.
    pub status: u16,
    /// Seconds to wait before trying again.
    pub retry_after_s: Option<u64>,
    /// The server will close the connection.
    pub closes: bool,
    /// What follows the head.
    pub body: &'a [u8],
}

/// A POST for a tenant or, without credentials, for the operator.
pub(crate) fn post(target: &Target, credentials: Option<&Credentials>, path: &str, body: &str) -> String {
    request(target, credentials, "POST", path, body)
}

/// A DELETE for a tenant.
pub(crate) fn delete(target: &Target, credentials: Option<&Credentials>, path: &str) -> String {
    request(target, credentials, "DELETE", path, "")
}

fn request(
    target: &Target,
    credentials: Option<&Credentials>,
    method: &str,
    path: &str,
    body: &str,
) -> String {
    let Target { host, base, .. } = target;
    let mut request = format!("{method} {base}{path} HTTP/1.1\r\nHost: {host}\r\n");
    let mut header = |name: &str, value: &str| {
        write!(request, "{name}: {value}\r\n").expect("writing to a String can't fail");
    };
    if let Some(Credentials { client, secret }) = credentials {
        header("client", client);
        header("secret", secret);
    }
    header("Content-Type", "application/json");
    header("Content-Length", &body.len().to_string());
    request + "\r\n" + body
}

/// The answer that the bytes begin with and its length, if it is whole. An answer that can't be read is an error.
pub fn answer(bytes: &[u8]) -> Result<Option<(Answer<'_>, usize)>, &'static str> {
    let head_of = &bytes[..bytes.len().min(HEAD_MAX)];
    let Some(end_of_head) = memmem::find(head_of, b"\r\n\r\n") else {
        return if bytes.len() < HEAD_MAX { Ok(None) } else { Err("the answer's head has no end") };
    };
    let head = str::from_utf8(&bytes[..end_of_head]).map_err(|_| "the answer isn't HTTP")?;
    let status = status(head).ok_or("the answer isn't HTTP/1.1")?;
    let length: usize = match field(head, "content-length") {
        Some(length) => length.parse().map_err(|_| "the answer's Content-Length is no number")?,
        None => return Err("the answer has no Content-Length"),
    };
    if length > BODY_MAX {
        return Err("the answer has more than 1 MiB");
    }
    let begin = end_of_head + 4;
    let Some(body) = bytes.get(begin..begin + length) else { return Ok(None) };
    let retry_after_s = field(head, "retry-after").and_then(|seconds| seconds.parse().ok());
    let retry_after_s = retry_after_s.map(|seconds: u64| seconds.min(RETRY_AFTER_MAX_S));
    let closes = field(head, "connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some((Answer { status, retry_after_s, closes, body }, begin + length)))
}

/// The status of a head.
pub(crate) fn status(head: &str) -> Option<u16> {
    head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// A header's value.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    fields.filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &[u8] =
        b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2\r\ncontent-length: 5\r\n\r\nhelloHTTP";

    #[test]
    fn an_answer_is_read_when_it_is_whole() {
        let end = ANSWER.len() - 4;
        for cut in 0..end {
            assert_eq!(answer(&ANSWER[..cut]), Ok(None), "cut at {cut}");
        }
        let expected = Answer { status: 429, retry_after_s: Some(2), closes: false, body: b"hello" };
        assert_eq!(answer(ANSWER), Ok(Some((expected, end))));
    }

    #[test]
    fn what_is_no_answer_is_an_error() {
        assert!(answer(b"SSH-2.0-OpenSSH\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\nContent-Length: 36893488147419103232\r\n\r\n").is_err());
    }

    #[test]
    fn an_answer_without_end_is_given_up() {
        let endless = [b"HTTP/1.1 200 OK\r\n", vec![b'A'; HEAD_MAX].as_slice()].concat();
        assert_eq!(answer(&endless[..HEAD_MAX - 1]), Ok(None));
        assert!(answer(&endless).is_err());
    }

    #[test]
    fn later_is_within_a_minute() {
        for (said, meant) in [("86400", 60), ("18446744073709551615", 60), ("5", 5)] {
            let later = format!("HTTP/1.1 429 Later\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n");
            assert_eq!(answer(later.as_bytes()).unwrap().unwrap().0.retry_after_s, Some(meant));
        }
    }
}

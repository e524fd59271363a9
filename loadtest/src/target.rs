//! Reads the deployment's address.

use std::net::ToSocketAddrs;

use crate::plan::Target;

/// What can be wrong with a URL. The text says where it stands and what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum TargetError {
    #[error(
        "{place} is {url:?}: it must begin with http://. For TLS put the load on the server behind the proxy that does it."
    )]
    Scheme { place: String, url: String },
    #[error("{place} is {url:?}: there is no such host ({reason}).")]
    Host { place: String, url: String, reason: String },
}

/// Reads URLs with commas between, each of another node. They stand at a place.
pub(crate) fn read_all(urls: &str, place: &str) -> Result<Vec<Target>, TargetError> {
    urls.split(',').map(|url| read(url.trim(), place)).collect()
}

/// Reads `http://host:port/base`.
fn read(url: &str, place: &str) -> Result<Target, TargetError> {
    let scheme = || TargetError::Scheme { place: place.to_owned(), url: url.to_owned() };
    let rest = url.strip_prefix("http://").ok_or_else(scheme)?;
    let (host, base) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let error = |reason: String| TargetError::Host { place: place.to_owned(), url: url.to_owned(), reason };
    let after_address = host.rfind(']').unwrap_or(0);
    let with_port = if host[after_address..].contains(':') { host.to_owned() } else { format!("{host}:80") };
    let addresses = with_port.to_socket_addrs().map_err(|reason| error(reason.to_string()))?;
    // Where there are both, a server on this machine more often listens to version 4.
    let address =
        addresses.min_by_key(|address| !address.is_ipv4()).ok_or_else(|| error("no address".to_owned()))?;
    Ok(Target { address, host: host.to_owned(), base: base.trim_end_matches('/').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let target = read("http://127.0.0.1:3010/", "--url").unwrap();
        assert_eq!((target.address.to_string().as_str(), target.base.as_str()), ("127.0.0.1:3010", ""));
        let target = read("http://[::1]/chat/", "--url").unwrap();
        assert_eq!((target.address.to_string().as_str(), target.base.as_str()), ("[::1]:80", "/chat"));
    }

    #[test]
    fn others_say_why_not() {
        assert!(matches!(read("https://example.com", "--url"), Err(TargetError::Scheme { .. })));
        assert!(matches!(read("http://127.0.0.1:none", "--url"), Err(TargetError::Host { .. })));
    }

    #[test]
    fn several_nodes_stand_with_commas_between() {
        let nodes = read_all("http://127.0.0.1:1, http://127.0.0.1:2", "--url").unwrap();
        assert_eq!(nodes.iter().map(|node| node.address.port()).collect::<Vec<_>>(), [1, 2]);
        let error = read_all("http://127.0.0.1:1,", "--url").unwrap_err().to_string();
        assert!(error.starts_with("--url is \"\": it must begin with http://"), "{error}");
    }
}

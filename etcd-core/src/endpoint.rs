//! Where a member can be reached.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::{Authority, PathAndQuery, Scheme};

use crate::error::InvalidEndpoint;

/// The port etcd serves clients on unless told otherwise (IANA: `etcd-client`).
pub const DEFAULT_PORT: u16 = 2379;

/// The client URL of a member: scheme, host and port.
///
/// ```
/// use etcd_core::endpoint::Endpoint;
///
/// let endpoint: Endpoint = "http://10.0.0.1:2379".parse()?;
/// assert_eq!(endpoint.to_string(), "http://10.0.0.1:2379");
///
/// // As in etcdctl, the scheme may be left out, and so may the port.
/// assert_eq!("10.0.0.1".parse::<Endpoint>()?, endpoint);
/// # Ok::<(), etcd_core::error::InvalidEndpoint>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    scheme: Scheme,
    authority: Authority,
}

impl Endpoint {
    /// Whether the member is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.authority.as_str()
    }

    /// The URI of `path` there.
    ///
    /// # Panics
    ///
    /// Never for the paths of [`Rpc::paths`](crate::rpc::Rpc::paths); for text that is no path.
    #[must_use]
    pub fn uri(&self, path: &'static str) -> Uri {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        Uri::from_parts(parts).expect("scheme, authority and path together make a URI")
    }
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::HTTP, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::HTTPS, rest),
            Some(_) => return Err(InvalidEndpoint::Scheme),
            None => (Scheme::HTTP, text),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains('@') {
            return Err(InvalidEndpoint::UserInfo);
        }
        if rest.contains(['/', '?', '#']) {
            return Err(InvalidEndpoint::Path);
        }
        let authority: Authority = rest.parse().map_err(|_| InvalidEndpoint::NotAUrl)?;
        if authority.host().is_empty() || authority.as_str().ends_with(':') {
            return Err(InvalidEndpoint::NotAUrl);
        }
        let authority = match authority.port() {
            Some(port) if port.as_str().parse::<u16>().is_ok() => authority,
            Some(_) => return Err(InvalidEndpoint::NotAUrl),
            None => format!("{authority}:{DEFAULT_PORT}")
                .parse()
                .map_err(|_| InvalidEndpoint::NotAUrl)?,
        };
        Ok(Self { scheme, authority })
    }
}

impl TryFrom<&str> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: &str) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl TryFrom<&String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: &String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl TryFrom<String> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(text: String) -> Result<Self, InvalidEndpoint> {
        text.parse()
    }
}

impl TryFrom<&Self> for Endpoint {
    type Error = InvalidEndpoint;

    fn try_from(endpoint: &Self) -> Result<Self, InvalidEndpoint> {
        Ok(endpoint.clone())
    }
}

impl From<core::net::SocketAddr> for Endpoint {
    fn from(address: core::net::SocketAddr) -> Self {
        Self {
            scheme: Scheme::HTTP,
            authority: address
                .to_string()
                .parse()
                .expect("a socket address prints as host and port"),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_as_etcdctl_takes_them() {
        for (text, shown) in [
            ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
            ("http://127.0.0.1:2379/", "http://127.0.0.1:2379"),
            ("HTTPS://etcd.example:443", "https://etcd.example:443"),
            ("etcd-0.etcd", "http://etcd-0.etcd:2379"),
            ("localhost:1", "http://localhost:1"),
            ("http://[::1]:2379", "http://[::1]:2379"),
            ("http://[::1]", "http://[::1]:2379"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn what_cannot_be_an_endpoint_is_refused_with_its_reason() {
        for (text, reason) in [
            ("", InvalidEndpoint::NotAUrl),
            ("http://", InvalidEndpoint::NotAUrl),
            ("http://host:", InvalidEndpoint::NotAUrl),
            ("http://host:99999", InvalidEndpoint::NotAUrl),
            ("http://ho st", InvalidEndpoint::NotAUrl),
            ("http://:2379", InvalidEndpoint::NotAUrl),
            ("unix:///run/etcd.sock", InvalidEndpoint::Scheme),
            ("grpc://host", InvalidEndpoint::Scheme),
            ("http://root:hunter2@host", InvalidEndpoint::UserInfo),
            ("http://host/v3", InvalidEndpoint::Path),
            ("http://host?x", InvalidEndpoint::Path),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err(), reason, "{text}");
        }
    }

    #[test]
    fn every_path_of_the_table_makes_a_uri() {
        let endpoint: Endpoint = "host".parse().unwrap();
        for path in crate::rpc::RPCS.iter().flat_map(|rpc| rpc.paths) {
            assert_eq!(endpoint.uri(path).to_string(), format!("http://host:2379{path}"));
        }
    }

    #[test]
    fn socket_addresses_are_endpoints() {
        let address: core::net::SocketAddr = "[::1]:2379".parse().unwrap();
        assert_eq!(Endpoint::from(address).to_string(), "http://[::1]:2379");
    }
}

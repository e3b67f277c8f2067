//! Where the host of a URL is, as far as its text tells.
//!
//! Invariant: the one place that judges hosts by their names; whoever connects judges the addresses again
//! (`guarded`). Not here: resolving names, which addresses are public (`rynjer_core::address`).

use rynjer_core::address::is_public;
use std::net::IpAddr;
use url::{Host, Url};

/// Where a host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this machine.
    Loopback,
    /// In a network of one's own; also what has no host.
    Private,
    Public,
}

/// Where a URL leads. A name without a dot is one of the machine's own network, as in compose files, and so
/// are those below `.internal`, which no public server may have.
#[must_use]
pub fn place(url: &Url) -> Place {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) => return place_of_name(name.trim_end_matches('.')),
        None => return Place::Private,
    };
    if address.is_loopback() {
        Place::Loopback
    } else if is_public(address) {
        Place::Public
    } else {
        Place::Private
    }
}

fn place_of_name(name: &str) -> Place {
    match name.rsplit_once('.').map_or(name, |(_, last)| last) {
        "localhost" => Place::Loopback,
        last if last == name || last == "internal" => Place::Private,
        _ => Place::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        for (host, expected) in [
            ("127.0.0.1", Place::Loopback),
            ("127.1.2.3:8080", Place::Loopback),
            ("0x7f.1", Place::Loopback),
            ("[::1]", Place::Loopback),
            ("LOCALHOST.", Place::Loopback),
            ("a.localhost", Place::Loopback),
            ("10.0.0.1", Place::Private),
            ("169.254.169.254", Place::Private),
            ("[fd00::1]", Place::Private),
            ("[::ffff:127.0.0.1]", Place::Private),
            ("gateway", Place::Private),
            ("metadata.google.internal", Place::Private),
            ("8.8.8.8", Place::Public),
            ("[2606:4700::1111]", Place::Public),
            ("example.com", Place::Public),
            ("localhost.example.com", Place::Public),
            ("internal.example.com.", Place::Public),
        ] {
            assert_eq!(place(&format!("http://{host}/").parse().unwrap()), expected, "{host}");
        }
        assert_eq!(place(&"data:text/plain,a".parse().unwrap()), Place::Private);
    }
}

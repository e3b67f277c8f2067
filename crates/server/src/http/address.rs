//! Which address a request came from.
//!
//! Invariant: a client can't choose its own address; only what trusted proxies wrote is believed. Not here:
//! what the address is used for.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, HeaderName, header::FORWARDED};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The nearest address that is no trusted proxy. A proxy appends the address that it saw, so the list is read
/// from its end; what stands before the first untrusted address was written by that client and is ignored.
///
/// Where both headers are present they must agree: a proxy that writes one of them passes the other on as the
/// client sent it. If they don't, or if an entry that counts can't be read, the peer's own address is taken.
pub(crate) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.ip().to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let forwarded_for = walk(trusted, entries(headers, &X_FORWARDED_FOR).map(bare_address));
    let forwarded = walk(trusted, entries(headers, &FORWARDED).map(for_parameter));
    match (forwarded_for, forwarded) {
        (Walk::Absent, Walk::Found(address)) | (Walk::Found(address), Walk::Absent) => address,
        (Walk::Found(one), Walk::Found(other)) if one == other => one,
        _ => peer,
    }
}

enum Walk {
    Absent,
    Unreadable,
    Found(IpAddr),
}

/// Where everyone on the way is a proxy, the farthest one asked for itself.
fn walk(trusted: &[IpNet], nearest_first: impl Iterator<Item = Option<IpAddr>>) -> Walk {
    let mut farthest = Walk::Absent;
    for address in nearest_first {
        let Some(address) = address else { return Walk::Unreadable };
        farthest = Walk::Found(address);
        if !is_trusted(address, trusted) {
            break;
        }
    }
    farthest
}

fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// The comma-separated entries of all lines of one header, the last one first. A line that is no ASCII text
/// counts as one entry that can't be read.
fn entries<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines: Vec<&str> = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?")).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',').map(str::trim))
}

/// An address with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`.
fn bare_address(text: &str) -> Option<IpAddr> {
    let in_brackets = || text.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    let address = text.parse::<IpAddr>().ok().or_else(with_port).or_else(in_brackets)?;
    Some(address.to_canonical())
}

/// The `for` of one entry of `Forwarded`: `for=192.0.2.1;proto=https` or `For="[2001:db8::1]:80"`.
fn for_parameter(entry: &str) -> Option<IpAddr> {
    let mut values = entry.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    bare_address(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str);

    /// Peer, header lines, expected client; 10.0.0.0/8 and 2001:db8:ff::/48 are trusted.
    const CASES: &[Case<'_>] = &[
        // Nobody in between.
        ("198.51.100.7:5000", &[], "198.51.100.7"),
        ("[::ffff:198.51.100.7]:5000", &[], "198.51.100.7"),
        ("10.0.0.1:5000", &[], "10.0.0.1"),
        // A stranger claims to be another.
        ("198.51.100.7:5000", &[("x-forwarded-for", "192.0.2.1")], "198.51.100.7"),
        ("198.51.100.7:5000", &[("forwarded", "for=192.0.2.1")], "198.51.100.7"),
        ("198.51.100.7:5000", &[("x-forwarded-for", "10.0.0.9")], "198.51.100.7"),
        // One proxy, and a client that forges in front of what the proxy appends.
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
        ("[::ffff:10.0.0.1]:5000", &[("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "8.8.8.8, 192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "8.8.8.8"), ("x-forwarded-for", "192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "rubbish, 192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "10.0.0.5, 192.0.2.1")], "192.0.2.1"),
        // Two proxies.
        ("10.0.0.1:5000", &[("x-forwarded-for", "8.8.8.8, 192.0.2.1, 10.0.0.2")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1,10.0.0.3,10.0.0.2")], "192.0.2.1"),
        // Only proxies: the farthest.
        ("10.0.0.1:5000", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], "10.0.0.3"),
        // Forms.
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1:4711")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "::ffff:192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "2001:db8::1")], "2001:db8::1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "[2001:db8::1]")], "2001:db8::1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "[2001:db8::1]:80")], "2001:db8::1"),
        ("[2001:db8:ff::1]:80", &[("forwarded", "for=\"[2001:db8::1]:80\";proto=https")], "2001:db8::1"),
        ("10.0.0.1:5000", &[("forwarded", "proto=https; For=192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("forwarded", "for=8.8.8.8, for=192.0.2.1, for=10.0.0.2")], "192.0.2.1"),
        // Malformed where it counts.
        ("10.0.0.1:5000", &[("x-forwarded-for", "")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "unknown")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1, rubbish")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1, rubbish, 10.0.0.2")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1, \u{e9}")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.999")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("forwarded", "for=_hidden")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("forwarded", "proto=https")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("forwarded", "for=192.0.2.1;for=8.8.8.8")], "10.0.0.1"),
        // Both headers: one of them may be the client's own.
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=192.0.2.1")], "192.0.2.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=8.8.8.8")], "10.0.0.1"),
        ("10.0.0.1:5000", &[("x-forwarded-for", "192.0.2.1"), ("forwarded", "for=rubbish")], "10.0.0.1"),
    ];

    #[test]
    fn table() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "2001:db8:ff::/48"].map(|text| text.parse().unwrap()).into();
        for (peer, lines, expected) in CASES {
            let mut headers = HeaderMap::new();
            for (name, value) in *lines {
                headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            let address = client_address(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(address.to_string(), *expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn believes_nobody_by_default() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.1"));
        let peer = "127.0.0.1:5000".parse().unwrap();
        assert_eq!(client_address(peer, &headers, &[]).to_string(), "127.0.0.1");
    }
}

//! The hosts and networks that an operator lets the client reach although they aren't public.
//!
//! Invariant: an entry lifts the check for what it names and nothing else: a host only where the URL names
//! that host, so another name with the same address stays refused. Not here: the check that is lifted.

use super::GuardError;
use ipnet::IpNet;
use std::net::{IpAddr, Ipv6Addr};
use url::Host;

/// The entries of `allow_hosts`.
#[derive(Debug)]
pub(super) struct AllowList {
    hosts: Vec<(Host<String>, Option<u16>)>,
    networks: Vec<IpNet>,
}

impl AllowList {
    pub(super) fn parse(entries: Vec<String>) -> Result<Self, GuardError> {
        let mut list = Self { hosts: Vec::new(), networks: Vec::new() };
        for entry in entries {
            if let Ok(network) = entry.parse::<IpNet>() {
                list.networks.push(network);
            } else if let Some(host) = host(&entry) {
                list.hosts.push(host);
            } else {
                return Err(GuardError::AllowHost(entry));
            }
        }
        Ok(list)
    }

    /// Whether the host of a URL is an entry, on this port or on any.
    pub(super) fn names(&self, host: &Host<String>, port: u16) -> bool {
        self.entries_of(host).any(|named| named.is_none_or(|named| named == port))
    }

    /// Whether an entry names both the host and the port.
    pub(super) fn names_port(&self, host: &Host<String>, port: u16) -> bool {
        self.entries_of(host).any(|named| named == Some(port))
    }

    /// Whether an address lies in one of the networks.
    pub(super) fn covers(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(&address))
    }

    fn entries_of<'a>(&'a self, host: &'a Host<String>) -> impl Iterator<Item = Option<u16>> + 'a {
        let is_same = move |entry: &Host<String>| match (entry, host) {
            (Host::Domain(entry), Host::Domain(name)) => entry == name.trim_end_matches('.'),
            (entry, host) => entry == host,
        };
        self.hosts.iter().filter(move |(entry, _)| is_same(entry)).map(|(_, port)| *port)
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port` or a bare IPv6 address.
fn host(entry: &str) -> Option<(Host<String>, Option<u16>)> {
    if let Ok(address) = entry.parse::<Ipv6Addr>() {
        return Some((Host::Ipv6(address), None));
    }
    let (name, port) = match entry.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse().ok()?)),
        _ => (entry, None),
    };
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.is_empty() || name.contains(['*', '/', '@']) {
        return None;
    }
    Some((Host::parse(name).ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[&str]) -> AllowList {
        AllowList::parse(entries.iter().map(|entry| (*entry).to_owned()).collect()).unwrap()
    }

    fn named(list: &AllowList, host: &str, port: u16) -> bool {
        list.names(&Host::parse(host).unwrap(), port)
    }

    #[test]
    fn entries_lift_what_they_name() {
        let list =
            list(&["Pics.Local", "other.local.:8080", "127.0.0.1:81", "::1", "[fd00::1]:82", "10.0.0.0/8"]);
        let table = [
            ("pics.local", 1, true),
            ("pics.local.", 1, true),
            ("a.pics.local", 1, false),
            ("other.local", 8_080, true),
            ("other.local", 8_081, false),
            ("127.0.0.1", 81, true),
            ("127.0.0.1", 80, false),
            ("[::1]", 7, true),
            ("[fd00::1]", 82, true),
            ("[fd00::1]", 83, false),
            ("10.0.0.1", 80, false),
            ("localhost", 81, false),
        ];
        for (host, port, expected) in table {
            assert_eq!(named(&list, host, port), expected, "{host}:{port}");
        }
        assert!(list.covers("10.255.0.1".parse().unwrap()));
        assert!(!list.covers("11.0.0.1".parse().unwrap()));
        assert!(!list.covers("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn other_entries_are_refused() {
        for entry in
            ["", ":80", "a b", "host:port", "host:70000", "*.local", "http://host", "10.0.0.0/33", "u@h"]
        {
            let refused = AllowList::parse(vec![entry.to_owned()]).unwrap_err().to_string();
            assert_eq!(refused, format!("`{entry}` in allow_hosts is no host, host:port or network"));
        }
    }
}

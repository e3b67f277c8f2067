//! Which IP addresses belong to the public internet.
//!
//! Invariant: the list follows the IANA special-purpose registries, and every IPv6 form that carries an IPv4
//! address inside (mapped, compatible, NAT64, 6to4, Teredo, ISATAP) is refused, whatever it carries: no
//! public server needs them. Not here: resolving names, which the fetching client does and checks again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Looks public, but is answered inside a cloud by the machine's own host, with its secrets.
const CLOUD_HOST: Ipv4Addr = Ipv4Addr::new(168, 63, 129, 16);

/// Whether an address may be fetched from.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_broadcast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || address == CLOUD_HOST;
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Teredo, ORCHID, benchmarking and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        // 6to4, the second block for documentation, and ISATAP in any network, unique or not.
        [0x2002 | 0x3fff, ..] | [_, _, _, _, 0 | 0x200, 0x5efe, _, _] => false,
        // Global unicast; everything else is local, mapped, translated, multicast or reserved.
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        for text in ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450::1", "2620:fe::fe"] {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
        for text in REFUSED.split_whitespace() {
            assert!(!is_public(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn blocks_end_where_they_should() {
        for text in "1.0.0.0 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 \
            168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 \
            192.0.3.0 192.88.98.0 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 \
            198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255 \
            2000::1 2001:200::1 2001:db7::1 2001:db9::1 2003::1 3ffe::1 2a00::5efe:7f00:1:1 2a00::1:5efe:1:1"
            .split_whitespace()
        {
            assert!(is_public(text.parse().unwrap()), "{text}");
        }
    }

    /// One or more of every block, and the places where clouds answer about themselves.
    const REFUSED: &str = "0.0.0.0 0.1.2.3 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.100.100.200 \
        100.127.255.255 127.0.0.1 127.255.255.255 168.63.129.16 169.254.0.0 169.254.0.23 169.254.169.254 \
        169.254.170.2 172.16.0.0 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.0 \
        192.168.255.255 198.18.0.1 198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 \
        240.0.0.1 255.255.255.255 \
        :: ::1 ::2 ::8.8.8.8 ::127.0.0.1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 ::ffff:0:127.0.0.1 ::ffff:0:8.8.8.8 \
        64:ff9b::a00:1 64:ff9b::8.8.8.8 64:ff9b:1::1 64:ff9b:1:a9fe:a9:fe00:: 100::1 100:0:0:1::1 1::1 \
        2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:2::1 2001:3::1 2001:10::1 2001:20::1 2001:1ff::1 \
        2001:db8::1 2002:7f00:1::1 2002:808:808::1 2002:a9fe:a9fe::1 2a00::5efe:7f00:1 2a00::200:5efe:a00:1 \
        3fff::1 3fff:fff::1 4000::1 5f00::1 fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fe80::1 \
        fe80::a9fe:a9fe febf::1 fec0::1 feff::1 ff02::1 ff0e::1 ffff::1";
}

//! Ways to write a URL that leads to this machine or to a private network, or that pretends not to.
//!
//! Invariant: `{p}` stands for a port on which witnesses listen. Not here: what is expected of them.

/// Addresses of this machine: without the check of addresses, each of these connects.
pub(crate) const LOOPBACK: &str = "
http://127.0.0.1:{p}/ http://127.1:{p}/ http://127.0.1:{p}/ http://127.0.0.1.:{p}/ http://127.1.:{p}/
http://0x7f.1:{p}/ http://0x7f.0.1:{p}/ http://0x7f.0.0.1:{p}/ http://0X7F.0.0.1:{p}/ http://0x7F000001:{p}/
http://0x7f000001.:{p}/ http://0x7f.0x0.0x0.0x1:{p}/ http://0x0000007f.0.0.1:{p}/ http://127.0.0.0x1:{p}/
http://127.0x0.0.1:{p}/ http://127.0x000001:{p}/ http://127.0.0x1:{p}/ http://0177.0.0.1:{p}/
http://0177.1:{p}/ http://0177.0.1:{p}/ http://017700000001:{p}/ http://0000177.0.0.1:{p}/
http://0177.0x0.0.1:{p}/ http://0x7f.00.0x00.01:{p}/ http://127.0.0.01:{p}/ http://127.000.000.001:{p}/
http://2130706433:{p}/ http://2130706433.:{p}/ http://127.0.00000000001:{p}/ http://127.0000000001:{p}/
http://0:{p}/ http://0.:{p}/ http://00:{p}/ http://0000:{p}/ http://0x0:{p}/ http://0.0:{p}/
http://0.0.0:{p}/ http://0.0.0.0:{p}/ http://0x0.0x0.0x0.0x0:{p}/ http://000.000.000.000:{p}/ http://0x:{p}/
HTTP://127.0.0.1:{p}/ HtTp://127.0.0.1:{p}/ hTTP://127.0.0.1:0{p}/ http://127.0.0.1:000{p}/
http://%31%32%37.0.0.1:{p}/ http://127%2e0%2e0%2e1:{p}/ http://127.0.0.%31:{p}/ http://%30x7f%2E1:{p}/
http://%EF%BC%91%EF%BC%92%EF%BC%97.0.0.1:{p}/ http://１２７.０.０.１:{p}/ http://127。0。0。1:{p}/
http://127｡0｡0｡1:{p}/ http://127．0．0．1:{p}/ http://①②⑦.⓪.⓪.①:{p}/ http://𝟏𝟐𝟕.𝟎.𝟎.𝟏:{p}/
http://𝟙𝟚𝟟.𝟘.𝟘.𝟙:{p}/ http://𝟷𝟸𝟽.𝟶.𝟶.𝟷:{p}/ http://¹²⁷.⁰.⁰.¹:{p}/ http://₁₂₇.₀.₀.₁:{p}/
http://０ｘ７ｆ.1:{p}/ http://０ｘ７ｆ００００01:{p}/ http://２１３０７０６４３３:{p}/ http://12\u{ad}7.0.0.1:{p}/
http://127\u{200b}.0.0.1:{p}/ http://1\u{2060}27.0.0.1:{p}/ http://127.0.0.1\u{feff}:{p}/
http://127.0.0.1:{p} http://127.0.0.1:{p}?x http://127.0.0.1:{p}#x http://127.0.0.1:{p}/#@example.com/
http://127.0.0.1:{p}/?@example.com/ http://127.0.0.1:{p}/http://example.com/ http://@127.0.0.1:{p}/
";

/// The same for IPv6. Linux connects the mapped forms to 127.0.0.1 and `::` to `::1`.
pub(crate) const LOOPBACK_V6: &str = "
http://[::1]:{p}/ http://[0::1]:{p}/ http://[::0:1]:{p}/ http://[0:0::1]:{p}/ http://[::0001]:{p}/
http://[0:0:0:0:0:0:0:1]:{p}/ http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/ http://[::0.0.0.1]:{p}/
HTTP://[::1]:{p}/ http://@[::1]:{p}/ http://[::]:{p}/ http://[::0]:{p}/ http://[0:0:0:0:0:0:0:0]:{p}/
http://[::0.0.0.0]:{p}/ http://[::ffff:127.0.0.1]:{p}/ http://[::FFFF:127.0.0.1]:{p}/
http://[::ffff:7f00:1]:{p}/ http://[0:0:0:0:0:ffff:127.0.0.1]:{p}/ http://[0::ffff:7f00:0001]:{p}/
http://[::ffff:0.0.0.0]:{p}/
";

/// Names that the test's resolver answers with 127.0.0.1 and ::1.
pub(crate) const NAMES: &str = "
http://localhost:{p}/ http://LOCALHOST:{p}/ http://LocalHost:{p}/ http://localhost.:{p}/
http://localhost.localdomain:{p}/ http://ip6-localhost:{p}/ http://ip6-loopback:{p}/ http://a.localhost:{p}/
http://ｌｏｃａｌｈｏｓｔ:{p}/ http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/ http://localhoſt:{p}/ http://loc\u{ad}alhost:{p}/
http://loc\u{200b}alhost:{p}/ http://%6cocalhost:{p}/ http://%6C%6F%63alhost:{p}/ http://localhost。:{p}/
http://127.0.0.1.nip.io:{p}/ http://localtest.me:{p}/ http://lvh.me:{p}/ http://spoofed.example:{p}/
http://kubernetes.default.svc:{p}/ http://host.docker.internal:{p}/ http://metadata.google.internal:{p}/
http://metadata:{p}/ http://router.lan:{p}/ http://printer.local:{p}/ http://b%C3%BCcher.example:{p}/
http://xn--bcher-kva.example:{p}/ http://a_b.example:{p}/ http://1.2.3.4.5.example:{p}/
http://example.com:{p}/
http://example.com:{p}#@127.0.0.1/ http://example.com:{p}?@127.0.0.1/ http://example.com:{p}/@127.0.0.1/
";

/// Private, reserved and translated addresses, and where clouds answer about themselves.
pub(crate) const PRIVATE: &str = "
http://10.0.0.1:{p}/ http://10.1:{p}/ http://167772161:{p}/ http://0xa000001:{p}/ http://012.0.0.1:{p}/
http://172.16.0.1:{p}/ http://172.31.255.255:{p}/ http://2886729729:{p}/ http://192.168.0.1:{p}/
http://192.168.1:{p}/ http://3232235521:{p}/ http://0300.0250.0.1:{p}/ http://100.64.0.1:{p}/
http://198.18.0.1:{p}/ http://192.0.2.1:{p}/ http://198.51.100.1:{p}/ http://203.0.113.1:{p}/
http://192.88.99.1:{p}/ http://224.0.0.1:{p}/ http://239.255.255.250:{p}/ http://240.0.0.1:{p}/
http://255.255.255.255:{p}/ http://4294967295:{p}/ http://0xffffffff:{p}/ http://037777777777:{p}/
http://169.254.169.254/latest/meta-data/ http://169.254.169.254:{p}/ http://169.254.169.254.:{p}/
http://2852039166:{p}/ http://0xa9fea9fe:{p}/ http://0xA9.0xFE.0xA9.0xFE:{p}/ http://169.254.43518:{p}/
http://0251.0376.0251.0376:{p}/ http://0251.0xfe.43518:{p}/ http://025177524776:{p}/ http://169.16689662:{p}/
http://１６９.２５４.１６９.２５４:{p}/ http://169。254。169。254:{p}/ http://169.254.170.2:{p}/
http://100.100.100.200:{p}/ http://192.0.0.192:{p}/ http://168.63.129.16:{p}/ http://169.254.0.23:{p}/
http://[::ffff:169.254.169.254]:{p}/ http://[::ffff:a9fe:a9fe]:{p}/ http://[::ffff:8.8.8.8]:{p}/
http://[::ffff:10.0.0.1]:{p}/ http://[::127.0.0.1]:{p}/ http://[::7f00:1]:{p}/ http://[::a9fe:a9fe]:{p}/
http://[::ffff:0:127.0.0.1]:{p}/ http://[::ffff:0:7f00:1]:{p}/ http://[64:ff9b::127.0.0.1]:{p}/
http://[64:ff9b::7f00:1]:{p}/ http://[64:ff9b::a9fe:a9fe]:{p}/ http://[64:ff9b:1::127.0.0.1]:{p}/
http://[64:ff9b:1::a00:1]:{p}/ http://[2002:7f00:1::]:{p}/ http://[2002:7f00:1::1]:{p}/
http://[2002:a00:1::1]:{p}/ http://[2002:a9fe:a9fe::1]:{p}/ http://[2001::1]:{p}/
http://[2001:0:7f00:1::]:{p}/ http://[2001:0:4136:e378:8000:63bf:80ff:fffe]:{p}/ http://[2001:db8::1]:{p}/
http://[2a00::5efe:7f00:1]:{p}/ http://[2a00::5efe:127.0.0.1]:{p}/ http://[2a00::200:5efe:10.0.0.1]:{p}/
http://[fe80::5efe:127.0.0.1]:{p}/ http://[fe80::1]:{p}/ http://[fe80::a9fe:a9fe]:{p}/ http://[fec0::1]:{p}/
http://[fc00::1]:{p}/ http://[fd00::1]:{p}/ http://[fd00:ec2::254]:{p}/ http://[fd20:ce::254]:{p}/
http://[ff02::1]:{p}/ http://[100::1]:{p}/ http://[3fff::1]:{p}/ http://[5f00::1]:{p}/ http://[4000::1]:{p}/
https://127.0.0.1:{p}/ https://[::1]:{p}/ https://2130706433:{p}/ https://localhost:{p}/ HTTPS://0:{p}/
";

/// Texts that are refused for what they are, one each line.
pub(crate) const MALFORMED: &[&str] = &[
    "",
    "?",
    "/",
    "//",
    "127.0.0.1:{p}",
    "localhost:{p}",
    "//127.0.0.1:{p}/",
    "///127.0.0.1:{p}/",
    "/127.0.0.1:{p}/",
    "http:127.0.0.1:{p}/",
    "http:/127.0.0.1:{p}/",
    "http:///127.0.0.1:{p}/",
    "http:////127.0.0.1:{p}/",
    "https:127.0.0.1:{p}/",
    "https:/127.0.0.1:{p}/",
    "https:///127.0.0.1:{p}/",
    "http//127.0.0.1:{p}/",
    "http://",
    "http://:{p}/",
    "http://?x",
    "http://#x",
    "://127.0.0.1:{p}/",
    "http:\\\\127.0.0.1:{p}\\",
    "http:/\\127.0.0.1:{p}/",
    "http:\\/127.0.0.1:{p}/",
    "\\\\127.0.0.1:{p}\\a",
    "http://\\127.0.0.1:{p}/",
    "http://127.0.0.1:{p}\\@example.com/",
    "http://example.com\\@127.0.0.1:{p}/",
    "http://user@127.0.0.1:{p}/",
    "http://user:pass@127.0.0.1:{p}/",
    "http://:pass@127.0.0.1:{p}/",
    "http://example.com@127.0.0.1:{p}/",
    "http://example.com:80@127.0.0.1:{p}/",
    "http://example.com%40@127.0.0.1:{p}/",
    "http://example.com;@127.0.0.1:{p}/",
    "http://example.com&@127.0.0.1:{p}#@example.com/",
    "http://127.0.0.1:{p}@example.com/",
    "http://a@127.0.0.1:{p}@example.com/",
    "http://example.com@[::1]:{p}/",
    "http://a%00@127.0.0.1:{p}/",
    " http://127.0.0.1:{p}/",
    "http://127.0.0.1:{p}/ ",
    "\thttp://127.0.0.1:{p}/",
    "http://127.0.0.1:{p}/\n",
    "ht\ttp://127.0.0.1:{p}/",
    "ht\ntp://127.0.0.1:{p}/",
    "http:/\t/127.0.0.1:{p}/",
    "http://\t127.0.0.1:{p}/",
    "http://127.\r\n0.0.1:{p}/",
    "http://127.0.0.1\t:{p}/",
    "http://127.0.0.1:{p}/\r\nHost: a",
    "http://127.0.0.1 :{p}/",
    "http://127.0.0.1\u{0}:{p}/",
    "\u{1}http://127.0.0.1:{p}/",
    "http://127.0.0.1\u{a0}:{p}/",
    "\u{feff}http://127.0.0.1:{p}/",
    "http://127.0.0.1\u{2028}:{p}/",
    "http://[::1%25lo]:{p}/",
    "http://[::1%lo]:{p}/",
    "http://[fe80::1%25eth0]:{p}/",
    "http://[fe80::1%eth0]:{p}/",
    "http://[fe80::1%251]:{p}/",
    "http://[::1]%25lo:{p}/",
    "http://[::1:{p}/",
    "http://::1:{p}/",
    "http://[127.0.0.1]:{p}/",
    "http://[::1].example:{p}/",
    "http://[[::1]]:{p}/",
    "http://[::ffff:127.1]:{p}/",
    "http://[::ffff:0x7f.0.0.1]:{p}/",
    "http://%5b::1%5d:{p}/",
    "http://127.0.0.1:{p}:80/",
    "http://127.0.0.1:-1/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:0x50/",
    "http://127.0.0.1:８０/",
    "http://256.256.256.256:{p}/",
    "http://127.0.0.0.1:{p}/",
    "http://4294967296:{p}/",
    "http://0x100000000:{p}/",
    "http://127.0.0.08:{p}/",
    "http://127.0..1:{p}/",
    "http://127.0.0.1%00:{p}/",
    "http://127.0.0.1%20:{p}/",
    "http://127.0.0.1%2f:{p}/",
    "http://127.0.0.1%5c:{p}/",
    "http://127.0.0.1%23.example.com:{p}/",
    "http://a%40127.0.0.1:{p}/",
    "http://xn--zzzzzzzz99999:{p}/",
    "data:image/png;base64,iVBORw0KGgo=",
    "data:text/plain,http://127.0.0.1:{p}/",
    "file:///etc/passwd",
    "FILE:///etc/passwd",
    "file://127.0.0.1/etc/passwd",
    "gopher://127.0.0.1:{p}/_GET%20/",
    "ftp://127.0.0.1:{p}/a",
    "ftps://127.0.0.1:{p}/a",
    "sftp://127.0.0.1:{p}/a",
    "tftp://127.0.0.1:{p}/a",
    "dict://127.0.0.1:{p}/d:a",
    "ldap://127.0.0.1:{p}/",
    "ldaps://127.0.0.1:{p}/",
    "ssh://127.0.0.1:{p}/",
    "telnet://127.0.0.1:{p}/",
    "smb://127.0.0.1:{p}/a",
    "redis://127.0.0.1:{p}/0",
    "ws://127.0.0.1:{p}/",
    "wss://127.0.0.1:{p}/",
    "jar:http://127.0.0.1:{p}/a!/b",
    "view-source:http://127.0.0.1:{p}/",
    "blob:http://127.0.0.1:{p}/a",
    "feed:http://127.0.0.1:{p}/",
    "unix:/var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/a",
    "httpx://127.0.0.1:{p}/",
    "xhttp://127.0.0.1:{p}/",
    "url:http://127.0.0.1:{p}/",
    "netdoc:///etc/passwd",
    "php://filter/resource=http://127.0.0.1:{p}/",
    "javascript:fetch('http://127.0.0.1:{p}/')",
    "about:blank",
    "mailto:a@127.0.0.1",
    "chrome://version",
];

//! Pictures made by hand: PNG files of one shade, without compression, so that their size is known.
//!
//! Invariant: a picture is whole, with right checksums, whatever it claims to be. Not here: sending it.

use data_encoding::BASE64;

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// A grey picture; other shades are other bytes.
pub(crate) fn png(width: u32, height: u32, shade: u8) -> Vec<u8> {
    let mut rows = Vec::new();
    for _ in 0..height {
        rows.push(0);
        rows.resize(rows.len() + usize::try_from(width).expect("a width"), shade);
    }
    file(width, height, &rows)
}

/// A picture of a thousandth of the bytes that its pixels would take.
pub(crate) fn bomb(width: u32, height: u32) -> Vec<u8> {
    let pixels = usize::try_from(width).expect("a width") * usize::try_from(height).expect("a height");
    file(width, height, &vec![0; pixels / 1000])
}

/// A picture as text, the way requests carry it.
pub(crate) fn data_uri(picture: &[u8]) -> String {
    format!("data:image/png;base64,{}", BASE64.encode(picture))
}

fn file(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]);
    [SIGNATURE, &chunk(b"IHDR", &header), &chunk(b"IDAT", &stored(rows)), &chunk(b"IEND", b"")].concat()
}

fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let body = [name.as_slice(), content].concat();
    let length = u32::try_from(content.len()).expect("a small chunk").to_be_bytes();
    [length.as_slice(), &body, &crc32(&body).to_be_bytes()].concat()
}

/// A zlib stream of stored blocks.
fn stored(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = bytes.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        let length = u16::try_from(block.len()).expect("a small block");
        out.push(u8::from(blocks.peek().is_none()));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend(adler32(bytes).to_be_bytes());
    out
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1_u32, 0_u32);
    for piece in bytes.chunks(5_000) {
        for byte in piece {
            low += u32::from(*byte);
            high += low;
        }
        low %= 65_521;
        high %= 65_521;
    }
    (high << 16) | low
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0_u32; 256];
    for (place, index) in table.iter_mut().zip(0_u32..) {
        *place = (0..8).fold(index, |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 });
    }
    let step = |sum: u32, byte: &u8| (sum >> 8) ^ table[usize::from(sum.to_le_bytes()[0] ^ byte)];
    !bytes.iter().fold(u32::MAX, step)
}

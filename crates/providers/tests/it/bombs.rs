//! Small files that claim, or become, much when they are read.
//!
//! Invariant: all are made here, byte by byte; no encoder makes them. Not here: what is expected of them.

/// A PNG of 8-bit grey with the given chunks before its picture data.
pub(crate) fn png(width: u32, height: u32, chunks: &[(&[u8; 4], Vec<u8>)], data: &[u8]) -> Vec<u8> {
    let mut header = [width.to_be_bytes(), height.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]);
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    put_chunk(&mut file, b"IHDR", &header);
    for (name, body) in chunks {
        put_chunk(&mut file, name, body);
    }
    put_chunk(&mut file, b"IDAT", data);
    put_chunk(&mut file, b"IEND", &[]);
    file
}

fn put_chunk(file: &mut Vec<u8>, name: &[u8; 4], body: &[u8]) {
    file.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    let start = file.len();
    file.extend(name);
    file.extend(body);
    let sum = crc32fast::hash(&file[start..]);
    file.extend(sum.to_be_bytes());
}

/// A PNG whose pixels are all black, and all there.
pub(crate) fn black_png(width: u32, height: u32) -> Vec<u8> {
    let bytes = u64::from(height) * (u64::from(width) + 1);
    png(width, height, &[], &zeros(bytes))
}

/// At least so many zeros, compressed about 159 times: one literal, and then repeats of 258.
pub(crate) fn zeros(length: u64) -> Vec<u8> {
    let repeats = length.saturating_sub(1).div_ceil(258);
    let total = 1 + repeats * 258;
    let mut bits = Bits { bytes: vec![0x78, 0x01], held: 0, count: 0 };
    // The last block, with the fixed codes; a literal zero is 00110000.
    bits.put(0b011, 3);
    bits.put(0b0000_1100, 8);
    for _ in 0..repeats {
        // Length 258 is 11000101, and distance 1 is 00000; codes go with their first bit first.
        bits.put(0b1010_0011, 13);
    }
    bits.put(0, 7);
    bits.put(0, 7);
    let mut bytes = bits.bytes;
    let sum = u32::try_from(total % 65_521).unwrap() << 16 | 1;
    bytes.extend(sum.to_be_bytes());
    bytes
}

struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    fn put(&mut self, value: u64, count: u32) {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.held.to_le_bytes()[0]);
            self.held >>= 8;
            self.count -= 8;
        }
    }
}

/// A text chunk that becomes `length` bytes.
pub(crate) fn text(length: u64) -> Vec<u8> {
    [b"Comment\0\0".to_vec(), zeros(length)].concat()
}

/// A WebP of the given chunks.
pub(crate) fn webp(chunks: &[(&[u8; 4], &[u8])]) -> Vec<u8> {
    let mut inside = b"WEBP".to_vec();
    for (name, body) in chunks {
        inside.extend_from_slice(*name);
        inside.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        inside.extend_from_slice(body);
        inside.resize(inside.len().next_multiple_of(2), 0);
    }
    [b"RIFF".to_vec(), u32::try_from(inside.len()).unwrap().to_le_bytes().to_vec(), inside].concat()
}

/// The extended header of a WebP.
pub(crate) fn canvas(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let mut body = vec![flags, 0, 0, 0];
    body.extend(&(width - 1).to_le_bytes()[..3]);
    body.extend(&(height - 1).to_le_bytes()[..3]);
    body
}

/// The start of a lossless picture.
pub(crate) fn lossless(width: u32, height: u32) -> Vec<u8> {
    let mut body = vec![0x2f];
    body.extend(((width - 1) | (height - 1) << 14).to_le_bytes());
    body
}

/// The start of a lossy picture.
pub(crate) fn lossy(width: u16, height: u16) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 0x9d, 0x01, 0x2a];
    body.extend(width.to_le_bytes());
    body.extend(height.to_le_bytes());
    body.push(7);
    body
}

/// A true picture of 40 by 24 pixels.
pub(crate) fn small(format: image::ImageFormat) -> Vec<u8> {
    let mut file = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_pixel(40, 24, image::Rgb([200, 100, 50])).write_to(&mut file, format).unwrap();
    file.into_inner()
}

/// A JPEG whose frame header claims another size.
pub(crate) fn jpeg_of(width: u16, height: u16) -> Vec<u8> {
    let mut file = small(image::ImageFormat::Jpeg);
    let at = frame_header(&file) + 5;
    file[at..at + 2].copy_from_slice(&height.to_be_bytes());
    file[at + 2..at + 4].copy_from_slice(&width.to_be_bytes());
    file
}

fn frame_header(file: &[u8]) -> usize {
    file.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap()
}

/// A JPEG whose scan is there many times.
pub(crate) fn jpeg_of_scans(scans: usize) -> Vec<u8> {
    let file = small(image::ImageFormat::Jpeg);
    let start = file.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
    let end = file.len() - 2;
    let mut many = file[..start].to_vec();
    for _ in 0..scans {
        many.extend_from_slice(&file[start..end]);
    }
    many.extend_from_slice(&file[end..]);
    many
}

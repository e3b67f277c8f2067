//! Archives in the form that every `tar` reads (POSIX ustar).
//!
//! Invariant: a header is one block, and tells the size before the bytes come; a size beyond what ustar holds
//! is written as GNU does. Not here: what is in an archive.

/// Everything in an archive is a multiple of this.
pub(crate) const BLOCK: usize = 512;
/// The longest name that fits into a header of ours.
const NAME_MAX: usize = 100;
/// The greatest size of eleven octal digits.
const OCTAL_MAX: u64 = 0o777_7777_7777;

/// The header of a regular file, or none if its name is too long.
pub(crate) fn header(name: &str, size: u64, modified_s: i64) -> Option<[u8; BLOCK]> {
    let mut block = [0u8; BLOCK];
    if name.len() > NAME_MAX {
        return None;
    }
    put(&mut block, 0, name.as_bytes());
    put(&mut block, 100, b"0000600\0");
    put(&mut block, 108, b"0000000\0");
    put(&mut block, 116, b"0000000\0");
    put(&mut block, 124, &size_field(size));
    let modified_s = u64::try_from(modified_s).unwrap_or(0).min(OCTAL_MAX);
    put(&mut block, 136, format!("{modified_s:011o}\0").as_bytes());
    // The sum counts its own field as spaces.
    put(&mut block, 148, b"        ");
    put(&mut block, 156, b"0");
    put(&mut block, 257, b"ustar\x0000");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    put(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    Some(block)
}

fn size_field(size: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if size <= OCTAL_MAX {
        put(&mut field, 0, format!("{size:011o}\0").as_bytes());
    } else {
        put(&mut field, 0, &[0x80]);
        put(&mut field, 4, &size.to_be_bytes());
    }
    field
}

fn put(block: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = block.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// How many zero bytes follow a file of a size.
pub(crate) fn padding(size: u64) -> usize {
    let rest = usize::try_from(size % 512).unwrap_or(0);
    (BLOCK - rest) % BLOCK
}

/// What an archive ends with.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write,
        process::{Command, Stdio},
    };

    #[test]
    fn fields_stand_where_readers_look() {
        let block = header("files/task_x/0.png", 1_000, 1_742_291_400).unwrap();
        let text = |range: std::ops::Range<usize>| {
            std::str::from_utf8(&block[range]).unwrap().trim_end_matches('\0').to_owned()
        };
        assert_eq!(text(0..100), "files/task_x/0.png");
        assert_eq!(text(124..136), "00000001750");
        assert_eq!(text(136..148), "14766240710");
        assert_eq!(&block[257..265], b"ustar\x0000");
        assert_eq!(header(&"x".repeat(100), 0, 0).map(|block| block[99]), Some(b'x'));
        assert!(header(&"x".repeat(101), 0, 0).is_none());
        assert_eq!([0, 1, 511, 512, 513].map(padding), [0, 511, 1, 0, 511]);
    }

    /// The system's own tar is the judge.
    #[test]
    fn tar_reads_it() {
        let mut archive = Vec::new();
        for (name, bytes) in [("a.json", &b"{}"[..]), ("files/t/0.bin", &[7; 513][..]), ("empty", &[][..])] {
            let size = u64::try_from(bytes.len()).unwrap();
            archive.extend(header(name, size, 1_742_291_400).unwrap());
            archive.extend(bytes);
            archive.extend(vec![0; padding(size)]);
        }
        archive.extend(END);
        let mut tar = Command::new("tar")
            .args(["-tvf", "-", "--utc"])
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar runs");
        tar.stdin.take().unwrap().write_all(&archive).unwrap();
        let listed = tar.wait_with_output().unwrap();
        assert!(listed.status.success(), "{listed:?}");
        let listed = String::from_utf8(listed.stdout).unwrap();
        let columns = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            (words[0].to_owned(), words[2].to_owned(), words[3].to_owned(), words[5].to_owned())
        };
        let row = |size: &str, name: &str| {
            ("-rw-------".to_owned(), size.to_owned(), "2025-03-18".to_owned(), name.to_owned())
        };
        let rows: Vec<_> = listed.lines().map(columns).collect();
        assert_eq!(rows, [row("2", "a.json"), row("513", "files/t/0.bin"), row("0", "empty")]);
    }

    #[test]
    fn a_size_beyond_octal_is_binary() {
        let block = header("big", 8_589_934_592, 0).unwrap();
        assert_eq!(block[124..136], [0x80, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
    }
}

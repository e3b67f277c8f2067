//! Images to start from: addresses and ids as they are, files of this machine with their bytes.
//!
//! Invariant: the same file always becomes the same text, so that a request can be sent again under its id.
//! Not here: whether a model takes images.

use crate::failure::Failure;
use data_encoding::BASE64;
use std::{fs, path::Path};

/// The most bytes of all files together: as text they have to fit a request.
const BYTES_MAX: u64 = 20_000_000;

/// What a request says for these inputs.
pub(super) fn addresses(inputs: &[String]) -> Result<Vec<String>, Failure> {
    let mut left = BYTES_MAX;
    inputs.iter().map(|input| address(input, &mut left)).collect()
}

fn address(input: &str, left: &mut u64) -> Result<String, Failure> {
    let is_file = Path::new(input).is_file();
    let is_address = ["http://", "https://", "data:"].iter().any(|scheme| input.starts_with(scheme));
    if is_address || (input.starts_with("file_") && !is_file) {
        return Ok(input.to_owned());
    }
    let bytes = fs::read(input).map_err(|error| {
        Failure::usage(format!("can't read the input {input}: {error}"))
            .suggest("an input is a file, an http or https address, or a file_… id")
    })?;
    let kind = kind(&bytes).ok_or_else(|| {
        Failure::usage(format!("{input} is no picture that can be sent")).suggest("send PNG, JPEG or WebP")
    })?;
    *left = left.checked_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX)).ok_or_else(|| {
        Failure::usage(format!("the inputs have more than {} MB", BYTES_MAX / 1_000_000))
            .suggest("upload them with POST /v1/files and name their file_… ids")
    })?;
    Ok(format!("data:{kind};base64,{}", BASE64.encode(&bytes)))
}

/// The media type, by the first bytes.
fn kind(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_become_their_bytes_and_addresses_stay() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("a.bin");
        fs::write(&picture, b"\x89PNG").unwrap();
        let name = picture.to_str().unwrap().to_owned();
        let urls = addresses(&["https://h/a".to_owned(), "file_1".to_owned(), name]).unwrap();
        assert_eq!(urls, ["https://h/a", "file_1", "data:image/png;base64,iVBORw=="]);
        fs::write(&picture, b"text").unwrap();
        assert!(addresses(&[picture.to_str().unwrap().to_owned()]).is_err());
        assert!(addresses(&["no-such-file".to_owned()]).is_err());
    }
}

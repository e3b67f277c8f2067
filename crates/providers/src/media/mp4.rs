//! MP4: a bounded walk over its boxes for the length, the size of the video track, and the media data.
//!
//! Invariant: boxes are entered to a fixed depth by name (moov, trak, mdia), never by recursion, and a box
//! that reaches outside its parent is refused. Not here: codecs, samples, edit lists, rotation.

use super::{Kind, Media, MediaError, field::View, milliseconds};

/// More tracks than any player shows.
const MAX_TRACKS: u32 = 64;

/// Brands of files that browsers play as `video/mp4`, by their first letters.
const PLAYABLE_BRANDS: [&[u8]; 6] = [b"iso", b"mp4", b"avc1", b"M4V", b"dash", b"3gp"];

/// Brands that are looked at; no encoder writes more.
const BRANDS_BYTES_MAX: u64 = 64 << 10;

fn broken(problem: &'static str) -> MediaError {
    MediaError::Broken { format: "MP4", problem }
}

/// One box: its name and what is inside.
struct Part<'a> {
    name: [u8; 4],
    body: View<'a>,
}

/// The boxes of a container, in order; ends at the first lie.
struct Parts<'a> {
    rest: View<'a>,
    /// Only the last box of a file may leave its size open.
    is_file: bool,
    ended: bool,
}

impl<'a> Parts<'a> {
    fn read(&mut self) -> Option<Part<'a>> {
        let name = self.rest.array(4)?;
        let (header, size) = match self.rest.be_u32(0)? {
            0 if self.is_file => (8, self.rest.bytes()),
            1 => (16, self.rest.be_u64(8)?),
            size => (8, u64::from(size)),
        };
        let body = self.rest.part(header, size.checked_sub(header)?)?;
        self.rest = self.rest.rest(size)?;
        Some(Part { name, body })
    }
}

impl<'a> Iterator for Parts<'a> {
    type Item = Result<Part<'a>, MediaError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Encoders end some containers with four zero bytes.
        if self.ended
            || self.rest.is_empty()
            || (!self.is_file && self.rest.bytes() == 4 && self.rest.is_zero())
        {
            return None;
        }
        let read = self.read();
        if read.is_none() {
            self.ended = true;
        }
        let cut_off = if self.is_file { "a box is cut off" } else { "a box is larger than what it is in" };
        Some(read.ok_or_else(|| broken(cut_off)))
    }
}

fn inside(body: View<'_>) -> Parts<'_> {
    Parts { rest: body, is_file: false, ended: false }
}

/// What the movie header and the tracks tell.
#[derive(Default)]
struct Movie {
    /// Units per second and units.
    length: Option<(u32, u64)>,
    /// For files in fragments, where the header's length is zero.
    fragments_length: Option<u64>,
    frame: Option<(u32, u32)>,
    tracks: u32,
}

/// An MP4 with a video track.
pub(super) fn mp4(bytes: View<'_>) -> Result<Media, MediaError> {
    let mut movie = None;
    let mut data_bytes = 0_u64;
    for (index, read) in (Parts { rest: bytes, is_file: true, ended: false }).enumerate() {
        let read = read?;
        match &read.name {
            b"ftyp" if index == 0 => check_brands(read.body)?,
            b"moov" if movie.is_some() => return Err(broken("two movie headers (moov)")),
            b"moov" => movie = Some(read_movie(read.body)?),
            b"mdat" => data_bytes = data_bytes.saturating_add(read.body.bytes()),
            _ => {}
        }
    }
    let movie = movie.ok_or_else(|| broken("no movie header (moov)"))?;
    if data_bytes == 0 {
        return Err(broken("no media data (mdat)"));
    }
    let (units_per_second, units) = movie.length.ok_or_else(|| broken("no length (mvhd)"))?;
    let units = if units == 0 { movie.fragments_length.filter(|units| *units > 0) } else { Some(units) };
    let (width, height) = movie.frame.ok_or_else(|| broken("no video track"))?;
    Ok(Media {
        kind: Kind::Video,
        mime: "video/mp4",
        extension: "mp4",
        width: Some(width),
        height: Some(height),
        duration_ms: units.and_then(|units| milliseconds(units, u64::from(units_per_second))),
    })
}

fn check_brands(body: View<'_>) -> Result<(), MediaError> {
    let major = body.array(0).ok_or_else(|| broken("no brand (ftyp)"))?;
    // Behind the major brand is a version number, then the compatible brands.
    let mut compatible = (8..body.bytes().min(BRANDS_BYTES_MAX)).step_by(4).filter_map(|at| body.array(at));
    let is_picture = matches!(&major, b"avif" | b"avis" | b"heic" | b"heix" | b"hevc" | b"mif1" | b"msf1");
    if is_picture {
        return Err(MediaError::Unsupported { found: "AVIF or HEIC" });
    }
    let plays = |brand: &[u8; 4]| PLAYABLE_BRANDS.iter().any(|known| brand.starts_with(known));
    if plays(&major) || compatible.any(|brand| plays(&brand)) {
        Ok(())
    } else {
        Err(MediaError::Unsupported { found: "QuickTime or unknown MP4" })
    }
}

fn read_movie(body: View<'_>) -> Result<Movie, MediaError> {
    let mut movie = Movie::default();
    for read in inside(body) {
        let read = read?;
        match &read.name {
            b"mvhd" => {
                let length = movie_length(read.body);
                movie.length = Some(length.ok_or_else(|| broken("impossible length (mvhd)"))?);
            }
            b"mvex" => movie.fragments_length = fragments_length(read.body)?,
            b"trak" => {
                movie.tracks += 1;
                if movie.tracks > MAX_TRACKS {
                    return Err(broken("too many tracks"));
                }
                if let Some(frame) = video_frame(read.body)? {
                    movie.frame.get_or_insert(frame);
                }
            }
            _ => {}
        }
    }
    Ok(movie)
}

/// Units per second and units; none when the rate is zero. An unknown length is written as all ones.
fn movie_length(body: View<'_>) -> Option<(u32, u64)> {
    let (rate, units) = if body.byte(0)? == 1 {
        (body.be_u32(20)?, Some(body.be_u64(24)?).filter(|units| *units != u64::MAX))
    } else {
        let units = body.be_u32(16)?;
        (body.be_u32(12)?, Some(u64::from(units)).filter(|_| units != u32::MAX))
    };
    (rate > 0).then_some((rate, units.unwrap_or(0)))
}

fn fragments_length(body: View<'_>) -> Result<Option<u64>, MediaError> {
    for read in inside(body) {
        let read = read?;
        if &read.name == b"mehd" {
            let is_long = read.body.byte(0) == Some(1);
            return Ok(if is_long { read.body.be_u64(4) } else { read.body.be_u32(4).map(u64::from) });
        }
    }
    Ok(None)
}

/// Width and height of a track, if it is a video track.
fn video_frame(track: View<'_>) -> Result<Option<(u32, u32)>, MediaError> {
    let mut size = None;
    let mut is_video = false;
    for read in inside(track) {
        let read = read?;
        match &read.name {
            b"tkhd" => size = track_size(read.body),
            b"mdia" => is_video = is_video_media(read.body)?,
            _ => {}
        }
    }
    match size {
        _ if !is_video => Ok(None),
        Some((width, height)) if width > 0 && height > 0 => Ok(Some((width, height))),
        _ => Err(broken("impossible frame size (tkhd)")),
    }
}

/// Sizes are 16.16 fixed point, at the end of the header; its version moves them.
fn track_size(body: View<'_>) -> Option<(u32, u32)> {
    let at = if body.byte(0)? == 1 { 88 } else { 76 };
    Some((body.be_u32(at)? >> 16, body.be_u32(at + 4)? >> 16))
}

fn is_video_media(body: View<'_>) -> Result<bool, MediaError> {
    for read in inside(body) {
        let read = read?;
        if &read.name == b"hdlr" {
            return Ok(read.body.array(8) == Some(*b"vide"));
        }
    }
    Ok(false)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    fn mp4(bytes: &[u8]) -> Result<Media, MediaError> {
        super::mp4(View::of(&bytes))
    }

    fn boxed(name: &[u8; 4], bodies: &[&[u8]]) -> Vec<u8> {
        let body = bodies.concat();
        let mut made = u32::try_from(body.len() + 8).unwrap().to_be_bytes().to_vec();
        made.extend_from_slice(name);
        made.extend_from_slice(&body);
        made
    }

    fn file_type() -> Vec<u8> {
        boxed(b"ftyp", &[b"isom\0\0\x02\0isomiso2mp41"])
    }

    fn movie_header(rate: u32, units: u32) -> Vec<u8> {
        boxed(b"mvhd", &[&[0; 12], &rate.to_be_bytes(), &units.to_be_bytes(), &[0; 80]])
    }

    fn track(handler: &[u8; 4], width: u32, height: u32) -> Vec<u8> {
        let size = [(width << 16).to_be_bytes(), (height << 16).to_be_bytes()].concat();
        let header = boxed(b"tkhd", &[&[0; 76], &size]);
        let media = boxed(b"mdia", &[&boxed(b"hdlr", &[&[0; 8], handler, &[0; 13]])]);
        boxed(b"trak", &[&header, &media])
    }

    fn with_movie(parts: &[&[u8]]) -> Vec<u8> {
        [file_type(), boxed(b"moov", parts), boxed(b"mdat", &[b"frames"])].concat()
    }

    pub(in crate::media) fn small_mp4() -> Vec<u8> {
        with_movie(&[&movie_header(600, 3_001), &track(b"soun", 0, 0), &track(b"vide", 640, 360)])
    }

    pub(in crate::media) fn fragmented_mp4() -> Vec<u8> {
        let extends = boxed(b"mvex", &[&boxed(b"mehd", &[&[0; 4], &5_000_u32.to_be_bytes()])]);
        with_movie(&[&movie_header(1_000, 0), &track(b"vide", 64, 64), &extends])
    }

    fn clip(width: u32, height: u32, duration_ms: Option<u64>) -> Result<Media, MediaError> {
        let (kind, mime, extension) = (Kind::Video, "video/mp4", "mp4");
        Ok(Media { kind, mime, extension, width: Some(width), height: Some(height), duration_ms })
    }

    #[test]
    fn length_and_size_are_read() {
        assert_eq!(mp4(&small_mp4()), clip(640, 360, Some(5_002)));
        assert_eq!(mp4(&fragmented_mp4()), clip(64, 64, Some(5_000)));
        let unknown = with_movie(&[&movie_header(1_000, u32::MAX), &track(b"vide", 2, 2)]);
        assert_eq!(mp4(&unknown), clip(2, 2, None));
    }

    #[test]
    fn long_headers_are_read() {
        let rate_and_units = [&600_u32.to_be_bytes()[..], &1_200_u64.to_be_bytes()].concat();
        let header = boxed(b"mvhd", &[&[1], &[0; 19], &rate_and_units, &[0; 80]]);
        let size = [(8_u32 << 16).to_be_bytes(), (6_u32 << 16).to_be_bytes()].concat();
        let track_header = boxed(b"tkhd", &[&[1], &[0; 87], &size]);
        let media = boxed(b"mdia", &[&boxed(b"hdlr", &[&[0; 8], b"vide"])]);
        let movie = boxed(b"moov", &[&header, &boxed(b"trak", &[&track_header, &media])]);
        let data = [b"\0\0\0\x01mdat".as_slice(), &20_u64.to_be_bytes(), b"data"].concat();
        let mut file = [file_type(), data, movie].concat();
        assert_eq!(mp4(&file), clip(8, 6, Some(2_000)));
        // The last box of a file may run to its end.
        file.extend_from_slice(b"\0\0\0\0freeanything");
        assert_eq!(mp4(&file), clip(8, 6, Some(2_000)));
    }

    #[test]
    fn broken_files_say_why() {
        let header = movie_header(600, 600);
        let video = track(b"vide", 640, 360);
        let grown = |size: u8| {
            let mut file = with_movie(&[&header, &video]);
            let at = file_type().len() + 8 + 3;
            file[at] = size;
            file
        };
        let table = [
            (with_movie(&[&header]), "no video track"),
            (with_movie(&[&header, &track(b"soun", 640, 360)]), "no video track"),
            (with_movie(&[&video]), "no length (mvhd)"),
            (with_movie(&[&movie_header(0, 600), &video]), "impossible length (mvhd)"),
            (with_movie(&[&header, &track(b"vide", 0, 360)]), "impossible frame size (tkhd)"),
            (with_movie(&[&header, &vec![video.clone(); 65].concat()]), "too many tracks"),
            ([file_type(), boxed(b"mdat", &[b"x"])].concat(), "no movie header (moov)"),
            ([file_type(), boxed(b"moov", &[&header, &video])].concat(), "no media data (mdat)"),
            ([with_movie(&[&header]), boxed(b"moov", &[])].concat(), "two movie headers (moov)"),
            ([small_mp4(), vec![0, 0, 0, 9, 1, 1, 1, 1]].concat(), "a box is cut off"),
            (grown(0xff), "a box is larger than what it is in"),
            (grown(7), "a box is larger than what it is in"),
            (grown(0), "a box is larger than what it is in"),
        ];
        for (file, problem) in table {
            assert_eq!(mp4(&file), Err(broken(problem)));
        }
    }

    #[test]
    fn other_brands_are_named() {
        let brand = |text: &[u8]| mp4(&boxed(b"ftyp", &[text]));
        let refused = |found| Err(MediaError::Unsupported { found });
        assert_eq!(brand(b"avif\0\0\0\0mif1"), refused("AVIF or HEIC"));
        assert_eq!(brand(b"qt  \0\0\0\0qt  "), refused("QuickTime or unknown MP4"));
        assert_eq!(brand(b"qt  \0\0\0\0qt  mp42"), Err(broken("no movie header (moov)")));
    }
}

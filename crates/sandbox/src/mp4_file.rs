//! The MP4 container around H.264 frames.
//!
//! Invariant: the index comes before the frames, so players can start at once, and no time of day is written.
//! Not here: encoding frames.

use std::num::NonZeroU32;

use shiguredo_mp4::boxes::{Avc1Box, AvccBox, SampleEntry, VisualSampleEntryFields};
use shiguredo_mp4::mux::{
    Mp4FileMuxer, Mp4FileMuxerOptions, Sample, TrackMetadata, estimate_maximum_moov_box_size,
};
use shiguredo_mp4::{TrackKind, Uint, Utf8String};

use crate::RenderError;

/// Ticks per second of the file's times: a frame at 24 per second is 1000 ticks, a millisecond is 24.
pub(crate) const TICKS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(23_999);

const SEQUENCE_PARAMETERS: u8 = 7;
const PICTURE_PARAMETERS: u8 = 8;

/// A file being written in memory.
pub(crate) struct Mp4File {
    muxer: Mp4FileMuxer,
    bytes: Vec<u8>,
    size: (u16, u16),
    sequence: Vec<u8>,
    picture: Vec<u8>,
    described: bool,
    frame_start: usize,
}

fn failed(error: impl std::fmt::Display) -> RenderError {
    RenderError::Encoder(error.to_string())
}

impl Mp4File {
    /// Begins a file for a number of frames.
    pub(crate) fn new(width: u16, height: u16, frames: usize) -> Result<Self, RenderError> {
        let name = Utf8String::new("SANDBOX rynjer").unwrap_or_default();
        let options = Mp4FileMuxerOptions {
            reserved_moov_box_size: estimate_maximum_moov_box_size(&[frames]),
            video_track: TrackMetadata { name, ..TrackMetadata::default() },
            ..Mp4FileMuxerOptions::default()
        };
        let muxer = Mp4FileMuxer::with_options(options).map_err(failed)?;
        let bytes = muxer.initial_boxes_bytes().to_vec();
        let size = (width, height);
        let frame_start = bytes.len();
        Ok(Self {
            muxer,
            bytes,
            size,
            sequence: Vec::new(),
            picture: Vec::new(),
            described: false,
            frame_start,
        })
    }

    /// Adds one unit of the current frame, without its start code.
    pub(crate) fn unit(&mut self, unit: &[u8]) -> Result<(), RenderError> {
        match unit.first().map(|byte| byte & 31) {
            Some(SEQUENCE_PARAMETERS) => self.sequence = unit.to_vec(),
            Some(PICTURE_PARAMETERS) => self.picture = unit.to_vec(),
            Some(_) => {
                let length = u32::try_from(unit.len()).map_err(failed)?;
                self.bytes.extend_from_slice(&length.to_be_bytes());
                self.bytes.extend_from_slice(unit);
            }
            None => {}
        }
        Ok(())
    }

    /// Ends the current frame, which lasts for a number of ticks.
    pub(crate) fn end_frame(&mut self, keyframe: bool, ticks: u32) -> Result<(), RenderError> {
        let start = self.frame_start;
        if start == self.bytes.len() {
            return Err(RenderError::Encoder("a frame came out empty".to_owned()));
        }
        self.frame_start = self.bytes.len();
        let sample_entry = if self.described { None } else { Some(self.description()?) };
        self.described = true;
        let sample = Sample {
            track_kind: TrackKind::Video,
            sample_entry,
            keyframe,
            timescale: TICKS_PER_SECOND,
            duration: ticks,
            composition_time_offset: None,
            data_offset: u64::try_from(start).map_err(failed)?,
            data_size: self.bytes.len() - start,
        };
        self.muxer.append_sample(&sample).map_err(failed)
    }

    fn description(&self) -> Result<SampleEntry, RenderError> {
        let [_, profile, compatibility, level, ..] = self.sequence[..] else {
            return Err(RenderError::Encoder("no sequence parameters before the first frame".to_owned()));
        };
        let high = !matches!(profile, 66 | 77 | 88);
        Ok(SampleEntry::Avc1(Avc1Box {
            visual: VisualSampleEntryFields {
                data_reference_index: VisualSampleEntryFields::DEFAULT_DATA_REFERENCE_INDEX,
                width: self.size.0,
                height: self.size.1,
                horizresolution: VisualSampleEntryFields::DEFAULT_HORIZRESOLUTION,
                vertresolution: VisualSampleEntryFields::DEFAULT_VERTRESOLUTION,
                frame_count: VisualSampleEntryFields::DEFAULT_FRAME_COUNT,
                compressorname: VisualSampleEntryFields::NULL_COMPRESSORNAME,
                depth: VisualSampleEntryFields::DEFAULT_DEPTH,
            },
            avcc_box: AvccBox {
                avc_profile_indication: profile,
                profile_compatibility: compatibility,
                avc_level_indication: level,
                length_size_minus_one: Uint::new(3),
                sps_list: vec![self.sequence.clone()],
                pps_list: vec![self.picture.clone()],
                chroma_format: high.then(|| Uint::new(1)),
                bit_depth_luma_minus8: high.then(|| Uint::new(0)),
                bit_depth_chroma_minus8: high.then(|| Uint::new(0)),
                sps_ext_list: Vec::new(),
            },
            unknown_boxes: Vec::new(),
        }))
    }

    /// Writes the index and gives the file.
    pub(crate) fn finish(mut self) -> Result<Vec<u8>, RenderError> {
        let finished = self.muxer.finalize().map_err(failed)?;
        if !finished.is_faststart_enabled() {
            return Err(RenderError::Encoder("the index didn't fit before the frames".to_owned()));
        }
        for (offset, part) in finished.offset_and_bytes_pairs() {
            let start = usize::try_from(offset).map_err(failed)?;
            let place = self
                .bytes
                .get_mut(start..start + part.len())
                .ok_or_else(|| RenderError::Encoder("the index lies outside the file".to_owned()))?;
            place.copy_from_slice(part);
        }
        Ok(self.bytes)
    }
}

//! Colours of a picture: the moods that prompts ask for, as fixed palettes, turned a little by the seed.
//!
//! Invariant: a palette's near colour is dark enough that the mark's letters can be read on it. Not here:
//! shapes.

use crate::canvas::Rgb;

/// The colours that every scene paints with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Palette {
    pub(crate) zenith: Rgb,
    pub(crate) middle: Rgb,
    pub(crate) horizon: Rgb,
    pub(crate) light: Rgb,
    pub(crate) far: Rgb,
    pub(crate) near: Rgb,
    pub(crate) mist: Rgb,
    pub(crate) accent: Rgb,
    /// How many stars can be seen, 0.0 to 1.0.
    pub(crate) stars: f32,
    /// Snow on the peaks, 0.0 to 1.0.
    pub(crate) snow: f32,
}

/// What the light and the colours feel like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    Dawn,
    Dusk,
    Day,
    Night,
    Aurora,
    Autumn,
    Winter,
    Desert,
    Neon,
    Green,
    Pastel,
    Tropical,
    Rose,
    Gold,
    Neutral,
}

struct Codes(u32, u32, u32, u32, u32, u32, u32, u32);

impl Mood {
    /// Every mood, for prompts that name none.
    pub(crate) const ALL: [Self; 15] = [
        Self::Dawn,
        Self::Dusk,
        Self::Day,
        Self::Night,
        Self::Aurora,
        Self::Autumn,
        Self::Winter,
        Self::Desert,
        Self::Neon,
        Self::Green,
        Self::Pastel,
        Self::Tropical,
        Self::Rose,
        Self::Gold,
        Self::Neutral,
    ];

    fn codes(self) -> Codes {
        match self {
            Self::Dawn => Codes(
                0x34_48_7f, 0xc9_84_99, 0xff_d7_a6, 0xff_f2_d2, 0x94_78_9c, 0x17_1a_38, 0xf6_c3_a2,
                0xff_7a_59,
            ),
            Self::Dusk => Codes(
                0x21_16_4a, 0xb8_3a_6c, 0xff_ae_58, 0xff_e7_ac, 0x8d_3c_70, 0x12_0b_28, 0xf5_8f_62,
                0xff_5e_5b,
            ),
            Self::Day => Codes(
                0x23_74_bd, 0x7f_c0_ea, 0xe9_f5_f1, 0xff_ff_ff, 0x86_b1_cf, 0x0f_37_44, 0xd8_eb_ee,
                0xff_8a_4c,
            ),
            Self::Night => Codes(
                0x04_08_18, 0x10_26_4f, 0x3f_6c_98, 0xf5_f0_dc, 0x2b_4d_78, 0x03_06_0f, 0x3b_69_93,
                0xff_d2_7a,
            ),
            Self::Aurora => Codes(
                0x03_0d_1c, 0x0c_44_50, 0x66_c3_a0, 0xe9_ff_f4, 0x1d_6a_6b, 0x02_0a_10, 0x3f_9c_8c,
                0x7a_ff_c9,
            ),
            Self::Autumn => Codes(
                0x6f_8a_a6, 0xf2_c0_79, 0xfd_ea_c6, 0xff_f7_e2, 0xcf_93_5f, 0x44_15_0c, 0xf6_d7_a6,
                0xd9_48_1c,
            ),
            Self::Winter => Codes(
                0x4d_78_ab, 0xb3_cd_e6, 0xf8_ef_e6, 0xff_ff_ff, 0x9a_b7_d4, 0x1b_34_53, 0xe6_ed_f3,
                0x4a_a3_df,
            ),
            Self::Desert => Codes(
                0x3f_86_a8, 0xf2_c4_92, 0xff_e6_bd, 0xff_f6_da, 0xe7_a0_67, 0x5e_1f_14, 0xff_d2_a0,
                0xd9_57_2b,
            ),
            Self::Neon => Codes(
                0x0a_04_24, 0x4b_0f_80, 0xff_4a_a5, 0xff_f0_7c, 0x7a_23_ad, 0x08_03_1c, 0xd6_3a_9b,
                0x21_e6_ff,
            ),
            Self::Green => Codes(
                0x6f_a7_9b, 0xcf_e3_c4, 0xfc_f5_d6, 0xff_fb_e6, 0x86_b0_97, 0x0a_24_1d, 0xe6_ef_cf,
                0xe9_b4_4c,
            ),
            Self::Pastel => Codes(
                0x8f_b5_e3, 0xf6_c8_d6, 0xff_f2_dc, 0xff_ff_ff, 0xb7_9b_d3, 0x3f_35_6f, 0xfb_df_e2,
                0xff_8f_a3,
            ),
            Self::Tropical => Codes(
                0x0a_6f_b4, 0x45_c4_dd, 0xd6_f6_ee, 0xff_fb_e0, 0x4f_b3_b0, 0x05_3b_46, 0xc9_f1_e6,
                0xff_b3_47,
            ),
            Self::Rose => Codes(
                0x4a_19_42, 0xc7_4b_78, 0xf9_c5_bd, 0xff_f0_e6, 0xa8_55_7f, 0x21_0a_22, 0xf1_a7_a5,
                0xff_d1_66,
            ),
            Self::Gold => Codes(
                0x4b_34_20, 0xc9_8a_3c, 0xff_e2_a0, 0xff_f8_dc, 0xa8_6f_35, 0x1d_12_09, 0xf3_c8_77,
                0xf2_5c_3c,
            ),
            Self::Neutral => Codes(
                0xa9_a4_9d, 0xd3_cd_c4, 0xf1_ed_e6, 0xff_ff_ff, 0xb8_b0_a6, 0x2b_27_24, 0xea_e5_dd,
                0xc9_9a_6b,
            ),
        }
    }

    /// The mood's colours, turned by a few degrees.
    pub(crate) fn palette(self, turn_degrees: f32) -> Palette {
        let codes = self.codes();
        let colour = |code| Rgb::hex(code).turned(turn_degrees);
        Palette {
            zenith: colour(codes.0),
            middle: colour(codes.1),
            horizon: colour(codes.2),
            light: Rgb::hex(codes.3),
            far: colour(codes.4),
            near: colour(codes.5),
            mist: colour(codes.6),
            accent: colour(codes.7),
            stars: match self {
                Self::Night | Self::Aurora => 1.0,
                Self::Neon => 0.6,
                Self::Dusk | Self::Rose => 0.35,
                _ => 0.0,
            },
            snow: match self {
                Self::Winter => 1.0,
                Self::Aurora | Self::Day => 0.45,
                _ => 0.0,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_colours_are_dark() {
        for mood in Mood::ALL {
            let near = mood.palette(0.0).near;
            assert!(near.r * 0.21 + near.g * 0.72 + near.b * 0.07 < 0.3, "{mood:?}");
        }
    }
}

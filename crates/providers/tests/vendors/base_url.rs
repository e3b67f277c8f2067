//! The base URLs that an operator gets without a word: each leads to the paths that its vendor has.
//!
//! Invariant: they are read from the defaults themselves. Not here: what is sent.

use crate::{
    every,
    support::{go_on, settings},
};
use rynjer_emulator::{Emulator, Vendor};
use std::collections::BTreeMap;

const DEFAULTS: &str = include_str!("../../../server/config.default.toml");

/// `base_url` by section.
fn base_urls() -> BTreeMap<&'static str, &'static str> {
    let mut section = "";
    let mut found = BTreeMap::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some(url) = line.strip_prefix("base_url = ") {
            found.insert(section, url.trim_matches('"'));
        }
    }
    found
}

#[tokio::test]
async fn each_default_leads_to_the_vendors_own_paths() {
    let known = base_urls();
    for (vendor, expected) in [
        (Vendor::OpenAi, "https://api.openai.com/v1/videos"),
        (Vendor::Google, "https://generativelanguage.googleapis.com/v1beta/interactions"),
        (Vendor::Xai, "https://api.x.ai/v1/videos/generations"),
        (Vendor::DashScope, {
            "https://dashscope-intl.aliyuncs.com/api/v1/services/aigc/video-generation/video-synthesis"
        }),
        (Vendor::Ark, "https://ark.ap-southeast.bytepluses.com/api/v3/contents/generations/tasks"),
        (Vendor::Fal, "https://queue.fal.run/fal-ai/ltx-2/image-to-video"),
        (Vendor::Kie, "https://api.kie.ai/api/v1/veo/generate"),
        (Vendor::Replicate, "https://api.replicate.com/v1/predictions"),
    ] {
        let default: url::Url = known[vendor.name()].parse().unwrap();
        let emulator = Emulator::start(vendor).await.unwrap();
        let mut known = settings(&emulator);
        // The stand-in in the vendor's place, below the same path.
        known.base_url.set_path(default.path());
        let provider = every::provider(vendor, known, &emulator);
        provider.submit(every::job(vendor), go_on()).await.unwrap();
        let path = emulator.world().seen()[0].path.clone();
        assert_eq!(format!("{}{path}", default.origin().ascii_serialization()), expected);
    }
}

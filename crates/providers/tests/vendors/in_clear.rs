//! Files of a vendor that is asked by https: none is asked for in clear.
//!
//! Invariant: as `main`, for every vendor. Not here: redirects from one server to another (`guarded`).

use crate::{
    every,
    support::{fetch, settings},
};
use rynjer_emulator::{Emulator, Vendor, google_service_account};
use rynjer_providers::{
    google::{CloudSettings, Google, SetupError},
    guarded::FetchLimits,
    upstream::ApiKey,
};

#[tokio::test]
async fn no_file_of_a_vendor_behind_https_comes_in_clear() {
    let limits = FetchLimits { max_bytes: 1 << 20, max_pixels: 1 << 20 };
    for vendor in Vendor::ALL {
        let emulator = Emulator::start(vendor).await.unwrap();
        let url = emulator.world().file("x", bytes::Bytes::from_static(b"x"));
        let mut known = settings(&emulator);
        known.allow_hosts = vec![emulator.address().to_string()];
        let open = every::provider(vendor, known.clone(), &emulator);
        assert_eq!(fetch(&*open, url.clone(), limits).await.unwrap(), "x", "{}", vendor.name());
        emulator.world().forget_seen();
        known.base_url = "https://vendor.example/v1".parse().unwrap();
        let closed = every::provider(vendor, known, &emulator);
        assert!(fetch(&*closed, url, limits).await.is_err(), "{}", vendor.name());
        assert_eq!(emulator.world().seen().len(), 0, "{}", vendor.name());
    }
}

#[tokio::test]
async fn an_assertion_goes_to_no_token_host_in_clear() {
    let emulator = Emulator::start(Vendor::Google).await.unwrap();
    let made = |place: &str| {
        let cloud = CloudSettings {
            credentials_json: ApiKey::new(&google_service_account(place)),
            project: None,
            location: "us-central1".to_owned(),
            base_url: None,
            token_url: None,
        };
        Google::new(settings(&emulator), Some(cloud)).map(drop)
    };
    assert!(made("https://tokens.example").is_ok());
    assert!(made("http://127.0.0.1:9").is_ok());
    assert!(matches!(made("http://tokens.example"), Err(SetupError::Cloud(_))));
}

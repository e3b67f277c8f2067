//! What vendors say when they refuse: no key of ours is in it, and users read none of what isn't theirs.
//!
//! Invariant: as `main`, for every vendor. Not here: which error is what; each vendor's own tests.

use crate::{
    every,
    support::{KEY, go_on},
};
use rynjer_emulator::{Fault, Vendor};
use rynjer_providers::{Job, PollAnswer, Provider, ProviderError, SubmitAnswer, Unit};
use serde_json::{Value, json};

/// An error in the shape of a vendor.
fn error(vendor: Vendor, status: u16, said: &str) -> Fault {
    let body = match vendor {
        Vendor::OpenAi => json!({"error": {"message": said, "code": "x"}}),
        Vendor::Google => json!({"error": {"message": said, "code": status, "status": "X"}}),
        Vendor::Xai => json!({"code": "x", "error": said}),
        Vendor::DashScope => json!({"code": "InvalidParameter", "message": said}),
        Vendor::Ark => json!({"error": {"code": "InvalidParameter", "message": said}}),
        Vendor::Fal | Vendor::Replicate => json!({"detail": said}),
        Vendor::Kie => json!({"code": status, "msg": said}),
    };
    Fault::Answer { status, headers: Vec::new(), body }
}

/// How a job ends badly in the shape of a vendor.
fn end(vendor: Vendor, said: &str) -> Value {
    match vendor {
        Vendor::Google => json!({"status": "failed", "errors": [{"code": "x", "message": said}]}),
        Vendor::Fal => json!({"status": 500, "body": {"detail": said, "error_type": "internal_error"}}),
        Vendor::Kie => json!({"successFlag": 2, "errorCode": 500, "errorMessage": said}),
        Vendor::Replicate => json!({"status": "failed", "error": said}),
        Vendor::OpenAi | Vendor::Xai => {
            json!({"status": "failed", "error": {"code": "internal", "message": said}})
        }
        Vendor::DashScope => json!({"task_status": "FAILED", "code": "InternalError", "message": said}),
        Vendor::Ark => json!({"status": "failed", "error": {"code": "InternalError", "message": said}}),
    }
}

async fn poll(provider: &dyn Provider, job: &Job) -> Result<PollAnswer, ProviderError> {
    match provider.submit(job.clone(), go_on()).await? {
        SubmitAnswer::Accepted { provider_task_id, .. } => {
            provider.poll(job.clone(), provider_task_id, go_on()).await
        }
        SubmitAnswer::Finished { units, cost, .. } => Ok(PollAnswer::Finished { units, cost }),
    }
}

#[tokio::test]
async fn a_key_that_a_vendor_quotes_goes_no_further() {
    for vendor in Vendor::ALL {
        let (emulator, provider) = every::start(vendor).await;
        emulator.world().fault(error(vendor, 403, &format!("Consumer 'api_key:{KEY}' is suspended.")));
        let refused = provider.submit(every::job(vendor), go_on()).await;
        let text = format!("{refused:?}");
        assert!(
            matches!(refused, Err(ProviderError::Unusable { .. } | ProviderError::Refused { .. })),
            "{text}"
        );
        assert!(!text.contains(KEY), "{text}");
    }
}

#[tokio::test]
async fn users_read_no_sentence_that_is_for_operators() {
    let said = "Account 77 must top up";
    for vendor in Vendor::ALL {
        let (emulator, provider) = every::start(vendor).await;
        emulator.world().fault(error(vendor, 422, said));
        let refused = provider.submit(every::job(vendor), go_on()).await;
        let Err(ProviderError::Refused { error, message, .. }) = refused else {
            panic!("{}: {refused:?}", vendor.name())
        };
        assert_eq!(
            (error.code(), message.as_str()),
            ("provider_failed", "the provider could not make this"),
            "{}",
            vendor.name()
        );
        emulator.world().fail_next(end(vendor, said));
        let ended = poll(provider.as_ref(), &every::job(vendor)).await;
        let message = match ended {
            Err(ProviderError::Refused { message, .. }) => message,
            Ok(PollAnswer::Finished { units, .. }) => match units.into_iter().next() {
                Some(Unit::Refused { message, .. }) => message,
                other => panic!("{}: {other:?}", vendor.name()),
            },
            other => panic!("{}: {other:?}", vendor.name()),
        };
        assert_eq!(message, "the provider could not make this", "{}", vendor.name());
    }
}

#[tokio::test]
async fn words_of_a_user_shut_no_route() {
    for vendor in [Vendor::Xai, Vendor::Kie] {
        let (emulator, provider) = every::start(vendor).await;
        let said = "The prompt \"invalid model, api key, upload_url, model name\" is too long.";
        emulator.world().fault(error(vendor, 400, said));
        let refused = provider.submit(every::job(vendor), go_on()).await;
        assert!(matches!(refused, Err(ProviderError::Refused { .. })), "{}: {refused:?}", vendor.name());
    }
}

#[tokio::test]
async fn a_unit_in_doubt_is_told_in_our_words() {
    for vendor in [Vendor::OpenAi, Vendor::Kie, Vendor::Xai] {
        let (emulator, provider) = every::start(vendor).await;
        for _ in 0..2 {
            emulator.world().fault(error(vendor, 500, "node 10.1.2.3 is down"));
        }
        let answer = provider.submit(Job { count: 2, ..every::job(vendor) }, go_on()).await.unwrap();
        let SubmitAnswer::Finished { units, .. } = answer else { panic!("{answer:?}") };
        let [Unit::Lost { message }, Unit::Lost { .. }] = &units[..] else { panic!("{units:?}") };
        assert_eq!(message, "the provider never said whether it made this one");
    }
}

#[tokio::test]
async fn an_id_that_is_not_plain_leaves_the_submit_in_doubt() {
    let long = "a".repeat(201);
    for vendor in Vendor::ALL {
        let (emulator, provider) = every::start(vendor).await;
        for id in ["a/../b", "a,b", "a b", "a?b", "-a", "", long.as_str()] {
            let body = match vendor {
                Vendor::OpenAi | Vendor::Google | Vendor::Ark => json!({"id": id}),
                Vendor::Xai | Vendor::Fal => json!({"request_id": id}),
                Vendor::DashScope => json!({"output": {"task_id": id, "task_status": "PENDING"}}),
                Vendor::Kie => json!({"code": 200, "data": {"taskId": id}}),
                Vendor::Replicate => json!({"id": id, "status": "starting"}),
            };
            emulator.world().fault(Fault::Answer { status: 200, headers: Vec::new(), body });
            let answer = provider.submit(every::job(vendor), go_on()).await;
            assert!(
                matches!(answer, Err(ProviderError::Ambiguous { .. })),
                "{} {id}: {answer:?}",
                vendor.name()
            );
        }
    }
}

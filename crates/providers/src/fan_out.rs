//! One job of several outputs at a vendor that makes one with each call: several calls that are one job.
//!
//! Invariant: a call whose outcome is unknown is one lost unit, never sent again here, and the other units go
//! on. Not here: what a call is (each adapter), vendors that take a count.

use crate::{Cost, PollAnswer, ProviderError, SubmitAnswer, TaskError, Unit};
use futures::future::{BoxFuture, join_all};
use rynjer_core::job_id;

/// What an entry begins with that is no id but the code of a unit which never became a job.
const NO_JOB: char = '-';
const NEVER_SAID: &str = "the provider never said whether it made this one";

/// What one call of a fan-out gave.
#[derive(Debug, Clone)]
pub(crate) enum Part {
    /// A job of its own.
    Accepted { id: String },
    /// Made at once.
    Finished { unit: Unit, cost: Cost },
}

/// Makes the first call, and when something came of it the others. `call` gets the index of the unit.
///
/// # Errors
/// As the first call; so nothing of the job was accepted then, or all that is known of it is in doubt.
pub(crate) async fn submit<'a>(
    count: u32,
    poll_after_ms: u32,
    call: impl Fn(u32) -> BoxFuture<'a, Result<Part, ProviderError>>,
) -> Result<SubmitAnswer, ProviderError> {
    let mut parts = vec![match call(0).await {
        Err(ProviderError::Ambiguous { .. }) if count > 1 => lost(),
        Err(ProviderError::Refused { error, message, cost }) if count > 1 => {
            Part::Finished { unit: Unit::Refused { error, message }, cost }
        }
        first => first?,
    }];
    parts.extend(join_all((1..count).map(&call)).await.into_iter().map(|part| part.unwrap_or_else(missing)));
    Ok(joined(parts, poll_after_ms))
}

/// What became of a later unit: the job goes on without it.
fn missing(error: ProviderError) -> Part {
    match error {
        ProviderError::Ambiguous { .. } => lost(),
        ProviderError::Refused { error, message, cost } => {
            Part::Finished { unit: Unit::Refused { error, message }, cost }
        }
        ProviderError::NotNow { .. } | ProviderError::Unusable { .. } | ProviderError::Busy { .. } => {
            let message = "the provider did not take this one".to_owned();
            Part::Finished { unit: Unit::Refused { error: TaskError::ProviderFailed, message }, cost: None }
        }
    }
}

/// Why it is in doubt is for operators; users read this.
fn lost() -> Part {
    Part::Finished { unit: Unit::Lost { message: NEVER_SAID.to_owned() }, cost: None }
}

/// Finished if every part is, otherwise one id for all of them.
fn joined(parts: Vec<Part>, poll_after_ms: u32) -> SubmitAnswer {
    if parts.iter().any(|part| matches!(part, Part::Accepted { .. })) {
        let entry = |part: Part| match part {
            Part::Accepted { id } => id,
            Part::Finished { unit, .. } => format!("{NO_JOB}{}", code(&unit)),
        };
        let ids: Vec<String> = parts.into_iter().map(entry).collect();
        return SubmitAnswer::Accepted {
            provider_task_id: ids.join(&job_id::BETWEEN.to_string()),
            poll_after_ms,
        };
    }
    let mut units = Vec::with_capacity(parts.len());
    let mut total: Cost = None;
    for part in parts {
        if let Part::Finished { unit, cost } = part {
            units.push(unit);
            total = sum(total, cost);
        }
    }
    SubmitAnswer::Finished { provider_task_id: None, units, cost: total }
}

fn code(unit: &Unit) -> &'static str {
    match unit {
        // A vendor that makes some at once and some later has not been met; what it made would be lost.
        Unit::Lost { .. } | Unit::Delivered(_) => TaskError::OutcomeUnknown.code(),
        Unit::Refused { error, .. } => error.code(),
    }
}

pub(crate) fn sum(one: Cost, other: Cost) -> Cost {
    match (one, other) {
        (Some(one), Some(other)) => one.checked_add(other),
        (one, other) => one.or(other),
    }
}

/// What asking for one job of a fan-out gave.
#[derive(Debug, Clone)]
pub(crate) enum PartAnswer {
    Pending { progress: Option<f32> },
    Finished { unit: Unit, cost: Cost },
}

/// Asks for each job of an id that [`submit`] made. All are asked until all are done, since nothing is kept
/// between two polls. If the task's time `is_over`, what is not done is lost, and what is done is delivered:
/// no job waits in vain for another that never ends, or of which the vendor does not tell.
///
/// # Errors
/// The first call that gave no answer: the whole is asked again later.
pub(crate) async fn poll<'a>(
    provider_task_id: &str,
    poll_after_ms: u32,
    is_over: bool,
    call: impl Fn(String) -> BoxFuture<'a, Result<PartAnswer, ProviderError>>,
) -> Result<PollAnswer, ProviderError> {
    let asked = job_id::each(provider_task_id).map(|entry| {
        let known = entry.strip_prefix(NO_JOB).map(never_began);
        let call = known.is_none().then(|| call(entry.to_owned()));
        async move {
            match (known, call) {
                (None, Some(call)) => match call.await {
                    // One job that failed leaves the others what they are.
                    Err(ProviderError::Refused { error, message, cost }) => {
                        Ok(PartAnswer::Finished { unit: Unit::Refused { error, message }, cost })
                    }
                    other => other,
                },
                (known, _) => {
                    let message = "the provider did not take this one".to_owned();
                    Ok(PartAnswer::Finished { unit: known.unwrap_or(Unit::Lost { message }), cost: None })
                }
            }
        }
    });
    let answers = join_all(asked).await.into_iter();
    let mut answers: Vec<Result<PartAnswer, ProviderError>> = answers.collect();
    if is_over && answers.iter().any(is_delivered) {
        answers.iter_mut().for_each(give_up);
    }
    let answers: Vec<PartAnswer> = answers.into_iter().collect::<Result<_, _>>()?;
    let (mut units, mut total, mut shares) = (Vec::new(), None, Vec::new());
    for answer in answers {
        match answer {
            PartAnswer::Pending { progress } => shares.push(progress),
            PartAnswer::Finished { unit, cost } => {
                units.push(unit);
                total = sum(total, cost);
            }
        }
    }
    if shares.is_empty() {
        return Ok(PollAnswer::Finished { units, cost: total });
    }
    // The slowest one tells how far the job is.
    let known = shares.into_iter().flatten().reduce(f32::min);
    Ok(PollAnswer::Pending { poll_after_ms, progress: known })
}

fn is_delivered(answer: &Result<PartAnswer, ProviderError>) -> bool {
    matches!(answer, Ok(PartAnswer::Finished { unit: Unit::Delivered(_), .. }))
}

/// Nobody waits any longer for a job that is not done: the vendor may make it all the same, and bill it.
fn give_up(answer: &mut Result<PartAnswer, ProviderError>) {
    if !matches!(answer, Ok(PartAnswer::Finished { .. })) {
        let message = "the provider did not finish this one in time".to_owned();
        *answer = Ok(PartAnswer::Finished { unit: Unit::Lost { message }, cost: None });
    }
}

/// Whether a job of several calls can be looked for: a list shows its calls one by one, and each is one unit,
/// so that none of them may be taken for the whole.
///
/// # Errors
/// It can't be: it stays in doubt.
pub(crate) fn may_be_looked_up(calls: u32) -> Result<(), ProviderError> {
    if calls > 1 {
        let message = "a job of several calls can't be told from the provider's list".to_owned();
        return Err(ProviderError::Ambiguous { message });
    }
    Ok(())
}

/// The ids of an id that [`submit`] made, without the units that never became a job.
pub(crate) fn jobs(provider_task_id: &str) -> impl Iterator<Item = &str> {
    job_id::each(provider_task_id).filter(|entry| !entry.starts_with(NO_JOB))
}

/// Whether a unit of it is in doubt, so that something may still be billed.
pub(crate) fn has_lost(provider_task_id: &str) -> bool {
    let lost = TaskError::OutcomeUnknown.code();
    job_id::each(provider_task_id).any(|entry| entry.strip_prefix(NO_JOB) == Some(lost))
}

fn never_began(code: &str) -> Unit {
    let known = TaskError::ALL.into_iter().find(|error| error.code() == code);
    match known {
        None | Some(TaskError::OutcomeUnknown) => Unit::Lost { message: NEVER_SAID.to_owned() },
        Some(error) => Unit::Refused { error, message: "the provider did not take this one".to_owned() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OutputSource;
    use bytes::Bytes;

    fn made() -> Result<Part, ProviderError> {
        let unit = Unit::Delivered(OutputSource::Bytes(Bytes::from_static(b"x")));
        Ok(Part::Finished { unit, cost: Some(7) })
    }

    fn doubt() -> Result<Part, ProviderError> {
        Err(ProviderError::Ambiguous { message: "cut".to_owned() })
    }

    fn busy() -> Result<Part, ProviderError> {
        Err(ProviderError::NotNow { retry_after_ms: Some(5), message: "busy".to_owned() })
    }

    fn job(id: &str) -> Result<Part, ProviderError> {
        Ok(Part::Accepted { id: id.to_owned() })
    }

    fn letters(units: &[Unit]) -> String {
        let letter = |unit: &Unit| match unit {
            Unit::Delivered(_) => 'd',
            Unit::Refused { .. } => 'r',
            Unit::Lost { .. } => 'l',
        };
        units.iter().map(letter).collect()
    }

    async fn run(parts: Vec<Result<Part, ProviderError>>) -> Result<SubmitAnswer, ProviderError> {
        let count = u32::try_from(parts.len()).unwrap();
        submit(count, 9, |index| Box::pin(std::future::ready(parts[index as usize].clone()))).await
    }

    #[tokio::test]
    async fn what_was_made_at_once() {
        let Ok(SubmitAnswer::Finished { units, cost, .. }) = run(vec![made(), doubt(), busy()]).await else {
            panic!()
        };
        assert_eq!((letters(&units).as_str(), cost), ("dlr", Some(7)));
        let Ok(SubmitAnswer::Finished { units, .. }) = run(vec![doubt(), made()]).await else { panic!() };
        assert_eq!(letters(&units), "ld");
        assert!(matches!(run(vec![busy(), made()]).await, Err(ProviderError::NotNow { .. })));
        assert!(matches!(run(vec![doubt()]).await, Err(ProviderError::Ambiguous { .. })));
    }

    #[tokio::test]
    async fn jobs_are_kept_in_one_id() {
        let answer = run(vec![job("a"), doubt(), busy(), job("d")]).await;
        let Ok(SubmitAnswer::Accepted { provider_task_id, poll_after_ms: 9 }) = answer else { panic!() };
        assert_eq!(provider_task_id, "a,-outcome_unknown,-provider_failed,d");
        let ask = |pending: &'static str| {
            poll(&provider_task_id, 9, false, move |id| {
                let unit = Unit::Delivered(OutputSource::Url(id.clone()));
                let answer = if id == pending {
                    PartAnswer::Pending { progress: Some(0.5) }
                } else {
                    PartAnswer::Finished { unit, cost: None }
                };
                Box::pin(std::future::ready(Ok(answer)))
            })
        };
        let Ok(PollAnswer::Pending { progress: Some(_), .. }) = ask("d").await else { panic!() };
        let Ok(PollAnswer::Finished { units, .. }) = ask("none").await else { panic!() };
        assert_eq!(letters(&units), "dlrd");
    }

    /// Until the task's time is over all wait for each other, also where the vendor does not answer for one.
    #[tokio::test]
    async fn what_is_done_is_kept_when_the_time_is_over() {
        let ask = async |ids: &str, is_over: bool| {
            let call = |id: String| -> BoxFuture<'_, Result<PartAnswer, ProviderError>> {
                let finished = |unit| Ok(PartAnswer::Finished { unit, cost: Some(3) });
                let busy = || ProviderError::NotNow { retry_after_ms: Some(7), message: String::new() };
                let refused = Unit::Refused { error: TaskError::ContentRejected, message: String::new() };
                Box::pin(std::future::ready(match id.as_str() {
                    "busy" => Err(busy()),
                    "late" => Ok(PartAnswer::Pending { progress: None }),
                    "refused" => finished(refused),
                    _ => finished(Unit::Delivered(OutputSource::Url(id))),
                }))
            };
            match poll(ids, 9, is_over, call).await {
                Ok(PollAnswer::Finished { units, cost }) => format!("{} {cost:?}", letters(&units)),
                Ok(PollAnswer::Pending { .. }) => "pending".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        for (ids, before, over) in [
            ("a,busy,late,refused", "not now: ", "dllr Some(6)"),
            ("late,a,-outcome_unknown", "pending", "ldl Some(3)"),
            // Nothing is done: the task's time is over, and that is what it is told.
            ("late,refused", "pending", "pending"),
            ("busy,late", "not now: ", "not now: "),
            ("a,b", "dd Some(6)", "dd Some(6)"),
        ] {
            assert_eq!((ask(ids, false).await, ask(ids, true).await), (before.to_owned(), over.to_owned()));
        }
    }
}

//! Spans on their way to a collector: OTLP over HTTP, in batches, from a thread of their own.
//!
//! Invariant: only the settings say where spans go, never variables of another program; nothing waits for the
//! collector but the last flush, and that not for long. Not here: which spans there are (`server::trace`).

use crate::{failure::Failure, terminal::variable};
use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceId, TraceState, TracerProvider},
};
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    error::OTelSdkResult,
    trace::{
        BatchConfigBuilder, BatchSpanProcessor, SamplingDecision, SamplingResult, SdkTracerProvider,
        ShouldSample, SpanData, SpanExporter, SpanLimits,
    },
};
use rynjer_server::{config::Trace, sampling::Sampling, trace::TARGET};
use std::{future::poll_fn, pin::pin, time::Duration};
use tokio::runtime::Handle;
use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// How long one delivery may take.
const SEND_TIMEOUT: Duration = Duration::from_secs(3);
/// How long the last one may take, so that a dead collector doesn't keep a stopping gateway.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(4);
/// How long spans are gathered.
const GATHER: Duration = Duration::from_secs(2);
/// Spans that wait; more are dropped.
const QUEUE: usize = 8192;
/// Spans of one delivery.
const BATCH: usize = 512;
/// The exporter reads these whatever it is told, and they would change what is sent.
const FOREIGN: [&str; 4] = [
    "OTEL_EXPORTER_OTLP_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
];

/// Refuses variables of other programs that would reach our collector.
pub(super) fn refuse_foreign(settings: &Trace) -> Result<(), Failure> {
    let set = FOREIGN.into_iter().find(|name| settings.is_on() && !variable(name).is_empty());
    match set {
        None => Ok(()),
        Some(name) => Err(Failure::failed(format!(
            "{name} is set and would change what goes to trace.otlp_endpoint: unset it for this program"
        ))),
    }
}

/// The way to the collector.
pub(super) struct Spans(SdkTracerProvider);

impl Spans {
    /// Opens it, if the settings name a collector; inside the runtime. Nothing is sent yet.
    pub(super) fn open(settings: &Trace, master_key: Option<&[u8; 32]>) -> Result<Option<Self>, Failure> {
        if !settings.is_on() {
            return Ok(None);
        }
        let client = rynjer_api::client::direct(SEND_TIMEOUT)
            .map_err(|error| Failure::failed(format!("spans can't be sent: {error}")))?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", settings.otlp_endpoint))
            .with_timeout(SEND_TIMEOUT)
            .build()
            .map_err(|error| Failure::failed(format!("spans can't be sent: {error}")))?;
        let exporter = InRuntime { exporter, runtime: Handle::current() };
        // Each value is named, since what is not named is looked for in the environment.
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(GATHER)
            .build();
        let resource = Resource::builder_empty()
            .with_service_name("rynjer")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let sampler = Keyed(Sampling::new(settings.sample_permille, master_key));
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(sampler)
            .with_span_limits(SpanLimits::default())
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// Makes the gateway's spans, and nothing else, into OpenTelemetry's.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let layer = tracing_opentelemetry::layer()
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_tracer(self.0.tracer("rynjer"));
        layer.with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
    }

    /// Sends what is gathered.
    pub(super) async fn flush(self) {
        // What can't be delivered any more is told by the delivery itself.
        let shutdown = move || drop(self.0.shutdown_with_timeout(FLUSH_TIMEOUT));
        drop(tokio::task::spawn_blocking(shutdown).await);
    }
}

/// By the trace's id and a key alone: all spans of a trace are kept or none, in every process, and neither a
/// stranger's flag nor the id that a stranger chose decides it.
#[derive(Debug, Clone)]
struct Keyed(Sampling);

impl ShouldSample for Keyed {
    fn should_sample(
        &self,
        _parent: Option<&Context>,
        trace_id: TraceId,
        _name: &str,
        _kind: &SpanKind,
        _attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let keeps = self.0.keeps(trace_id.to_bytes());
        let decision = if keeps { SamplingDecision::RecordAndSample } else { SamplingDecision::Drop };
        SamplingResult { decision, attributes: Vec::new(), trace_state: TraceState::NONE }
    }
}

/// An exporter whose client needs the runtime, while its batches come from a thread outside.
#[derive(Debug)]
struct InRuntime {
    exporter: opentelemetry_otlp::SpanExporter,
    runtime: Handle,
}

impl SpanExporter for InRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let mut work = pin!(self.exporter.export(batch));
        let sent = poll_fn(|context| {
            let _inside = self.runtime.enter();
            work.as_mut().poll(context)
        });
        let sent = sent.await;
        if let Err(error) = &sent {
            tracing::warn!(%error, spans, "spans were not delivered");
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

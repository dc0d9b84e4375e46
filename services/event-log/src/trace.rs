//! W3C Trace Context: between the text that travels (events, headers, settings) and the spans of `tracing`.
//!
//! The stages make their spans with `target: trace::TARGET`. The process decides whether anything becomes of them: without
//! an OpenTelemetry layer these spans are disabled where they are made, and everything here does nothing. A text that is no
//! `traceparent` is ignored: telemetry never fails a write.

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of all spans that belong to a mutation's trace. Log lines have the targets of their modules.
pub const TARGET: &str = "upwrite::trace";

/// Bytes of `version-traceid-parentid-flags`.
const LENGTH: usize = 55;

/// Makes the span a child of the one that `traceparent` names. To be called before the span is entered or has children.
pub fn parent(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(remote) = parse(traceparent) {
        // Err: the span has begun, or no layer wants it.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
}

/// Links the span to the one that `traceparent` names: for work that is done for several at once.
pub fn link(span: &Span, traceparent: &str) {
    if span.is_disabled() {
        return;
    }
    if let Some(remote) = parse(traceparent) {
        span.add_link(remote);
    }
}

/// The `traceparent` that names this span, beginning it. `None`: it is not traced.
pub fn traceparent(span: &Span) -> Option<String> {
    if span.is_disabled() {
        return None;
    }
    let context = span.context();
    let span = context.span();
    let named = span.span_context();
    named.is_valid().then(|| {
        let sampled = u8::from(named.is_sampled());
        format!("00-{}-{}-{sampled:02x}", named.trace_id(), named.span_id())
    })
}

/// The `traceparent` that names the current span.
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// Whether the text is a `traceparent` (<https://www.w3.org/TR/trace-context/>, section 3.2).
pub fn is_valid(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<SpanContext> {
    let bytes = text.as_bytes();
    let hex = |bytes: &[u8]| bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let (version, trace, span, flags) =
        (bytes.get(..2)?, bytes.get(3..35)?, bytes.get(36..52)?, bytes.get(53..LENGTH)?);
    let dashes = [2, 35, 52].iter().all(|place| bytes[*place] == b'-');
    // A later version may say more, behind another dash.
    let whole = match bytes.get(LENGTH) {
        None => true,
        Some(next) => version != b"00" && *next == b'-',
    };
    if !(dashes && whole && [version, trace, span, flags].into_iter().all(hex)) || version == b"ff" {
        return None;
    }
    let trace = TraceId::from_hex(text.get(3..35)?).ok()?;
    let span = SpanId::from_hex(text.get(36..52)?).ok()?;
    let flags = u8::from_str_radix(text.get(53..LENGTH)?, 16).ok()?;
    let flags = TraceFlags::new(flags) & TraceFlags::SAMPLED;
    let context = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traced<T>(test: impl FnOnce() -> T) -> T {
        let sampler = Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let provider = SdkTracerProvider::builder().with_sampler(sampler).build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test)
    }

    #[test]
    fn what_is_a_traceparent() {
        assert!(is_valid(CLIENT));
        assert!(is_valid("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"));
        assert!(is_valid("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes-later"));
    }

    #[test]
    fn what_is_none() {
        for text in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01more",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00_0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331_01",
            " 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031ü-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333ü-1",
        ] {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    fn a_child_stays_in_the_trace_and_keeps_its_sampling() {
        traced(|| {
            for flags in ["01", "00"] {
                let span = tracing::info_span!(target: TARGET, "child");
                parent(&span, &format!("{}{flags}", &CLIENT[..53]));
                let text = traceparent(&span).unwrap();
                assert_eq!(text[..36], CLIENT[..36]);
                assert_ne!(text[36..52], CLIENT[36..52], "a span of its own");
                assert_eq!(&text[53..], flags);
                assert_eq!(span.in_scope(current_traceparent), Some(text));
            }
        });
    }

    #[test]
    fn a_text_that_is_none_begins_a_trace() {
        traced(|| {
            let span = tracing::info_span!(target: TARGET, "root");
            parent(&span, "nonsense");
            link(&span, "nonsense");
            let text = traceparent(&span).unwrap();
            assert!(is_valid(&text));
            assert_ne!(text[..36], CLIENT[..36]);
        });
    }

    #[test]
    fn without_a_layer_nothing_happens() {
        let span = tracing::info_span!(target: TARGET, "nobody");
        parent(&span, CLIENT);
        link(&span, CLIENT);
        assert_eq!(traceparent(&span), None);
        assert_eq!(current_traceparent(), None);
        let fmt = tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(std::io::sink));
        tracing::subscriber::with_default(fmt, || {
            let span = tracing::info_span!(target: TARGET, "logged only");
            parent(&span, CLIENT);
            assert_eq!(traceparent(&span), None);
        });
    }
}

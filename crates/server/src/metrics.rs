//! The numbers that the server shows at `/metrics`.
//!
//! Code anywhere counts through the `metrics` facade; this module names what is counted, so that names are spelled
//! once and documented (`docs/operate.md`). No label ever holds a person, an address or a domain of others.

use std::sync::{Arc, LazyLock, OnceLock};

use metrics::{Counter, Unit, counter, describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use stanza::Kind;

/// Connections open now. Label `transport`: `tcp`, `tls`, `websocket`, `s2s`, `component`.
pub const CONNECTIONS: &str = "chancery_connections";
/// Connections that were refused or ended before they had signed in. Label `reason`.
pub const CONNECTIONS_REFUSED: &str = "chancery_connections_refused_total";
/// Sessions that are signed in and connected now.
pub const SESSIONS: &str = "chancery_sessions";
/// Sessions that lost their connection and may be resumed.
pub const SESSIONS_DETACHED: &str = "chancery_sessions_detached";
/// Sign-in attempts. Label `result`: `success` or `failure`.
pub const LOGINS: &str = "chancery_logins_total";
/// Stanzas that came in. Label `kind`: `message`, `presence`, `iq`.
pub const STANZAS_IN: &str = "chancery_stanzas_received_total";
/// Stanzas that went out, and acknowledgements between them.
pub const STANZAS_OUT: &str = "chancery_stanzas_sent_total";
/// Streams that ended with a stream error from this side. Label `condition`.
pub const STREAM_ERRORS: &str = "chancery_stream_errors_total";
/// Sessions that were detached or closed because they read too slowly.
pub const OUTBOX_OVERFLOWS: &str = "chancery_outbox_overflows_total";
/// Messages kept for people who were away.
pub const OFFLINE_STORED: &str = "chancery_offline_stored_total";
/// Events that are durable in the archive.
pub const ARCHIVE_EVENTS: &str = "chancery_archive_events_total";
/// Commits of the archive; one holds whatever gathered meanwhile.
pub const ARCHIVE_COMMITS: &str = "chancery_archive_commits_total";
/// How long one commit of the archive took, fsync included.
pub const ARCHIVE_COMMIT_SECONDS: &str = "chancery_archive_commit_seconds";
/// Events that could not be stored, for instance because the disk is full; their senders got an error.
pub const ARCHIVE_FAILURES: &str = "chancery_archive_failures_total";
/// Web requests. Labels `route` and `status`.
pub const HTTP_REQUESTS: &str = "chancery_http_requests_total";

/// Counts a stanza that came in. Cheap: the handles are looked up once a process.
pub(crate) fn received(kind: Kind) {
    static RECEIVED: LazyLock<[Counter; 3]> =
        LazyLock::new(|| ["message", "presence", "iq"].map(|kind| counter!(STANZAS_IN, "kind" => kind)));
    let [message, presence, iq] = &*RECEIVED;
    match kind {
        Kind::Message => message.increment(1),
        Kind::Presence => presence.increment(1),
        Kind::Iq => iq.increment(1),
    }
}

/// Counts stanzas that go out.
pub(crate) fn sent(stanzas: usize) {
    static SENT: LazyLock<Counter> = LazyLock::new(|| counter!(STANZAS_OUT));
    SENT.increment(stanzas as u64);
}

enum Shape {
    Counter,
    Gauge,
    Histogram,
}

/// Name, shape, unit and help of everything this module names.
const METRICS: &[(&str, Shape, Unit, &str)] = &[
    (CONNECTIONS, Shape::Gauge, Unit::Count, "Connections open now, by transport"),
    (
        CONNECTIONS_REFUSED,
        Shape::Counter,
        Unit::Count,
        "Connections refused or ended before sign-in, by reason",
    ),
    (SESSIONS, Shape::Gauge, Unit::Count, "Sessions signed in and connected now"),
    (SESSIONS_DETACHED, Shape::Gauge, Unit::Count, "Sessions without a connection that may be resumed"),
    (LOGINS, Shape::Counter, Unit::Count, "Sign-in attempts, by result"),
    (STANZAS_IN, Shape::Counter, Unit::Count, "Stanzas received, by kind"),
    (STANZAS_OUT, Shape::Counter, Unit::Count, "Stanzas sent"),
    (STREAM_ERRORS, Shape::Counter, Unit::Count, "Streams ended with an error from this side, by condition"),
    (OUTBOX_OVERFLOWS, Shape::Counter, Unit::Count, "Sessions detached or closed for reading too slowly"),
    (OFFLINE_STORED, Shape::Counter, Unit::Count, "Messages kept for people who were away"),
    (ARCHIVE_EVENTS, Shape::Counter, Unit::Count, "Events made durable in the archive"),
    (ARCHIVE_COMMITS, Shape::Counter, Unit::Count, "Commits of the archive"),
    (ARCHIVE_COMMIT_SECONDS, Shape::Histogram, Unit::Seconds, "Time of one archive commit, fsync included"),
    (ARCHIVE_FAILURES, Shape::Counter, Unit::Count, "Events that could not be stored"),
    (HTTP_REQUESTS, Shape::Counter, Unit::Count, "Web requests, by route and status"),
];

/// The bounds of time histograms, in seconds: from a fast SSD's fsync to a disk in trouble.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// What renders the numbers. Clones share them; one process has one set.
#[derive(Clone)]
pub struct Exporter {
    handle: Option<Arc<PrometheusHandle>>,
}

impl Exporter {
    /// Starts counting, once a process; later calls give the same set. If something else has taken the process's
    /// place for numbers already, only those about the process itself are shown.
    pub fn install() -> Self {
        static HANDLE: OnceLock<Option<Arc<PrometheusHandle>>> = OnceLock::new();
        let handle = HANDLE.get_or_init(|| {
            let builder = PrometheusBuilder::new().set_buckets(SECONDS).ok()?;
            let handle = builder.install_recorder().ok()?;
            for (name, shape, unit, help) in METRICS {
                match shape {
                    Shape::Counter => describe_counter!(*name, *unit, *help),
                    Shape::Gauge => describe_gauge!(*name, *unit, *help),
                    Shape::Histogram => describe_histogram!(*name, *unit, *help),
                }
            }
            Some(Arc::new(handle))
        });
        Self { handle: handle.clone() }
    }

    /// All numbers in Prometheus' text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
            text = handle.render();
        }
        process(&mut text);
        text
    }

    /// Lets histograms forget what nobody asked for; call it every few seconds.
    pub fn upkeep(&self) {
        if let Some(handle) = &self.handle {
            handle.run_upkeep();
        }
    }
}

/// What the system knows about this process, under the names that dashboards expect. Absent where the system does not
/// say.
fn process(text: &mut String) {
    use std::fmt::Write;

    let resident = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    if let Some(kib) = resident {
        let _ = writeln!(
            text,
            "# HELP process_resident_memory_bytes Memory in use\n# TYPE process_resident_memory_bytes gauge\n\
             process_resident_memory_bytes {}",
            kib * 1024
        );
    }
    if let Ok(entries) = std::fs::read_dir("/proc/self/fd") {
        let _ = writeln!(
            text,
            "# HELP process_open_fds Open files and sockets\n# TYPE process_open_fds gauge\nprocess_open_fds {}",
            entries.count()
        );
    }
    let _ = writeln!(
        text,
        "# HELP chancery_build_info The version that runs\n# TYPE chancery_build_info gauge\n\
         chancery_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_with_its_help() {
        let exporter = Exporter::install();
        metrics::counter!(OUTBOX_OVERFLOWS).increment(3);
        metrics::histogram!(ARCHIVE_COMMIT_SECONDS).record(0.002);
        let text = exporter.render();
        assert!(text.contains("chancery_outbox_overflows_total 3"), "{text}");
        assert!(text.contains("# HELP chancery_outbox_overflows_total Sessions"), "{text}");
        assert!(text.contains("chancery_archive_commit_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        assert!(text.contains("process_open_fds "), "{text}");
    }

    #[test]
    fn a_second_server_in_the_process_shares_the_numbers() {
        let (one, other) = (Exporter::install(), Exporter::install());
        metrics::counter!(OFFLINE_STORED).increment(1);
        assert!(one.render().contains("chancery_offline_stored_total"));
        assert!(other.render().contains("chancery_offline_stored_total"));
    }

    #[test]
    fn every_metric_is_documented() {
        let page = include_str!("../../../docs/operate.md");
        for (name, ..) in METRICS {
            assert!(page.contains(&format!("`{name}`")), "docs/operate.md does not mention {name}");
        }
    }
}

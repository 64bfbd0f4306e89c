//! From what came over the sockets to an answer or an error.

use serde::Deserialize;
use serde_json::Value;

use super::{Answer, Call, HostError, ms};
use std::time::Instant;

/// The function's own line.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Line {
    #[serde(default)]
    ok: bool,
    #[serde(default)]
    result: Value,
    error: Option<String>,
    traceback: Option<String>,
    load_ms: Option<f64>,
    load_cpu_ms: Option<f64>,
    own_ms: Option<f64>,
    run_ms: Option<f64>,
    ready_ms: Option<f64>,
    /// Bytes of an answer that its process itself found too long.
    too_large: Option<u64>,
}

/// What the host says of the end of a function's process.
#[derive(Debug, Default, PartialEq, Deserialize)]
pub(super) struct End {
    pub error: Option<String>,
    pub status: Option<i32>,
    pub signal: Option<i32>,
    pub killed: Option<String>,
    pub peak_mb: Option<f64>,
    pub cpu_ms: Option<f64>,
    /// Which slot it was in, of those that the host was given.
    pub slot: Option<u64>,
}

/// Exit status of swap.py for a process that could not be shut in.
const NOT_ISOLATED: i32 = 97;

/// What is known when a call is over.
pub(super) struct Over {
    /// Bytes from the function.
    pub reply: Vec<u8>,
    /// When they were complete.
    pub answered: Instant,
    /// What the host said; absent when it has gone.
    pub end: Option<End>,
    pub logs: String,
    pub too_much: bool,
    pub out_of_memory: bool,
    pub peak_mb: Option<f64>,
}

/// The verdict. `start` is when the call was made.
pub(super) fn conclude(call: &Call<'_>, start: Instant, over: Over) -> Result<Answer, HostError> {
    let Over { reply, answered, end, logs, too_much, out_of_memory, peak_mb } = over;
    let (limit, length) = (call.limits, reply.len());
    let line = reply.strip_suffix(b"\n").and_then(|line| serde_json::from_slice::<Line>(line).ok());
    if too_much || line.as_ref().is_some_and(|l| l.too_large.is_some()) {
        return Err(HostError::OutputLimit { limit_bytes: limit.output_bytes, logs });
    }
    let Some(end) = end else {
        return Err(HostError::Gone("its connection closed".to_string()));
    };
    if let Some(error) = end.error {
        return Err(match error.split_once("refused: ") {
            Some((_, why)) => HostError::Refused(why.to_string()),
            None => HostError::Setup(error),
        });
    }
    let Some(line) = line else {
        return Err(if end.killed.as_deref() == Some("time") {
            HostError::TimeLimit { limit_ms: limit.time.as_millis() as u64, logs }
        } else if out_of_memory {
            HostError::MemoryLimit { logs }
        } else if end.status == Some(NOT_ISOLATED) {
            HostError::NotIsolated(logs.trim().to_string())
        } else {
            let how = match (end.signal, end.status) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, Some(status)) => format!("status {status}"),
                (None, None) => "an unknown status".to_string(),
            };
            HostError::NoAnswer { how, logs }
        });
    };
    // The bound on what is read leaves room for what stands around a result.
    if length > limit.output_bytes && json_length(&line.result) > limit.output_bytes {
        return Err(HostError::OutputLimit { limit_bytes: limit.output_bytes, logs });
    }
    let since = call.since.unwrap_or(start);
    let before = ms(start.saturating_duration_since(since));
    Ok(Answer {
        ok: line.ok,
        result: line.result,
        error: line.error,
        traceback: line.traceback,
        load_ms: line.ready_ms.map(|ready| ready + before),
        import_ms: line.load_ms,
        import_cpu_ms: line.load_cpu_ms,
        own_ms: line.own_ms,
        run_ms: line.run_ms,
        answered_ms: ms(answered.saturating_duration_since(since)),
        total_ms: ms(since.elapsed()),
        cpu_ms: end.cpu_ms,
        peak_mb: peak_mb.or(end.peak_mb),
        logs,
    })
}

/// Bytes of a value in JSON, which are counted and not kept.
fn json_length(value: &Value) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

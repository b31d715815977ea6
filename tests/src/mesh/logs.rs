//! Collects what the Envoys of a mesh wrote: one stream of lines per format, in the order of writing over all pods.
//!
//! The k-th line of a pod is the same event in all formats, so one order (taken from the recommended format:
//! start plus duration, and a pod's own order where that disagrees) serves for all.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{
    custom::CUSTOM,
    error::{Doing, MeshError},
    format::Format,
    topology::Pod,
};

/// The access logs of one run. The streams are bytes: TEXT holds whatever bytes a caller put into a header.
#[derive(Debug)]
pub struct Logs {
    /// The recommended format, one JSON object a line.
    pub recommended: Vec<u8>,
    /// Istio's default JSON.
    pub istio_json: Vec<u8>,
    /// Istio's default TEXT.
    pub istio_text: Vec<u8>,
    /// The formats of [`CUSTOM`], in its order.
    pub custom: [Vec<u8>; CUSTOM.len()],
    /// The files of each pod, which live as long as the [`Run`](super::Run).
    pub pods: Vec<PodLogs>,
}

/// The files of one pod.
#[derive(Debug, Clone)]
pub struct PodLogs {
    /// Name of the pod.
    pub pod: String,
    /// Its namespace.
    pub namespace: String,
    folder: PathBuf,
}

impl PodLogs {
    /// The pod's file in a format.
    pub fn path(&self, format: Format) -> PathBuf {
        format.file_in(&self.folder)
    }
}

impl Logs {
    /// The stream in a format.
    pub fn stream(&self, format: Format) -> &[u8] {
        match format {
            Format::Recommended => &self.recommended,
            Format::IstioJson => &self.istio_json,
            Format::IstioText => &self.istio_text,
        }
    }

    /// Reads the files of all pods, whose folders are given with them.
    pub(crate) fn collect<'pods>(pods: impl Iterator<Item = (&'pods Pod, PathBuf)>) -> Result<Self, MeshError> {
        let mut events: Vec<Event> = Vec::new();
        let mut files = Vec::new();
        for (pod, folder) in pods {
            events.extend(pod_events(pod, &folder)?);
            files.push(PodLogs { pod: pod.name.clone(), namespace: pod.namespace.to_owned(), folder });
        }
        events.sort_by_key(|event| event.written);
        let stream = |format: usize| {
            events.iter().filter_map(|event| event.lines.get(format)).flatten().copied().collect::<Vec<u8>>()
        };
        let custom = std::array::from_fn(|number| stream(Format::ALL.len() + number));
        Ok(Self { recommended: stream(0), istio_json: stream(1), istio_text: stream(2), custom, pods: files })
    }
}

/// One event in each format, with its line end.
struct Event {
    /// Microseconds.
    written: i64,
    lines: Vec<Vec<u8>>,
}

fn pod_events(pod: &Pod, folder: &Path) -> Result<Vec<Event>, MeshError> {
    let names = Format::ALL.into_iter().map(Format::file_name).chain(CUSTOM.into_iter().map(|format| format.file_name));
    let mut events: Vec<Event> = Vec::new();
    let mut counts = Vec::new();
    for name in names {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).doing(|| format!("read the access log {}", path.display()))?;
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec);
        let mut count = 0;
        for (number, line) in lines.enumerate() {
            if number == events.len() && counts.is_empty() {
                events.push(Event { written: 0, lines: Vec::new() });
            }
            events.get_mut(number).into_iter().for_each(|event| event.lines.push(line.clone()));
            count += 1;
        }
        counts.push(count);
    }
    if counts.iter().any(|count| *count != events.len()) {
        return Err(MeshError::Uneven { pod: pod.name.clone(), counts });
    }
    let mut last = i64::MIN;
    for (number, event) in events.iter_mut().enumerate() {
        let written = event.lines.first().and_then(|line| written(line)).ok_or_else(|| MeshError::Log {
            file: format!("{} of {}", Format::Recommended.file_name(), pod.name),
            line: number + 1,
            why: "is not an object with start_time and duration".to_owned(),
        })?;
        last = last.max(written);
        event.written = last;
    }
    Ok(events)
}

/// When a line was written: its start plus its duration, in microseconds since 1970.
fn written(line: &[u8]) -> Option<i64> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let start = chrono::DateTime::parse_from_rfc3339(line.get("start_time")?.as_str()?).ok()?;
    Some(start.timestamp_micros() + line.get("duration").and_then(Value::as_i64).unwrap_or(0) * 1000)
}

//! Envoy's gRPC Access Log Service: `envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs`.
//!
//! ```text
//! message ─┬ identifier: node, log_name     in the first message of a stream only ─▶ kept by Stream
//!          ├ http_logs.log_entry[] ─▶ entry.rs ─▶ line.rs ─┐
//!          └ tcp_logs.log_entry[]  ─▶ entry.rs ─▶ line.rs ─┴▶ a line each, under the keys of the recommended format
//! ```
//! Source: `envoy/service/accesslog/v3/als.proto`, `envoy/data/accesslog/v3/accesslog.proto` (Envoy 1.37). The keys are always the same ones in the same
//! order, null where an entry lacks them: that is what the decoder reads fastest, and how it knows which columns could be filled.
//!
//! What an entry has and no line gets: the times of its first and last bytes (except that of the upstream's answer), counts of header and wire bytes, the
//! TLS session, and of a JWT everything but what the recommended format logs, for the rest is about people.

mod entry;
mod flags;
mod line;
mod tls;

use super::lines::Lines;
use super::structs::{Members, string};
use super::wire::{Message, WireError};
use entry::{Entry, Kind};

/// The messages of one stream, which share what the first one says.
#[derive(Debug, Default)]
pub struct Stream {
    node: Node,
}

/// Who logs, as JSON members that follow others; and whether it is a listener's log.
#[derive(Debug, Default)]
struct Node {
    members: Vec<u8>,
    of_a_listener: bool,
}

impl Stream {
    /// A stream of which nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends the entries of a `StreamAccessLogsMessage` as lines.
    ///
    /// # Errors
    /// If it is no message: then none of its entries is appended.
    pub fn message(&mut self, message: &[u8], lines: &mut Lines) -> Result<(), WireError> {
        let mark = lines.mark();
        let outcome = self.entries(message, lines);
        if outcome.is_err() {
            lines.cut(mark);
        }
        outcome
    }

    fn entries(&mut self, message: &[u8], lines: &mut Lines) -> Result<(), WireError> {
        // wherever it stands among the fields, it goes for all of them
        let mut fields = Message::new(message);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                self.node = Node::of(value.bytes())?;
            }
        }
        let mut entry = Entry::default();
        let mut fields = Message::new(message);
        while let Some((field, value)) = fields.next()? {
            let kind = match field {
                2 => Kind::Http,
                3 => Kind::Tcp,
                _ => continue,
            };
            let mut entries = Message::new(value.bytes());
            while let Some((field, value)) = entries.next()? {
                if field == 1 {
                    entry.read(kind, value.bytes())?;
                    entry.write(kind, &self.node, lines)?;
                }
            }
        }
        Ok(())
    }
}

impl Node {
    /// Of an `Identifier`. Istio's proxies have the id `<sidecar, router or waypoint>~<ip>~<pod>.<namespace>~<domain>`; another one is kept as it is.
    fn of(identifier: &[u8]) -> Result<Self, WireError> {
        let (mut node, mut log_name) = (&[][..], &[][..]);
        let mut fields = Message::new(identifier);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => node = value.bytes(),
                2 => log_name = value.bytes(),
                _ => {}
            }
        }
        let (mut id, mut metadata) = (&[][..], Members::default());
        let mut fields = Message::new(node);
        while let Some((field, value)) = fields.next()? {
            match field {
                1 => id = value.bytes(),
                3 => metadata = Members::of(value.bytes())?,
                _ => {}
            }
        }
        let said = |name: &str| Ok(metadata.get(name.as_bytes()).map(string).transpose()?.flatten());
        let mut parts = id.split(|byte| *byte == b'~');
        let (_, _, name, domain) = (parts.next(), parts.next(), parts.next(), parts.next());
        // a namespace has no dot, a pod's name may
        let name = name.filter(|_| domain.is_some()).unwrap_or_default();
        let dot = memchr::memrchr(b'.', name).unwrap_or(name.len());
        let (pod, namespace) = name.split_at(dot);
        let namespace = namespace.strip_prefix(b".").unwrap_or_default();

        let mut line = Lines::new();
        let mut failed = None;
        line.object(|members| {
            let mut all = || {
                members.text("pod_name", said("NAME")?.unwrap_or(pod));
                members.text("pod_namespace", said("NAMESPACE")?.unwrap_or(namespace));
                members.text("pod_service_account", said("SERVICE_ACCOUNT")?.unwrap_or_default());
                members.text("cluster_id", said("CLUSTER_ID")?.unwrap_or_default());
                if domain.is_none() {
                    members.text("node_id", id);
                }
                if !log_name.ends_with(b"_envoy_accesslog") {
                    members.text("log_name", log_name);
                }
                Ok::<_, WireError>(())
            };
            failed = all().err();
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let members = line.bytes().strip_prefix(b"{").and_then(|line| line.strip_suffix(b"}\n")).unwrap_or_default();
        let of_a_listener = memchr::memmem::find(log_name, b"listener").is_some();
        Ok(Node { members: members.to_vec(), of_a_listener })
    }
}

#[cfg(test)]
mod tests;

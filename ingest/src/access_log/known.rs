//! The fast way to a row: the line's edge was derived before, so that only what is different on every line is looked at.
//!
//! ```text
//!  Slots ─▶ addresses, signs ─▶ edge known? ── yes ─▶ time, texts, numbers, ends, extra ─▶ the batch's columns
//!                                     └─ no ─▶ the plain way
//! ```
//! [`super::derive`] is the judge: both must write the same row.

use std::borrow::Cow;

use crate::batch::BatchBuilder;
use crate::edge::{self, Edge};
use crate::endpoints::{Addresses, Endpoints};
use crate::fields::{integer, json_string};
use crate::key::{KEY_COUNT, Key, KeySet};
use crate::options::DecodeOptions;
use crate::redact::{Redaction, may_be_secret_beside_a_port};
use crate::schema::Col;
use crate::slots::{Layout, Slots};
use crate::time;

use super::{INT32S, INT64S, TEXTS, trace_id};

/// What is done with the value of a key that names no edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    Text(Col),
    Int64(Col),
    Int32(Col),
    StartTime,
    CertificateEnd,
    Traceparent,
    /// It is one of the line's addresses, or goes into `extra`.
    Other,
}

const PLANS: [Plan; KEY_COUNT] = {
    let mut plans = [Plan::Other; KEY_COUNT];
    let mut place = 0;
    while place < TEXTS.len() {
        plans[TEXTS[place].0 as usize] = Plan::Text(TEXTS[place].1);
        place += 1;
    }
    place = 0;
    while place < INT64S.len() {
        plans[INT64S[place].0 as usize] = Plan::Int64(INT64S[place].1);
        place += 1;
    }
    place = 0;
    while place < INT32S.len() {
        plans[INT32S[place].0 as usize] = Plan::Int32(INT32S[place].1);
        place += 1;
    }
    plans[Key::StartTime as usize] = Plan::StartTime;
    plans[Key::DownstreamPeerCertVEnd as usize] = Plan::CertificateEnd;
    plans[Key::Traceparent as usize] = Plan::Traceparent;
    plans
};

/// Keys whose value is a number or an address, as far as a proxy writes it: looked at for what every secret has.
const HARMLESS: KeySet = KeySet::of(&[
    Key::ConnectionId,
    Key::DownstreamDirectRemoteAddress,
    Key::DownstreamLocalAddress,
    Key::DownstreamRemoteAddress,
    Key::UpstreamRequestAttemptCount,
]);

/// Writes the row of a line whose edge is known. `None`, and nothing written: it has no time that can be read.
pub(crate) fn write(
    slots: &Slots<'_>,
    layout: &Layout,
    addresses: &Addresses<'_>,
    (edge, number): (&Edge, u32),
    (line, options): (u64, &DecodeOptions),
    rows: &mut BatchBuilder,
    scratch: &mut String,
) -> Option<()> {
    let redaction = &options.redaction;
    let started = slots.get(Key::StartTime).and_then(|text| options.start_time(text))?;
    let mut taken = edge.taken.with(Key::StartTime);
    let mut duration = None;
    let level = rows.begin_row(edge.signals);
    rows.int64(Col::Time, started);
    for key in slots.present().without(edge::TEXTS).within(level.keys).iter() {
        let text = slots.get(key).unwrap_or_default();
        match PLANS.get(key as usize).copied().unwrap_or(Plan::Other) {
            Plan::Text(column) => rows.text(column, &redaction.of(key, text)),
            Plan::Int64(column) => {
                let Some(value) = integer(text) else { continue };
                if key == Key::Duration {
                    duration = Some(value);
                }
                rows.int64(column, value);
            }
            Plan::Int32(column) => {
                let Some(value) = integer(text) else { continue };
                rows.int32(column, value);
            }
            Plan::CertificateEnd => {
                let Some(end) = time::parse(text) else { continue };
                rows.int64(Col::PeerCertEnd, end);
            }
            Plan::Traceparent => {
                let Some(id) = trace_id(text) else { continue };
                rows.text(Col::TraceId, id);
            }
            Plan::StartTime | Plan::Other => continue,
        }
        taken = taken.with(key);
    }
    rows.int64(Col::EndedAt, time::ended_at(started, duration));

    let ends = match level.ends {
        true => addresses.endpoints(edge.reporter, edge.direction),
        false => Endpoints::default(),
    };
    for (column, ip) in [
        (Col::SourceIp, &ends.source_ip),
        (Col::ClaimedClientIp, &ends.claimed_client_ip),
        (Col::DestinationIp, &ends.destination_ip),
    ] {
        if let Some(ip) = ip {
            rows.text(column, ip);
        }
    }
    for (column, port) in [(Col::SourcePort, ends.source_port), (Col::DestinationPort, ends.destination_port)] {
        if let Some(port) = port {
            rows.int32(column, i32::from(port));
        }
    }
    let left = slots.present().without(taken.union(ends.taken));
    if level.has(Col::Extra) && (!left.is_empty() || slots.has_rest()) {
        scratch.clear();
        let unsure = left
            .without(edge.harmless)
            .iter()
            .any(|key| !HARMLESS.has(key) || slots.get(key).is_some_and(may_be_secret_beside_a_port));
        slots.write_extra((left, unsure), layout, redaction, scratch);
        match slots.has_rest() || unsure {
            true => rows.text(Col::Extra, &redaction.json(scratch)),
            false => rows.text(Col::Extra, scratch),
        }
    }
    rows.end_row(number, line, (edge.reporter, slots.carried()));
    Some(())
}

/// Whether there is no secret in a value, should it come into `extra`.
pub(crate) fn is_harmless(slots: &Slots<'_>, key: Key, redaction: &Redaction) -> bool {
    let Some(text) = slots.get(key) else { return true };
    let json = if text.starts_with(['{', '[']) { Cow::Borrowed(text) } else { json_string(text) };
    matches!(redaction.of(key, text), Cow::Borrowed(_)) && matches!(redaction.json(&json), Cow::Borrowed(_))
}

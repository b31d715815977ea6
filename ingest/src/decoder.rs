//! The decoder: push the bytes of one input in, take batches of rows and rejects out.
//!
//! ```text
//! push ─▶ LineSplitter ─▶ BatchBuilder::place ─▶ access_log::decode ─▶ row or reject ─▶ full batches ─▶ next_batch
//!                                                                            └─ the rest ─▶ finish
//! ```
//!
//! It cannot fail: every line is a row or a reject. Where a batch ends depends on the lines alone, never on the pieces
//! in which they came.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::RecordBatch;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::access_log;
use crate::batch::BatchBuilder;
use crate::coverage::Coverage;
use crate::lines::{Line, LineSplitter, LongLine, Place};
use crate::memo::Memo;
use crate::options::DecodeOptions;
use crate::reject::{Refusal, Reject, RejectReason, hex};
use crate::shape::Shapes;

/// Line bytes after which a batch is full, however few lines they are: long lines must not add up to gigabytes.
const BATCH_BYTES: u64 = 64 << 20;

/// A line is never longer, whatever `max_line_bytes` says: views of a text count in 32 bits, also where each byte became an escape of six.
const LONGEST_LINE: usize = 256 << 20;

/// Decodes the lines of one input.
#[derive(Debug)]
pub struct Decoder {
    splitter: LineSplitter,
    assembly: Assembly,
}

/// What decoding yielded: rows of `access_logs`, rows of `rejects`, and what the lines carried.
#[derive(Debug, Clone)]
pub struct AccessLogBatch {
    /// Rows of `access_logs` ([`crate::schema::access_logs`]).
    pub rows: RecordBatch,
    /// Rows of `rejects` ([`crate::schema::rejects`]).
    pub rejects: RecordBatch,
    /// What the lines of the rows carried.
    pub coverage: Coverage,
    /// Lines that were not blank: rows and rejects.
    pub lines: u64,
    /// Bytes of these lines, line ends and blank lines between them included.
    pub bytes: u64,
}

impl Decoder {
    /// A decoder for one input: `source` names it in every row, `received_at` is when it came.
    #[must_use]
    pub fn new(options: Arc<DecodeOptions>, source: impl Into<String>, received_at: DateTime<Utc>) -> Self {
        let source = source.into();
        Decoder {
            splitter: LineSplitter::new(options.max_line_bytes.min(LONGEST_LINE)),
            assembly: Assembly {
                builder: BatchBuilder::new(source.clone(), received_at),
                options,
                shapes: Some(Shapes::default()),
                memo: Memo::default(),
                source,
                received_at,
                full: VecDeque::new(),
                lines: 0,
                bytes: 0,
            },
        }
    }

    /// A decoder that reads every line with the plain parsers: slow, obviously right, and the judge of [`Decoder::new`], which must
    /// yield the same rows and rejects.
    #[must_use]
    pub fn reference(options: Arc<DecodeOptions>, source: impl Into<String>, received_at: DateTime<Utc>) -> Self {
        let mut decoder = Decoder::new(options, source, received_at);
        decoder.assembly.shapes = None;
        decoder
    }

    /// Takes the next bytes of the input (plain: see [`crate::inflate`]), cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Decoder { splitter, assembly } = self;
        splitter.push(bytes, |line| assembly.line(line));
    }

    /// A full batch, if there is one. Call it until `None` after each push.
    pub fn next_batch(&mut self) -> Option<AccessLogBatch> {
        self.assembly.full.pop_front()
    }

    /// The rest, with a last line that has no line end; `None` if there is none. Batches that were full and not yet
    /// taken are put before the rest, into the one batch.
    #[must_use]
    pub fn finish(self) -> Option<AccessLogBatch> {
        let Decoder { splitter, mut assembly } = self;
        splitter.finish(|line| assembly.line(line));
        assembly.finish()
    }
}

/// Where lines become rows and rejects, and these batches.
#[derive(Debug)]
struct Assembly {
    options: Arc<DecodeOptions>,
    /// `None`: the reference.
    shapes: Option<Shapes>,
    memo: Memo,
    source: String,
    received_at: DateTime<Utc>,
    builder: BatchBuilder,
    full: VecDeque<AccessLogBatch>,
    lines: u64,
    bytes: u64,
}

impl Assembly {
    fn line(&mut self, line: Line<'_>) {
        match line {
            Line::Whole(place, bytes) => {
                self.bytes += place.span;
                if !bytes.iter().all(u8::is_ascii_whitespace) {
                    self.whole_line(place, bytes);
                    self.lines += 1;
                }
            }
            Line::TooLong(place, long) => {
                self.bytes += place.span;
                self.lines += 1;
                self.long_line(place, long);
            }
        }
        if self.lines >= self.options.batch_rows.max(1) as u64 || (self.bytes >= BATCH_BYTES && self.lines > 0) {
            let batch = self.take_batch();
            self.full.push_back(batch);
        }
    }

    fn whole_line(&mut self, place: Place, bytes: &[u8]) {
        let context = access_log::Context {
            options: &self.options,
            source: &self.source,
            line: place.number,
            received_at: self.received_at,
            memo: self.shapes.is_some().then_some(&self.memo),
        };
        let mut placed = self.builder.place(bytes);
        let line = placed.line;
        let decoded = access_log::decode(line, &context, self.shapes.as_mut(), |row, carried| placed.row(row, carried));
        if let Err(Refusal { reason, detail }) = decoded {
            let reject = Reject {
                line: place.number,
                offset: place.offset,
                reason,
                detail,
                length: bytes.len() as u64,
                sha256: hex(&Sha256::digest(bytes)),
                sample: bytes.to_vec(),
            };
            self.builder.reject(reject, bytes.len());
        }
    }

    fn long_line(&mut self, place: Place, long: LongLine) {
        let bound = self.options.max_line_bytes;
        let reject = Reject {
            line: place.number,
            offset: place.offset,
            reason: RejectReason::LineTooLong,
            detail: format!(
                "the line has {} bytes, the bound is {bound} (max_line_bytes); raise it if such lines are genuine",
                long.length
            ),
            length: long.length,
            sha256: long.sha256,
            sample: long.sample,
        };
        self.builder.reject(reject, 0);
    }

    fn take_batch(&mut self) -> AccessLogBatch {
        let (rows, rejects, coverage) = self.builder.finish();
        let (lines, bytes) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.bytes));
        AccessLogBatch { rows, rejects, coverage, lines, bytes }
    }

    fn finish(mut self) -> Option<AccessLogBatch> {
        let mut rest = (self.lines > 0).then(|| self.take_batch());
        while let Some(batch) = self.full.pop_back() {
            rest = Some(match rest {
                None => batch,
                Some(rest) => batch.followed_by(rest),
            });
        }
        rest
    }
}

impl AccessLogBatch {
    /// The same rows, with memory of their own. Texts of a decoded batch are views of its lines, all of whose bytes stay in memory with it:
    /// right for what is read once, wrong for what is kept.
    #[must_use]
    pub fn compact(&self) -> AccessLogBatch {
        let AccessLogBatch { rows, rejects, coverage, lines, bytes } = self;
        let (rows, rejects) = (crate::batch::compact(rows), crate::batch::compact(rejects));
        AccessLogBatch { rows, rejects, coverage: coverage.clone(), lines: *lines, bytes: *bytes }
    }

    fn followed_by(mut self, next: AccessLogBatch) -> AccessLogBatch {
        self.rows = crate::batch::concat(&self.rows, &next.rows);
        self.rejects = crate::batch::concat(&self.rejects, &next.rejects);
        self.coverage.merge(&next.coverage);
        self.lines += next.lines;
        self.bytes += next.bytes;
        self
    }
}

#[cfg(test)]
mod judge;
#[cfg(test)]
mod tests;

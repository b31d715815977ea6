//! What decoding yields: rows, rejects, and what is known of the lines that they were.

use arrow::array::RecordBatch;

use crate::batch::compact::compact;
use crate::coverage::Coverage;
use crate::line_format::LineFormats;

/// What decoding yielded: rows of `access_logs`, rows of `rejects`, and what the lines carried.
#[derive(Debug, Clone)]
pub struct AccessLogBatch {
    /// Rows of `access_logs` ([`crate::schema::access_logs`]).
    pub rows: RecordBatch,
    /// Rows of `rejects` ([`crate::schema::rejects`]).
    pub rejects: RecordBatch,
    /// What the lines of the rows carried.
    pub coverage: Coverage,
    /// Which formats the lines of the rows had.
    pub formats: LineFormats,
    /// Lines that were not blank: rows and rejects.
    pub lines: u64,
    /// Bytes of these lines, line ends and blank lines between them included.
    pub bytes: u64,
}

impl AccessLogBatch {
    /// The same rows, with memory of their own. Texts of a decoded batch are views of its lines, all of whose bytes stay in memory with it:
    /// right for what is read once, wrong for what is kept.
    #[must_use]
    pub fn compact(&self) -> AccessLogBatch {
        let AccessLogBatch { rows, rejects, coverage, formats, lines, bytes } = self;
        let (rows, rejects) = (compact(rows), compact(rejects));
        let (coverage, formats) = (coverage.clone(), formats.clone());
        AccessLogBatch { rows, rejects, coverage, formats, lines: *lines, bytes: *bytes }
    }

    pub(crate) fn followed_by(mut self, next: AccessLogBatch) -> AccessLogBatch {
        self.rows = crate::batch::concat(&self.rows, &next.rows);
        self.rejects = crate::batch::concat(&self.rejects, &next.rejects);
        self.coverage.merge(&next.coverage);
        self.formats.merge(&next.formats);
        self.lines += next.lines;
        self.bytes += next.bytes;
        self
    }
}

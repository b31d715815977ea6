//! The decoder: the bytes of one input in, batches of rows and rejects out.
//!
//! ```text
//! space, fill ─▶ Blocks ─▶ lines ─▶ known shape, known edge ─▶ access_log::known ────────────────┐
//! (or push)                  └─▶ Envelopes ─▶ record ─┬▶ the same ───────────────────────────────┤
//!                                                     └▶ anything else ─▶ access_log::decode ────┴▶ row or reject ─▶ full batches ─▶ next_batch
//!                                                                                                                     └─ the rest ─▶ finish
//! ```
//!
//! It cannot fail: every line is a row or a reject. Where a batch ends depends on the lines alone, never on the pieces
//! in which they came. Texts of a batch are views of the blocks that its lines came in.

mod stretches;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use arrow::buffer::Buffer;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::access_log::{self, Derived, known};
use crate::access_log_batch::AccessLogBatch;
use crate::batch::BatchBuilder;
use crate::blocks::{Blocks, Line, Lines, LongLine, Piece, Place};
use crate::edge::{Edge, Edges};
use crate::endpoints::Addresses;
use crate::envelope::{self, At, Cut, Envelopes, Node, Opened, Record, Unwrapped, Wrong};
use crate::format_string::is_endpoint;
use crate::line_format::{Envelope, LineFormat};
use crate::options::DecodeOptions;
use crate::reject::{Refusal, Reject, RejectReason, hex};
use crate::row::Row;
use crate::shape::Shapes;
use crate::slots::Slots;
use crate::text_formats::{self, Found, TextFormats};
use crate::ztunnel;
pub use stretches::{Carried, Stretch, StretchDecoder, Stretches};

/// Line bytes after which a batch is full, however few lines they are: some batches are on their way at any time, and each holds its lines.
const BATCH_BYTES: u64 = 2 << 20;

/// A line is never longer, whatever `max_line_bytes` says: views of a text count in 32 bits, also where each byte became an escape of six.
const LONGEST_LINE: usize = 256 << 20;

fn longest_line(options: &DecodeOptions) -> usize {
    options.max_line_bytes.min(LONGEST_LINE)
}

/// No envelope says who logged the line.
/// Stands for the bytes of a reject that may hold a secret anywhere.
const HIDDEN: &str = "[redacted: a configured format logs secrets, and where they stand in this line is not known]";
static NOBODY: Node<'static> =
    Node { pod: None, namespace: None, container: None, host: None, beside: Vec::new(), rest: Vec::new() };

/// Decodes the lines of one input.
#[derive(Debug)]
pub struct Decoder {
    blocks: Blocks,
    assembly: Assembly,
}

impl Decoder {
    /// A decoder for one input: `source` names it in every row, `received_at` is when it came.
    #[must_use]
    pub fn new(options: Arc<DecodeOptions>, source: impl Into<String>, received_at: DateTime<Utc>) -> Self {
        let source = source.into();
        Decoder {
            blocks: Blocks::new(longest_line(&options)),
            assembly: Assembly {
                builder: BatchBuilder::new(source.clone(), received_at, options.wanted.clone()),
                envelopes: Envelopes::new(longest_line(&options)),
                fast: Some(Fast::default()),
                options,
                node: Node::of_path(&source).map(Arc::new),
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
        decoder.assembly.fast = None;
        decoder
    }

    /// Takes the next bytes of the input (plain: see [`crate::inflate`]), cut anywhere.
    pub fn push(&mut self, bytes: &[u8]) {
        let Decoder { blocks, assembly } = self;
        blocks.push(bytes, &mut |piece| assembly.piece(piece));
    }

    /// Room for the next bytes of the input, never empty: who can read into it saves the copy that [`Decoder::push`] makes. Call
    /// [`Decoder::fill`] with how many it took.
    pub fn space(&mut self) -> &mut [u8] {
        self.blocks.space()
    }

    /// Says that the first `bytes` of [`Decoder::space`] hold the next bytes of the input.
    pub fn fill(&mut self, bytes: usize) {
        let Decoder { blocks, assembly } = self;
        blocks.fill(bytes, &mut |piece| assembly.piece(piece));
    }

    /// A full batch, if there is one. Call it until `None` after each push or fill.
    pub fn next_batch(&mut self) -> Option<AccessLogBatch> {
        self.assembly.full.pop_front()
    }

    /// The rest, with a last line that has no line end; `None` if there is none. Batches that were full and not yet
    /// taken are put before the rest, into the one batch.
    #[must_use]
    pub fn finish(self) -> Option<AccessLogBatch> {
        let Decoder { blocks, mut assembly } = self;
        blocks.finish(&mut |piece| assembly.piece(piece));
        assembly.end_envelopes();
        assembly.finish()
    }
}

/// Where lines become rows and rejects, and these batches.
#[derive(Debug)]
struct Assembly {
    options: Arc<DecodeOptions>,
    /// `None`: the reference.
    fast: Option<Fast>,
    envelopes: Envelopes,
    source: String,
    /// The pod whose log the source is, by its path.
    node: Option<Arc<Node<'static>>>,
    received_at: DateTime<Utc>,
    builder: BatchBuilder,
    full: VecDeque<AccessLogBatch>,
    lines: u64,
    bytes: u64,
}

/// What is known before a line is read: formats, and what earlier lines taught.
#[derive(Debug, Default)]
struct Fast {
    shapes: Shapes,
    texts: TextFormats,
    edges: Edges,
    scratch: String,
}

impl Assembly {
    fn piece(&mut self, piece: Piece<'_, '_>) {
        match piece {
            Piece::Lines(block, lines) => self.block(block, lines),
            Piece::TooLong(place, long) => self.too_long(place, long),
        }
    }

    fn block(&mut self, block: &Buffer, lines: &mut Lines<'_>) {
        // once for all of its lines; if it is not, each line for itself
        let text = simdutf8::basic::from_utf8(block).ok();
        let start = block.as_ptr() as usize;
        let in_block = |bytes: &[u8]| {
            let at = (bytes.as_ptr() as usize).checked_sub(start)?;
            text?.get(at..at.checked_add(bytes.len())?)
        };
        let mut slots = Slots::new();
        self.builder.enter(block);
        for line in lines {
            match line {
                Line::TooLong(place, long) => self.too_long(place, long),
                Line::Whole(place, bytes) => {
                    self.bytes += place.span;
                    // within an entry of a journal a line means something else
                    let text = in_block(bytes).filter(|_| !self.envelopes.is_in_entry());
                    let known = text.and_then(|line| self.known_line(place.number, line, &NOBODY, &mut slots));
                    match known {
                        Some(format) => self.builder.count_format(format, Envelope::None),
                        None => self.other_line(place, bytes, in_block, &mut slots),
                    }
                    self.cut();
                }
            }
        }
    }

    /// A line of no known shape: perhaps there is a record in it.
    fn other_line<'a>(
        &mut self,
        place: Place,
        bytes: &'a [u8],
        in_block: impl Fn(&[u8]) -> Option<&'a str>,
        slots: &mut Slots<'a>,
    ) {
        let at = At { line: place.number, offset: place.offset };
        // what a caller wrote at the start of a line must not look like an envelope
        let last_piece = self.envelopes.has_pieces() && envelope::words_before(bytes).is_some();
        if !(self.envelopes.is_in_entry() || last_piece) && access_log::is_of_a_configured_format(bytes, &self.options)
        {
            self.configured_line(at, bytes);
            return;
        }
        match self.envelopes.open(bytes, at, self.options.names()) {
            Unwrapped::Nothing => {}
            Unwrapped::Bare(node) => {
                if node.is_nobody() && self.line_after_words(at, bytes, Pod::OfTheWords) {
                    return;
                }
                // a shipper put its keys beside the record's
                let envelope = if node.is_nobody() { Envelope::None } else { Envelope::Shipper };
                self.plain_line(at, bytes, &Around { envelope, ..Around::nothing(&node) }, &|| Sample::of(bytes));
            }
            Unwrapped::Record(Record { text: Cow::Borrowed(text), node, begun_at, envelope, written }) => {
                let by_path = self.node_by_path(&node, envelope);
                let node = by_path.as_deref().unwrap_or(&node);
                let line = in_block(text);
                let known = match node.is_nobody() {
                    true => line.and_then(|line| self.known_line(begun_at.line, line, &NOBODY, slots)),
                    false => line.and_then(|line| self.known_line(begun_at.line, line, node, &mut Slots::new())),
                };
                match known {
                    Some(format) => self.builder.count_format(format, envelope),
                    None => {
                        let around = Around { node, envelope, written: written.as_deref() };
                        self.plain_line(begun_at, text, &around, &|| Sample::of(bytes));
                    }
                }
            }
            Unwrapped::Record(record) => self.made(&record, Some((at, bytes))),
            Unwrapped::Wrong(wrong) => self.wrong(wrong, Some((at, bytes))),
        }
    }

    /// A line that is as a whole one of a configured format. A format that begins with a free text makes one of an envelope, too: if what would be in
    /// that is of a configured format as well, it is that. A caller that writes such words gains nothing by it: what follows them is its line.
    fn configured_line(&mut self, at: At, bytes: &[u8]) {
        if !self.line_after_words(at, bytes, Pod::OfThePath) {
            self.plain_line(at, bytes, &Around::nothing(&NOBODY), &|| Sample::of(bytes));
        }
    }

    /// Reads a line that stands after an envelope's words and is of a configured format; whether it is one.
    fn line_after_words(&mut self, at: At, bytes: &[u8], pod: Pod) -> bool {
        let inner = envelope::words_before(bytes)
            .filter(|opened| access_log::is_of_a_configured_format(&opened.content, &self.options));
        let Some(Opened { content, envelope, written, node, .. }) = inner else { return false };
        let node = if pod == Pod::OfTheWords { node } else { Node::default() };
        let by_path = self.node_by_path(&node, envelope);
        let around = Around { node: by_path.as_deref().unwrap_or(&node), envelope, written: written.as_deref() };
        self.plain_line(at, &content, &around, &|| Sample::of(bytes));
        true
    }

    /// Who logged a record of a container's file whose envelope does not say it.
    fn node_by_path(&self, node: &Node<'_>, envelope: Envelope) -> Option<Arc<Node<'static>>> {
        let of_a_container = matches!(envelope, Envelope::Cri | Envelope::Docker);
        self.node.clone().filter(|_| of_a_container && node.is_nobody())
    }

    /// A record that was put together; `line` is the one that ended it.
    fn made(&mut self, record: &Record<'_>, line: Option<(At, &[u8])>) {
        let Record { text, node, begun_at, envelope, written } = record;
        let by_path = self.node_by_path(node, *envelope);
        let node = by_path.as_deref().unwrap_or(node);
        // what the line says by itself is rejected as the line
        let raw = line.filter(|(at, _)| at == begun_at).map_or(text.as_ref(), |(_, bytes)| bytes);
        let line = std::str::from_utf8(text).ok();
        match line.and_then(|line| self.known_line(begun_at.line, line, node, &mut Slots::new())) {
            Some(format) => self.builder.count_format(format, *envelope),
            None => {
                let around = Around { node, envelope: *envelope, written: written.as_deref() };
                self.plain_line(*begun_at, text, &around, &|| Sample::of(raw));
            }
        }
    }

    fn wrong(&mut self, wrong: Wrong, line: Option<(At, &[u8])>) {
        let Wrong { refusal, cut } = wrong;
        let (at, sample) = match (cut, line) {
            (Some(Cut { begun_at, length, sha256, sample }), _) => (begun_at, Sample { length, sha256, sample }),
            (None, Some((at, bytes))) => (at, Sample::of(bytes)),
            (None, None) => return,
        };
        let refusal = refusal.of_line(&sample.sample);
        self.reject(at, refusal, sample);
    }

    fn too_long(&mut self, place: Place, long: LongLine) {
        self.bytes += place.span;
        let bound = self.options.max_line_bytes;
        let detail = format!(
            "the line has {} bytes, the bound is {bound} (max_line_bytes); raise it if such lines are genuine",
            long.length
        );
        let LongLine { length, sha256, sample } = long;
        let at = At { line: place.number, offset: place.offset };
        self.reject(at, Refusal::new(RejectReason::LineTooLong, detail), Sample { length, sha256, sample });
        self.cut();
    }

    /// Ends the batch, if it is full.
    fn cut(&mut self) {
        if self.lines >= self.options.batch_rows.max(1) as u64 || (self.bytes >= BATCH_BYTES && self.lines > 0) {
            let batch = self.take_batch();
            self.full.push_back(batch);
        }
    }

    /// Writes the row of a line of a known shape, and tells its format. `None`: nothing was written, the plain way has to be gone.
    fn known_line<'a>(
        &mut self,
        number: u64,
        line: &'a str,
        node: &'a Node<'_>,
        slots: &mut Slots<'a>,
    ) -> Option<LineFormat> {
        let Fast { shapes, texts, edges, scratch } = self.fast.as_mut().filter(|_| node.rest.is_empty())?;
        let (whole, line) = (access_log::untrimmed(line), access_log::trimmed(line));
        slots.clear();
        let options = self.options.as_ref();
        // a format that begins with a free text reads what stands before a line, too
        if !options.text_formats().is_empty() && envelope::words_before(whole.as_bytes()).is_some() {
            return None;
        }
        // where the format names things otherwise, a line of ztunnel's may look like one of its
        if options.renames() && ztunnel::looks_like(line) {
            return None;
        }
        let (layout, is_text) = match texts.read((whole, line), options.text_formats(), slots) {
            Found::Line(layout) => (layout, true),
            Found::Other if text_formats::is_of_a_template(whole, options.text_formats()) => return None,
            Found::Other if line.starts_with('{') => (shapes.read(line, options.max_nesting, slots)?, false),
            Found::Other | Found::Unsure => return None,
        };
        for (key, name) in node.names() {
            slots.add(key, name);
        }
        let addresses = Addresses::of(slots.told(), |key| slots.get(key));
        if is_text && !addresses.others(|key| slots.get(key)).all(is_endpoint) {
            return None;
        }
        let signs = addresses.signs(slots.told(), |key| slots.get(key));
        let hash = edges.hash(slots, signs);
        let generation = self.builder.generation();
        if let Some((edge, numbered)) = edges.get(hash, slots, signs) {
            if numbered.0 != generation {
                *numbered = (generation, self.builder.add_edge(edge));
            }
            let edge = (edge, numbered.1);
            let line = (number, self.options.as_ref());
            known::write(slots, layout, &addresses, edge, line, &mut self.builder, scratch)?;
            self.lines += 1;
            return Some(slots.told().format);
        }
        let fields = slots.fields(layout);
        let Assembly { options, source, received_at, builder, .. } = self;
        let (line, received_at) = (number, *received_at);
        let context = access_log::Context { options, source, line, received_at, written: None };
        let mut learned = None;
        // a refusal is made again by the plain way, from the whole line
        access_log::derive(fields, &context, |row, derived| learned = Some(append(builder, number, row, derived)))
            .ok()?;
        let (edge, place) = learned?;
        let harmless = |key| known::is_harmless(slots, key, &self.options.redaction);
        edges.insert(hash, slots, signs, (edge, harmless), (generation, place));
        self.lines += 1;
        Some(slots.told().format)
    }

    /// Decodes a record the plain way; if it is none, `sample` is what is kept.
    fn plain_line(&mut self, at: At, record: &[u8], around: &Around<'_>, sample: &dyn Fn() -> Sample) {
        let Around { node, envelope, written } = *around;
        let Assembly { options, source, received_at, builder, fast, .. } = self;
        let (line, received_at) = (at.line, *received_at);
        let context = access_log::Context { options, source, line, received_at, written };
        // a line with a shipper's keys beside its own is no shape of a proxy's
        let shapes = fast.as_mut().map(|fast| &mut fast.shapes).filter(|_| node.is_nobody());
        let decoded = access_log::decode(record, node, &context, shapes, |row, derived| {
            append(builder, at.line, row, derived);
        });
        match decoded {
            Ok(format) => {
                self.builder.count_format(format, envelope);
                self.lines += 1;
            }
            Err(refusal) => self.reject(at, refusal, sample()),
        }
    }

    fn reject(&mut self, at: At, Refusal { reason, detail }: Refusal, sample: Sample) {
        let redaction = &self.options.redaction;
        let Sample { length, sha256, sample } = sample;
        let detail = redaction.words(&detail).into_owned();
        // where in a line that does not fit its format a secret stands nobody knows
        let unread = matches!(reason, RejectReason::BadTextFormat | RejectReason::LineTooLong | RejectReason::NotUtf8);
        let sample = match unread && self.options.text_formats_hold_secrets() {
            true => HIDDEN.as_bytes().to_vec(),
            false => redaction.bytes(&sample).into_owned(),
        };
        self.builder.reject(Reject { line: at.line, offset: at.offset, reason, detail, length, sha256, sample });
        self.lines += 1;
    }

    /// What the end of the input leaves in envelopes.
    fn end_envelopes(&mut self) {
        let ended = Envelopes::new(longest_line(&self.options));
        for left in std::mem::replace(&mut self.envelopes, ended).finish(self.options.names()) {
            match left {
                Unwrapped::Record(record) => self.made(&record, None),
                Unwrapped::Wrong(wrong) => self.wrong(wrong, None),
                Unwrapped::Bare(_) | Unwrapped::Nothing => {}
            }
            self.cut();
        }
    }

    fn take_batch(&mut self) -> AccessLogBatch {
        let (rows, rejects, coverage, formats) = self.builder.finish();
        let (lines, bytes) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.bytes));
        AccessLogBatch { rows, rejects, coverage, formats, lines, bytes }
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

/// Who says in which pod a line was written that stands after words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pod {
    /// The words: nobody else writes the start of such a line.
    OfTheWords,
    /// The path of the file: a caller may have written the words.
    OfThePath,
}

/// What a record came in.
struct Around<'a> {
    node: &'a Node<'a>,
    envelope: Envelope,
    /// When the record was written, as the envelope says it.
    written: Option<&'a str>,
}

impl<'a> Around<'a> {
    fn nothing(node: &'a Node<'a>) -> Self {
        Around { node, envelope: Envelope::None, written: None }
    }
}

/// What is kept of a line that is no row.
struct Sample {
    length: u64,
    sha256: String,
    sample: Vec<u8>,
}

impl Sample {
    fn of(line: &[u8]) -> Self {
        Sample { length: line.len() as u64, sha256: hex(&Sha256::digest(line)), sample: line.to_vec() }
    }
}

/// Appends a row that was derived the plain way; its edge, and the edge's number in the batch.
fn append(builder: &mut BatchBuilder, line: u64, row: &Row<'_>, derived: &Derived) -> (Edge, u32) {
    let Derived { carried, taken, reporter, direction } = *derived;
    let edge = Edge::of(row, taken, reporter, direction);
    let number = builder.add_edge(&edge);
    builder.append(row, (number, edge.signals), line, (reporter, carried));
    (edge, number)
}

#[cfg(test)]
mod configured;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod nasties;
#[cfg(test)]
mod tests;

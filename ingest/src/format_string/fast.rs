//! The fast reader: most lines of most formats, in one pass over their delimiters.
//!
//! ```text
//! [T] "METHOD PATH PROTOCOL" CODE …      quotes of the line = quotes of the format: no value holds one, so each is where
//! ───  ────────────────────  ──────      the format has it, and the line falls into segments
//!       ▸    ·      ◂                    in a segment: from the left while a value cannot hold the byte that follows it,
//!                                        from the right while it cannot hold the byte before it; one may be left over
//! ```
//!
//! If more than one is left over, the byte that separates them is counted: if there are as many as in the format, no
//! value holds it. Every step is the only one possible, so what comes out is the only reading, and where a step does not fit there
//! is none; whatever is not forced is left to the judge. Lines whose delimiters are just those of the format are read before that, by
//! `words.rs`.

use std::cmp::Ordering;
use std::ops::Range;

use memchr::{memchr, memchr_iter, memrchr};

use super::words::Words;
use super::{Read, Target, TextFormat};
use crate::literal::same;
use crate::operator::Operator;

/// How a format's lines are read fast.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// Quotes in the format's literals.
    quotes: usize,
    segments: Vec<Segment>,
    /// For lines without surprises, the most.
    words: Option<Words>,
}

/// What stands between two quotes of the format: operators, and literals without quotes around them.
#[derive(Debug, Clone)]
pub(super) struct Segment {
    /// Its operators, as indexes into the format's.
    pub(super) operators: Range<usize>,
    /// One before each operator and one after the last.
    literals: Vec<Box<[u8]>>,
    /// Operators that are found from the left.
    left: usize,
    /// Operators that are found from the right.
    right: usize,
    pub(super) middle: Middle,
}

/// The operators that are found neither from the left nor from the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Middle {
    /// At most one: it takes what is left.
    One,
    /// Several: if that byte occurs no more often than in the literals between them, no value holds it.
    Counted { byte: u8, in_literals: usize },
    /// Several, and nothing separates them.
    Unknown,
}

/// Why there is no reading.
enum Stop {
    /// Something does not fit that must stand there.
    Other,
    /// It is not forced what stands where.
    Unsure,
}

/// Something must be there.
fn must<T>(found: Option<T>) -> Result<T, Stop> {
    found.ok_or(Stop::Other)
}

impl Plan {
    pub(super) fn new(operators: &[Operator], literals: &[String], targets: &[Target]) -> Plan {
        let quotes = literals.iter().map(|literal| literal.matches('"').count()).sum();
        let mut segments = Vec::new();
        let (mut first, mut parts): (usize, Vec<Box<[u8]>>) = (0, Vec::new());
        for (index, literal) in literals.iter().enumerate() {
            let mut pieces = literal.split('"');
            parts.push(pieces.next().unwrap_or_default().as_bytes().into());
            for piece in pieces {
                segments.push(Segment::new(operators, first..index, std::mem::take(&mut parts)));
                first = index;
                parts.push(piece.as_bytes().into());
            }
        }
        segments.push(Segment::new(operators, first..operators.len(), parts));
        Plan { quotes, segments, words: Words::new(operators, literals, targets) }
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn has_quotes(&self) -> bool {
        self.quotes > 0
    }

    /// Reads a line; where `ENDPOINTS_LATER`, see [`TextFormat::read_but_endpoints`].
    pub(super) fn read<'a, const ENDPOINTS_LATER: bool>(
        &self,
        format: &TextFormat,
        line: &'a str,
        values: &mut Vec<&'a str>,
    ) -> Read {
        values.resize(format.operators.len(), "");
        if self.words.as_ref().is_some_and(|words| words.read::<ENDPOINTS_LATER>(format, line, values).is_some()) {
            return Read::Sure;
        }
        let quotes = if self.quotes > 0 { memchr_iter(b'"', line.as_bytes()).count() } else { 0 };
        match quotes.cmp(&self.quotes) {
            Ordering::Less => return Read::Other,
            Ordering::Greater if !format.encloses(line) => return Read::Other,
            Ordering::Greater => return Read::Unsure,
            Ordering::Equal => {}
        }
        match self.read_segments(format, line, values) {
            Ok(()) => Read::Sure,
            Err(Stop::Other) => Read::Other,
            Err(Stop::Unsure) => Read::Unsure,
        }
    }

    fn read_segments<'a>(&self, format: &TextFormat, line: &'a str, values: &mut [&'a str]) -> Result<(), Stop> {
        let (last, segments) = must(self.segments.split_last())?;
        let mut from = 0;
        for segment in segments {
            let rest = line.as_bytes().get(from..).unwrap_or_default();
            let to = from + must(memchr(b'"', rest))?;
            segment.read(Cut { format, line, from, to }, values)?;
            from = to + 1;
        }
        last.read(Cut { format, line, from, to: line.len() }, values)
    }
}

impl Segment {
    /// Finds out how far one gets from either side. `literals` are those before, between and behind the operators.
    pub(super) fn new(all: &[Operator], operators: Range<usize>, literals: Vec<Box<[u8]>>) -> Segment {
        let inside = all.get(operators.clone()).unwrap_or_default();
        let between = literals.get(1..inside.len()).unwrap_or_default();
        // one stays for the middle, whatever it is
        let pairs = inside.iter().zip(between);
        let left = pairs.take_while(|(operator, literal)| excludes(operator, literal.first())).count();
        let pairs = inside.iter().skip(1).zip(between).skip(left).rev();
        let right = pairs.take_while(|(operator, literal)| excludes(operator, literal.last())).count();
        let separators = between.get(left..between.len() - right).unwrap_or_default();
        let middle = match separators.first().map(|literal| literal.first().copied()) {
            None => Middle::One,
            Some(Some(byte)) if separators.iter().all(|literal| literal.first() == Some(&byte)) => {
                let in_literals = separators.iter().map(|literal| memchr_iter(byte, literal).count()).sum();
                Middle::Counted { byte, in_literals }
            }
            Some(_) => Middle::Unknown,
        };
        Segment { operators, literals, left, right, middle }
    }

    /// The operators that are found neither from the left nor from the right.
    pub(super) fn in_the_middle(&self) -> Range<usize> {
        self.operators.start + self.left..self.operators.end - self.right
    }

    fn read<'a>(&self, mut cut: Cut<'_, 'a>, values: &mut [&'a str]) -> Result<(), Stop> {
        let (first, literals) = must(self.literals.split_first())?;
        cut.strip_prefix(first)?;
        let Some((last, between)) = literals.split_last() else {
            return must((cut.from == cut.to).then_some(()));
        };
        cut.strip_suffix(last)?;
        let operators = must(cut.format.operators.get(self.operators.clone()))?;
        let values = must(values.get_mut(self.operators.clone()))?;

        // from the left; in the middle only if the byte is where the format has it, and nowhere else
        let middle = operators.len() - self.right;
        let mut counted = self.middle == Middle::One;
        for (place, literal) in between.iter().enumerate().take(middle - 1) {
            if place == self.left && !counted {
                counted = true;
                // what is found from the right has not been cut off yet
                self.cut_right(&mut cut, operators, between, values)?;
                let Middle::Counted { byte, in_literals } = self.middle else { return Err(Stop::Unsure) };
                match memchr_iter(byte, cut.bytes()).count().cmp(&in_literals) {
                    Ordering::Less => return Err(Stop::Other),
                    Ordering::Equal => {}
                    Ordering::Greater => return Err(Stop::Unsure),
                }
            }
            let at = cut.from + must(memchr(*must(literal.first())?, cut.bytes()))?;
            *must(values.get_mut(place))? = cut.value(must(operators.get(place))?, cut.from, at)?;
            cut.from = at;
            cut.strip_prefix(literal)?;
        }
        if self.middle == Middle::One {
            self.cut_right(&mut cut, operators, between, values)?;
        }
        *must(values.get_mut(middle - 1))? = cut.value(must(operators.get(middle - 1))?, cut.from, cut.to)?;
        Ok(())
    }

    /// Finds the operators that are found from the right, and leaves what stands before them.
    fn cut_right<'a>(
        &self,
        cut: &mut Cut<'_, 'a>,
        operators: &[Operator],
        between: &[Box<[u8]>],
        values: &mut [&'a str],
    ) -> Result<(), Stop> {
        for place in (operators.len() - self.right..operators.len()).rev() {
            let literal = must(between.get(place - 1))?;
            let at = cut.from + must(memrchr(*must(literal.last())?, cut.bytes()))? + 1;
            *must(values.get_mut(place))? = cut.value(must(operators.get(place))?, at, cut.to)?;
            cut.to = at;
            cut.strip_suffix(literal)?;
        }
        Ok(())
    }
}

/// Whether no value of the operator can hold the byte next to it.
fn excludes(operator: &Operator, byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| !operator.class().may_hold(*byte))
}

/// What is left of a segment's text.
struct Cut<'f, 'a> {
    format: &'f TextFormat,
    line: &'a str,
    from: usize,
    to: usize,
}

impl<'a> Cut<'_, 'a> {
    fn bytes(&self) -> &[u8] {
        self.line.as_bytes().get(self.from..self.to).unwrap_or_default()
    }

    fn strip_prefix(&mut self, literal: &[u8]) -> Result<(), Stop> {
        let fits = self.bytes().get(..literal.len()).is_some_and(|bytes| same(bytes, literal));
        self.from += literal.len();
        must(fits.then_some(()))
    }

    fn strip_suffix(&mut self, literal: &[u8]) -> Result<(), Stop> {
        let from = must(self.to.checked_sub(literal.len()).filter(|from| *from >= self.from))?;
        let fits = self.line.as_bytes().get(from..self.to).is_some_and(|bytes| same(bytes, literal));
        self.to = from;
        must(fits.then_some(()))
    }

    /// What stands there, if it is a value of the operator's class.
    fn value(&self, operator: &Operator, from: usize, to: usize) -> Result<&'a str, Stop> {
        let value = must(self.line.get(from..to))?;
        must(self.format.accepts(operator.class(), value).then_some(value))
    }
}

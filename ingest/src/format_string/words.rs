//! The fastest reader: lines whose blanks and quotes are those of the format, but for blanks between quotes.
//!
//! ```text
//! line ─▶ marks (blanks, tabs, quotes), found 16 bytes at a time ─▶ each step takes the next mark: it must be the one that follows the value
//!
//! [%START_TIME%] "%REQ(:METHOD)% %PROTOCOL%" "%REQ(USER-AGENT)%"
//!  └── up to the blank, less `]`  └─ blank ┘ └─ quote   └── up to the next quote, whatever blanks come before it
//! ```
//! If every mark of the line is taken, no value holds a quote, and no value but one alone between two quotes holds a blank: as many as the format has are
//! there, each where a literal needs it. So the reading is the only one. Any other line is left to the other readers.

use super::{Target, TextFormat};
use crate::endpoints;
use crate::literal::same;
use crate::operator::{Operator, ValueClass};
use crate::unchecked::blanks_and_quotes;

/// Marks that a line may have; more are for the other readers.
const MOST: usize = 128;

/// How such lines are read.
#[derive(Debug, Clone)]
pub(super) struct Words {
    steps: Vec<Step>,
    /// After the last value.
    tail: Box<[u8]>,
}

/// One operator.
#[derive(Debug, Clone)]
struct Step {
    /// The literal before its value, and the marks in it.
    before: Box<[u8]>,
    marks: usize,
    end: End,
    /// It is an address of which an endpoint is made: whoever makes it may see to it that it is one.
    endpoint: bool,
}

/// Where a value ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// So many bytes before the next mark, which is that byte.
    Mark(u8, usize),
    /// At the next quote: it stands between two of them.
    Quote,
    Line,
}

impl Words {
    /// `None`: some values have neither a blank nor a quote after them.
    pub(super) fn new(operators: &[Operator], literals: &[String], targets: &[Target]) -> Option<Words> {
        let mut steps = Vec::new();
        for (place, literal) in literals.iter().enumerate().take(operators.len()) {
            let after = literals.get(place + 1)?;
            let end = match after.bytes().position(is_mark) {
                Some(0) if literal.ends_with('"') && after.starts_with('"') => End::Quote,
                Some(back) => End::Mark(*after.as_bytes().get(back)?, back),
                None if after.is_empty() && place + 1 == operators.len() => End::Line,
                None => return None,
            };
            let marks = literal.bytes().filter(|byte| is_mark(*byte)).count();
            let endpoint = matches!(targets.get(place), Some(Target::Key(key)) if endpoints::KEYS.has(*key));
            let endpoint = endpoint && operators.get(place)?.class() == &ValueClass::Address;
            steps.push(Step { before: literal.as_bytes().into(), marks, end, endpoint });
        }
        Some(Words { steps, tail: literals.last()?.as_bytes().into() })
    }

    /// Finds each operator's value; `None`: another reader has to. Where `ENDPOINTS_LATER`, those are not looked at.
    pub(super) fn read<'a, const ENDPOINTS_LATER: bool>(
        &self,
        format: &TextFormat,
        line: &'a str,
        values: &mut [&'a str],
    ) -> Option<()> {
        let bytes = line.as_bytes();
        let mut found = [0_u32; MOST];
        let marks = find(bytes, &mut found)?;
        let mark = |number: usize| marks.get(number).map(|at| *at as usize);
        let (mut at, mut next) = (0, 0);
        for ((step, operator), found) in self.steps.iter().zip(&format.operators).zip(values) {
            let literal = bytes.get(at..at + step.before.len())?;
            same(literal, &step.before).then_some(())?;
            at += step.before.len();
            next += step.marks;
            let end = match step.end {
                End::Line => bytes.len(),
                End::Mark(byte, back) => {
                    let end = mark(next)?;
                    (bytes.get(end) == Some(&byte)).then_some(())?;
                    end.checked_sub(back)?
                }
                End::Quote => loop {
                    let end = mark(next)?;
                    if bytes.get(end) == Some(&b'"') {
                        break end;
                    }
                    next += 1;
                },
            };
            let value = line.get(at..end)?;
            let fits = match (operator.class(), step.end) {
                (ValueClass::Text, _) => true,
                // without blanks, tabs and quotes it is a word
                (ValueClass::Word | ValueClass::Details, End::Mark(..)) if !value.is_empty() => true,
                (ValueClass::Address, _) if ENDPOINTS_LATER && step.endpoint && !value.is_empty() => true,
                (class, _) => format.accepts(class, value),
            };
            fits.then_some(())?;
            *found = value;
            at = end;
        }
        let left = self.tail.iter().filter(|byte| is_mark(**byte)).count();
        (same(bytes.get(at..)?, &self.tail) && next + left == marks.len()).then_some(())
    }
}

fn is_mark(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'"')
}

/// Where blanks, tabs and quotes stand; `None`: there are too many.
#[inline]
fn find<'f>(bytes: &[u8], found: &'f mut [u32; MOST]) -> Option<&'f [u32]> {
    let mut count = 0;
    let mut at = 0;
    let mut add = |place: usize, count: &mut usize| {
        *found.get_mut(*count)? = u32::try_from(place).ok()?;
        *count += 1;
        Some(())
    };
    let (chunks, rest) = bytes.as_chunks::<16>();
    for chunk in chunks {
        let mut bits = blanks_and_quotes(chunk);
        while bits != 0 {
            add(at + bits.trailing_zeros() as usize, &mut count)?;
            bits &= bits - 1;
        }
        at += 16;
    }
    for (place, byte) in rest.iter().enumerate() {
        if is_mark(*byte) {
            add(at + place, &mut count)?;
        }
    }
    found.get(..count)
}

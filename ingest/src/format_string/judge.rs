//! The judge: every way to read a line, counted up to two.
//!
//! ```text
//! starts of operator 0 ─▶ its ends ─▶ starts of operator 1 ─▶ …  ─▶ the one end of the line
//!      (1 way)             each: how many ways lead here (up to 2), and from which start
//! ```
//!
//! An operator's value ends where the next literal occurs, and nowhere else. Walking from left to right, each such place
//! gets the number of ways that lead to it; if exactly one leads to the line's end, the starts that were noted lead back
//! along it. Where the characters alone decide about a class, all starts are counted in one sweep; the others have short
//! values. What a hostile line could cost is bounded by [`Work`]; past it, the line is ambiguous.

use std::ops::Range;

use memchr::memmem;

use super::{Absent, Misfit, TextFormat};
use crate::operator::{Operator, ValueClass};

/// A place where an operator's value may end.
#[derive(Clone, Copy)]
struct End {
    at: usize,
    /// A start that leads here; the only one if `ways` is 1.
    from: usize,
    /// How many ways lead here: 1, or 2 for more.
    ways: u8,
}

/// A place where an operator's value may start.
#[derive(Clone, Copy)]
struct Start {
    at: usize,
    ways: u8,
}

/// Places that are remembered of one line; more are more ways than anybody needs to tell them apart.
const MOST_ENDS: usize = 1 << 18;

/// Steps that are left.
struct Work(usize);

impl Work {
    /// In proportion to the line; the constant is for short lines of tricky formats.
    fn for_line(line: &str, operators: usize) -> Work {
        Work((line.len() * 8).saturating_add(operators * 1024).saturating_add(1 << 16))
    }

    fn spend(&mut self, steps: usize) -> Option<()> {
        self.0 = self.0.checked_sub(steps)?;
        Some(())
    }
}

/// Finds the one reading.
pub(super) fn read(format: &TextFormat, line: &str) -> Result<Vec<Range<usize>>, Misfit> {
    let (first, literals) = format.literals.split_first().map_or(("", [].as_slice()), |(one, all)| (one.as_str(), all));
    if !line.starts_with(first) {
        return Err(Misfit::NoReading { stuck: format!("`{first}`"), at: 0 });
    }
    let mut work = Work::for_line(line, format.operators.len());
    let mut starts = vec![Start { at: first.len(), ways: 1 }];
    let mut ends: Vec<Vec<End>> = Vec::with_capacity(format.operators.len());
    let (mut remembered, last) = (0, format.operators.len() - 1);
    for (index, (operator, literal)) in format.operators.iter().zip(literals).enumerate() {
        let places = Places { line, literal, finder: memmem::Finder::new(literal), last: index == last };
        let sweep = Sweep { format, operator, places };
        let found = sweep.ends(&starts, &mut work).ok_or_else(|| ambiguous(operator))?;
        if found.is_empty() {
            let at = starts.last().map_or(0, |start| start.at);
            return Err(Misfit::NoReading { stuck: stuck(operator, literal), at });
        }
        remembered += found.len();
        if remembered > MOST_ENDS {
            return Err(ambiguous(operator));
        }
        starts = found.iter().map(|end| Start { at: end.at + literal.len(), ways: end.ways }).collect();
        ends.push(found);
    }
    lead_back(format, &ends)
}

/// From the line's end back to its start; there is one end, for the last literal stands there.
fn lead_back(format: &TextFormat, ends: &[Vec<End>]) -> Result<Vec<Range<usize>>, Misfit> {
    let mut spans = Vec::with_capacity(ends.len());
    let mut doubtful = false;
    let mut first_doubtful = None;
    let mut at = ends.last().and_then(|ends| ends.last()).map_or(0, |end| end.at);
    for ((operator, literal), ends) in format.operators.iter().zip(&format.literals).zip(ends).rev() {
        let place = ends.binary_search_by_key(&at, |end| end.at).ok().and_then(|place| ends.get(place));
        let Some(end) = place else { return Err(ambiguous(operator)) };
        // several ways lead here: the value before this one ends in several places
        if doubtful {
            first_doubtful = Some(operator);
        }
        doubtful = end.ways > 1;
        spans.push(end.from..end.at);
        at = end.from.saturating_sub(literal.len());
    }
    spans.reverse();
    first_doubtful.map_or(Ok(spans), |operator| Err(ambiguous(operator)))
}

fn ambiguous(operator: &Operator) -> Misfit {
    Misfit::Ambiguous { operator: operator.to_string() }
}

fn stuck(operator: &Operator, literal: &str) -> String {
    match literal {
        "" => operator.to_string(),
        literal => format!("{operator} followed by `{literal}`"),
    }
}

/// The places of the literal behind an operator.
struct Places<'a> {
    line: &'a str,
    literal: &'a str,
    finder: memmem::Finder<'a>,
    /// It ends the line.
    last: bool,
}

impl Places<'_> {
    /// The first place at or after `from`; overlapping ones count.
    fn next(&self, from: usize) -> Option<usize> {
        if self.last {
            let at = self.line.len().checked_sub(self.literal.len())?;
            return (at >= from && self.line.ends_with(self.literal)).then_some(at);
        }
        if self.literal.is_empty() {
            return (from..=self.line.len()).find(|at| self.line.is_char_boundary(*at));
        }
        Some(from + self.finder.find(self.line.as_bytes().get(from..)?)?)
    }
}

/// One operator's step.
struct Sweep<'a> {
    format: &'a TextFormat,
    operator: &'a Operator,
    places: Places<'a>,
}

impl Sweep<'_> {
    /// Every place where a value ends that starts at one of `starts`, both in ascending order. `None`: too much work.
    fn ends(&self, starts: &[Start], work: &mut Work) -> Option<Vec<End>> {
        let mut ends: Vec<End> = Vec::new();
        let mut starts = starts;
        while let Some(first) = starts.first() {
            let limit = self.limit(first.at, work)?;
            // those before the limit share it
            let (run, rest) = starts.split_at(starts.partition_point(|start| start.at <= limit).max(1));
            starts = rest;
            self.run(run, limit, &mut ends, work)?;
        }
        Some(ends)
    }

    /// Where the characters of the class end that stand at `from`.
    fn limit(&self, from: usize, work: &mut Work) -> Option<usize> {
        let class = self.operator.class();
        let rest = self.places.line.as_bytes().get(from..).unwrap_or_default();
        let length = match class {
            ValueClass::Text | ValueClass::Json => rest.len(),
            ValueClass::Details => memchr::memchr(b'"', rest).unwrap_or(rest.len()),
            _ => rest.iter().position(|byte| !class.may_hold(*byte)).unwrap_or(rest.len()),
        };
        work.spend(1 + length / 16)?;
        Some(from + length)
    }

    /// The ends of values that start in `run` and end at `limit` or before.
    fn run(&self, run: &[Start], limit: usize, ends: &mut Vec<End>, work: &mut Work) -> Option<()> {
        let class = self.operator.class();
        let empty = class.may_be_empty() || self.format.absent == Absent::Nothing;
        let mut place = self.places.next(run.first()?.at);
        // the starts up to the place, and for an alphabet how many ways lead to any of them
        let (mut before, mut sum) = (0, None);
        while let Some(at) = place.filter(|at| *at <= limit) {
            work.spend(1)?;
            while let Some(start) = run.get(before).filter(|start| start.at < at || (empty && start.at == at)) {
                sum = add(sum, *start);
                before += 1;
            }
            let found = match class.is_alphabet() {
                true => sum,
                false => self.checked(run.get(..before).unwrap_or_default(), at, work)?,
            };
            ends.extend(found.map(|Start { at: from, ways }| End { at, from, ways }));
            place = self.places.next(at + 1);
        }
        Some(())
    }

    /// The starts of values that end at `at`, each looked at.
    fn checked(&self, starts: &[Start], at: usize, work: &mut Work) -> Option<Option<Start>> {
        let class = self.operator.class();
        let mut sum = None;
        for start in starts.iter().rev().take_while(|start| at - start.at <= class.longest()) {
            let value = self.places.line.get(start.at..at).unwrap_or_default();
            // two bytes tell most of those that are no JSON
            let open = *class != ValueClass::Json || value.len() == 1 || value.ends_with(['}', ']']);
            work.spend(1 + if open { value.len() } else { 0 } / 8)?;
            if (open || value.is_empty()) && self.format.accepts(class, value) {
                sum = add(sum, *start);
            }
        }
        Some(sum)
    }
}

/// `None` is no way.
fn add(sum: Option<Start>, start: Start) -> Option<Start> {
    Some(Start { at: start.at, ways: sum.map_or(0, |sum| sum.ways).saturating_add(start.ways).min(2) })
}

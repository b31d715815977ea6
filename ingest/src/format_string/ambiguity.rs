//! Where a text format leaves a value's end in doubt, told before the first line is read.
//!
//! The fast reader's plan says which operators of a format are found for certain; those that are not are the doubtful
//! ones. A format of one free text among values that cannot hold its separators is certain as a whole.

use std::fmt;

use super::fast::{Middle, Plan, Segment};
use crate::operator::{Operator, ValueClass};

/// One place of a format where a value cannot be told from its surroundings for certain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ambiguity {
    /// What the doubt is.
    pub kind: AmbiguityKind,
    /// The operator whose end is in doubt.
    pub operator: String,
    /// The literal behind it; empty if the next operator follows at once.
    pub literal: String,
    /// The next operator.
    pub next: Option<String>,
    /// Whether a peer chooses the value, and with it whether the line can be read.
    pub caller_controlled: bool,
}

/// Kinds of doubt, from the worst to the mildest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AmbiguityKind {
    /// Nothing separates two operators.
    Adjacent,
    /// What separates two operators may occur in their values.
    Separator,
    /// Quotes enclose the value, and only a quote inside it makes a doubt: hardly ever, unless somebody wants it.
    Quote,
}

impl fmt::Display for Ambiguity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ambiguity { operator, literal, .. } = self;
        let next = self.next.as_deref().unwrap_or("the end");
        let who = if self.caller_controlled { ", and a caller may choose it" } else { "" };
        match self.kind {
            AmbiguityKind::Adjacent => write!(
                f,
                "nothing separates {operator} from {next}: most lines are rejects; put double quotes around both, or log JSON"
            ),
            AmbiguityKind::Separator => write!(
                f,
                "{operator} may hold the `{literal}` behind it{who}: such a line is a reject; put double quotes around it, or log JSON"
            ),
            AmbiguityKind::Quote => write!(
                f,
                "{operator} may hold a double quote, which Envoy does not escape{who}: such a line is a reject, unless there is \
                 one way to read it; JSON leaves no doubt"
            ),
        }
    }
}

pub(super) fn find(operators: &[Operator], literals: &[String], plan: &Plan) -> Vec<Ambiguity> {
    // quotes are bytes like others here
    let whole = literals.iter().map(|literal| literal.as_bytes().into()).collect();
    if Segment::new(operators, 0..operators.len(), whole).middle == Middle::One {
        return Vec::new();
    }
    let at = |kind, index: usize| {
        let operator = operators.get(index)?;
        Some(Ambiguity {
            kind,
            operator: operator.to_string(),
            literal: literals.get(index + 1)?.clone(),
            next: operators.get(index + 1).map(Operator::to_string),
            caller_controlled: operator.caller_controlled(),
        })
    };
    let doubtful = plan.segments().iter().flat_map(|segment| {
        let middle = segment.in_the_middle();
        // the last of them ends where what is found from the right begins
        middle.start..middle.end.saturating_sub(1).max(middle.start)
    });
    let unquoted = doubtful.filter_map(|index| {
        let (operator, literal) = (operators.get(index)?, literals.get(index + 1)?);
        match literal.bytes().next() {
            None => at(AmbiguityKind::Adjacent, index),
            // JSON says itself where it ends
            Some(byte) if operator.class().may_hold(byte) && *operator.class() != ValueClass::Json => {
                at(AmbiguityKind::Separator, index)
            }
            Some(_) => None,
        }
    });
    let mut found: Vec<Ambiguity> = unquoted.collect();
    let texts = (0..operators.len()).filter(|index| {
        plan.has_quotes() && operators.get(*index).is_some_and(|operator| *operator.class() == ValueClass::Text)
    });
    found.extend(texts.filter_map(|index| at(AmbiguityKind::Quote, index)));
    found.sort_by_key(|ambiguity| ambiguity.kind);
    found
}

//! As much of CEL as access-log filters are made of: `||`, `&&`, `!`, comparisons, `in`, `has()`, paths, string functions.
//!
//! ```text
//!  or ::= and ("||" and)*    and ::= not ("&&" not)*    not ::= "!"* compare    compare ::= value (("==" | ">=" | ...) value)?
//!  value ::= literal | "(" or ")" | has(path) | path | value ".startsWith(" value ")"
//! ```
//! A missing attribute is an error, which `||` and `&&` pass over where the other side decides. What is not modelled is unknown, never guessed.
//! Expressions are bounded in length and depth.

use std::collections::BTreeMap;

/// Longest expression, bytes.
const LONGEST: usize = 16 << 10;
/// Deepest nesting.
const DEEPEST: usize = 32;

/// What an expression comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Bool(bool),
    Number(i64),
    Text(String),
    /// An attribute that the line does not have: an error.
    Missing,
    /// It depends on what is not known here.
    Unknown,
}

/// What is known of a line.
#[derive(Clone, Debug)]
pub(super) struct Attributes {
    known: BTreeMap<&'static str, Value>,
    /// Requests have `request` and `response`; of connections there is neither.
    http: bool,
}

/// A parsed expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Or(Vec<Expression>),
    And(Vec<Expression>),
    Not(Box<Expression>),
    Compare(Box<Expression>, Operator, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    Has(String),
    Path(String),
    Call(Box<Expression>, String, Box<Expression>),
    Literal(Value),
    /// Something else, well formed: a function, arithmetic.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Number(i64),
    Text(String),
    Sign(&'static str),
}

const SIGNS: [&str; 22] = [
    "||", "&&", "==", "!=", ">=", "<=", ">", "<", "!", "(", ")", "[", "]", ".", ",", "+", "-", "*", "/", "%", "?", ":",
];

/// Reads an expression.
pub(super) fn parse(text: &str) -> Result<Expression, String> {
    if text.len() > LONGEST {
        return Err(format!("it has more than {LONGEST} bytes"));
    }
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let expression = parser.or(DEEPEST)?;
    match parser.peek() {
        None => Ok(expression),
        Some(_) => Err(parser.stuck()),
    }
}

/// What an expression comes to on a line.
pub(super) fn evaluate(expression: &Expression, line: &Attributes) -> Value {
    match expression {
        Expression::Or(parts) => junction(parts, line, true),
        Expression::And(parts) => junction(parts, line, false),
        Expression::Not(inner) => match evaluate(inner, line) {
            Value::Bool(truth) => Value::Bool(!truth),
            Value::Missing => Value::Missing,
            _ => Value::Unknown,
        },
        Expression::Compare(left, operator, right) => compare(&evaluate(left, line), *operator, &evaluate(right, line)),
        Expression::In(left, list) => {
            let left = evaluate(left, line);
            let equal = list.iter().map(|item| compare(&left, Operator::Equal, &evaluate(item, line)));
            any(equal, true)
        }
        Expression::Has(path) => match line.get(path) {
            Value::Missing => Value::Bool(false),
            Value::Unknown => Value::Unknown,
            _ => Value::Bool(true),
        },
        Expression::Path(path) => line.get(path),
        Expression::Call(on, name, argument) => call(&evaluate(on, line), name, &evaluate(argument, line)),
        Expression::Literal(value) => value.clone(),
        Expression::Other => Value::Unknown,
    }
}

impl Attributes {
    /// Of a request.
    pub(super) fn http() -> Self {
        Attributes { known: BTreeMap::new(), http: true }
    }

    /// Of a connection, or of a listener's line.
    pub(super) fn tcp() -> Self {
        Attributes { known: BTreeMap::new(), http: false }
    }

    pub(super) fn with(mut self, path: &'static str, value: impl Into<Value>) -> Self {
        self.known.insert(path, value.into());
        self
    }

    /// How the connection was secured, and Envoy's response flags as bits.
    pub(super) fn ends(self, mtls: bool, flags: i64) -> Self {
        self.with("connection.mtls", mtls).with("response.flags", flags)
    }

    fn get(&self, path: &str) -> Value {
        if let Some(value) = self.known.get(path) {
            return value.clone();
        }
        let of_requests = path.starts_with("request.")
            || path.starts_with("response.")
            || path.starts_with("metadata.filter_metadata[envoy.filters.http.");
        match path {
            "connection.termination_details" => Value::Missing,
            _ if of_requests && !self.http => Value::Missing,
            _ => Value::Unknown,
        }
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Value::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

fn junction(parts: &[Expression], line: &Attributes, decides: bool) -> Value {
    any(parts.iter().map(|part| evaluate(part, line)), decides)
}

/// `decides` if any of the values is that; else unknown, else missing, if any is; else the other.
fn any(values: impl Iterator<Item = Value>, decides: bool) -> Value {
    let (mut missing, mut unknown) = (false, false);
    for value in values {
        match value {
            Value::Bool(truth) if truth == decides => return Value::Bool(decides),
            Value::Bool(_) => {}
            Value::Missing => missing = true,
            _ => unknown = true,
        }
    }
    match (unknown, missing) {
        (true, _) => Value::Unknown,
        (_, true) => Value::Missing,
        _ => Value::Bool(!decides),
    }
}

fn compare(left: &Value, operator: Operator, right: &Value) -> Value {
    let order = match (left, right) {
        (Value::Missing, _) | (_, Value::Missing) => return Value::Missing,
        (Value::Number(left), Value::Number(right)) => left.cmp(right),
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        _ => return Value::Unknown,
    };
    Value::Bool(match operator {
        Operator::Equal => order.is_eq(),
        Operator::NotEqual => order.is_ne(),
        Operator::Less => order.is_lt(),
        Operator::AtMost => order.is_le(),
        Operator::More => order.is_gt(),
        Operator::AtLeast => order.is_ge(),
    })
}

fn call(on: &Value, name: &str, argument: &Value) -> Value {
    match (on, argument) {
        (Value::Missing, _) | (_, Value::Missing) => Value::Missing,
        (Value::Text(text), Value::Text(argument)) => match name {
            "startsWith" => Value::Bool(text.starts_with(argument)),
            "endsWith" => Value::Bool(text.ends_with(argument)),
            "contains" => Value::Bool(text.contains(argument)),
            _ => Value::Unknown,
        },
        _ => Value::Unknown,
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Some(Token::Sign(found)) if *found == sign)
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.is(sign);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), String> {
        if self.take(sign) { Ok(()) } else { Err(format!("`{sign}` is missing: {}", self.stuck())) }
    }

    fn stuck(&self) -> String {
        match self.peek() {
            None => "it ends too early".to_owned(),
            Some(Token::Word(word)) => format!("`{word}` is not expected"),
            Some(Token::Number(number)) => format!("`{number}` is not expected"),
            Some(Token::Text(text)) => format!("'{text}' is not expected"),
            Some(Token::Sign(sign)) => format!("`{sign}` is not expected"),
        }
    }

    fn or(&mut self, depth: usize) -> Result<Expression, String> {
        let depth = depth.checked_sub(1).ok_or("it is nested too deeply")?;
        let mut parts = vec![self.and(depth)?];
        while self.take("||") {
            parts.push(self.and(depth)?);
        }
        if self.take("?") {
            self.or(depth)?;
            self.expect(":")?;
            self.or(depth)?;
            return Ok(Expression::Other);
        }
        Ok(one_or(parts, Expression::Or))
    }

    fn and(&mut self, depth: usize) -> Result<Expression, String> {
        let mut parts = vec![self.compare(depth)?];
        while self.take("&&") {
            parts.push(self.compare(depth)?);
        }
        Ok(one_or(parts, Expression::And))
    }

    fn compare(&mut self, depth: usize) -> Result<Expression, String> {
        let left = self.sum(depth)?;
        if matches!(self.peek(), Some(Token::Word(word)) if word == "in") {
            self.at += 1;
            let list = self.take("[");
            if !list {
                self.sum(depth)?;
                return Ok(Expression::Other);
            }
            let items = self.list("]", depth)?;
            return Ok(Expression::In(Box::new(left), items));
        }
        let signs = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::AtMost),
            (">=", Operator::AtLeast),
            ("<", Operator::Less),
            (">", Operator::More),
        ];
        match signs.into_iter().find(|(sign, _)| self.take(sign)) {
            Some((_, operator)) => Ok(Expression::Compare(Box::new(left), operator, Box::new(self.sum(depth)?))),
            None => Ok(left),
        }
    }

    /// Arithmetic is passed over: its outcome is unknown.
    fn sum(&mut self, depth: usize) -> Result<Expression, String> {
        let first = self.not(depth)?;
        let mut alone = true;
        while ["+", "-", "*", "/", "%"].iter().any(|sign| self.take(sign)) {
            self.not(depth)?;
            alone = false;
        }
        Ok(if alone { first } else { Expression::Other })
    }

    fn not(&mut self, depth: usize) -> Result<Expression, String> {
        let mut negated = false;
        while self.take("!") {
            negated = !negated;
        }
        let minus = self.take("-");
        let value = match (self.value(depth)?, minus) {
            (Expression::Literal(Value::Number(number)), true) => Expression::Literal(Value::Number(-number)),
            (_, true) => Expression::Other,
            (value, false) => value,
        };
        Ok(if negated { Expression::Not(Box::new(value)) } else { value })
    }

    fn value(&mut self, depth: usize) -> Result<Expression, String> {
        let token = self.peek().cloned();
        let first = match token {
            Some(Token::Sign("(")) => {
                self.at += 1;
                let inner = self.or(depth)?;
                self.expect(")")?;
                inner
            }
            Some(Token::Sign("[")) => {
                self.at += 1;
                self.list("]", depth)?;
                Expression::Other
            }
            Some(Token::Number(number)) => {
                self.at += 1;
                Expression::Literal(Value::Number(number))
            }
            Some(Token::Text(text)) => {
                self.at += 1;
                Expression::Literal(Value::Text(text))
            }
            Some(Token::Word(word)) => {
                self.at += 1;
                match word.as_str() {
                    "true" | "false" => Expression::Literal(Value::Bool(word == "true")),
                    "has" if self.take("(") => {
                        let inner = self.or(depth)?;
                        self.expect(")")?;
                        match inner {
                            Expression::Path(path) => Expression::Has(path),
                            _ => return Err("has() takes an attribute".to_owned()),
                        }
                    }
                    _ if self.take("(") => {
                        self.list(")", depth)?;
                        Expression::Other
                    }
                    _ => Expression::Path(word),
                }
            }
            _ => return Err(self.stuck()),
        };
        self.members(first, depth)
    }

    /// What follows a value: `.name`, `['name']`, `.function(argument)`.
    fn members(&mut self, mut value: Expression, depth: usize) -> Result<Expression, String> {
        loop {
            if self.take(".") {
                let Some(Token::Word(name)) = self.peek().cloned() else { return Err(self.stuck()) };
                self.at += 1;
                value = match value {
                    value if self.take("(") => {
                        let mut arguments = self.list(")", depth)?;
                        match (arguments.pop(), arguments.is_empty()) {
                            (Some(argument), true) => Expression::Call(Box::new(value), name, Box::new(argument)),
                            _ => Expression::Other,
                        }
                    }
                    Expression::Path(path) => Expression::Path(format!("{path}.{name}")),
                    _ => Expression::Other,
                };
            } else if self.take("[") {
                let index = self.or(depth)?;
                self.expect("]")?;
                value = match (value, index) {
                    (Expression::Path(path), Expression::Literal(Value::Text(name))) => {
                        Expression::Path(format!("{path}[{name}]"))
                    }
                    _ => Expression::Other,
                };
            } else {
                return Ok(value);
            }
        }
    }

    fn list(&mut self, end: &'static str, depth: usize) -> Result<Vec<Expression>, String> {
        let mut items = Vec::new();
        if self.take(end) {
            return Ok(items);
        }
        loop {
            items.push(self.or(depth)?);
            if !self.take(",") {
                self.expect(end)?;
                return Ok(items);
            }
        }
    }
}

fn one_or(mut parts: Vec<Expression>, make: impl Fn(Vec<Expression>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.pop().unwrap_or(Expression::Other),
        _ => make(parts),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = if first.is_ascii_digit() {
            number(rest)?
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            (Token::Word(rest.get(..end).unwrap_or_default().to_owned()), end)
        } else if matches!(first, '"' | '\'') {
            string(rest, first)?
        } else {
            let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
            let sign = sign.ok_or_else(|| format!("`{first}` is not expected"))?;
            (Token::Sign(sign), sign.len())
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    Ok(tokens)
}

fn number(text: &str) -> Result<(Token, usize), String> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(text.len());
    let word = text.get(..end).unwrap_or_default();
    let digits = word.trim_end_matches(['u', 'U']);
    let number = match digits.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16),
        None => digits.parse(),
    };
    number.map(|number| (Token::Number(number), end)).map_err(|_| format!("`{word}` is no whole number"))
}

fn string(text: &str, quote: char) -> Result<(Token, usize), String> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            c if c == quote => return Ok((Token::Text(value), at + quote.len_utf8())),
            c => value.push(c),
        }
    }
    Err("a string does not end".to_owned())
}

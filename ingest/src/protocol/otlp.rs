//! OTLP logs, as `opentelemetry.proto.collector.logs.v1.LogsService/Export` and `POST /v1/logs` carry them.
//!
//! ```text
//! record ─┬ its attributes (or a body of keys and values) are an access log ─▶ {attributes.., resource's pod}
//!         └ else the body is a text: the line itself, or                    ─▶ {"log":body,"kubernetes":{..},"attributes":{..}}
//! ```
//! Source: opentelemetry-proto 1.9, and what Istio's `envoyOtelAls` sends: an empty resource, the text format as the body, and labels as attributes, all of
//! them strings: numbers, truth values and objects that Envoy wrote into a string become what they were, `"-"` becomes null.
//!
//! No line gets: severity, observed time, scope, event name, and the text of a record whose attributes say everything (Istio sends both).

mod json;
mod record;

use super::lines::Lines;
use super::wire::{Message, Value, WireError};
pub use json::JsonError;
use record::{Any, Record, Resource};

/// Appends the records of an `ExportLogsServiceRequest` in Protocol Buffers as lines.
///
/// # Errors
/// If it is no message: then none of its records is appended.
pub fn from_protobuf(request: &[u8], lines: &mut Lines) -> Result<(), WireError> {
    let mark = lines.mark();
    let outcome = resource_logs(request, lines);
    if outcome.is_err() {
        lines.cut(mark);
    }
    outcome
}

/// Appends the records of an `ExportLogsServiceRequest` in JSON as lines.
///
/// # Errors
/// If it is no such JSON: then none of its records is appended.
pub fn from_json(request: &[u8], lines: &mut Lines) -> Result<(), JsonError> {
    json::read(request, lines)
}

fn resource_logs(request: &[u8], lines: &mut Lines) -> Result<(), WireError> {
    let mut record = Record::default();
    let mut fields = Message::new(request);
    while let Some((field, value)) = fields.next()? {
        if field != 1 {
            continue;
        }
        let logs = value.bytes();
        // the resource goes for all records, wherever it stands
        let mut resource = Resource::default();
        let mut fields = Message::new(logs);
        while let Some((field, value)) = fields.next()? {
            if field == 1 {
                let mut attributes = Vec::new();
                key_values(value.bytes(), 1, 0, &mut attributes)?;
                resource = Resource::of(attributes);
            }
        }
        let mut fields = Message::new(logs);
        while let Some((field, value)) = fields.next()? {
            if field == 2 {
                let mut fields = Message::new(value.bytes());
                while let Some((field, value)) = fields.next()? {
                    match field {
                        2 if value.bytes().len() > LARGEST => lines.object(|line| {
                            line.number("otlp_record_bytes_over_the_bound", Some(value.bytes().len() as u64));
                        }),
                        2 => {
                            read(value.bytes(), &mut record)?;
                            record.write(&resource, lines);
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    Ok(())
}

/// Reads a `LogRecord` over another one.
fn read<'a>(bytes: &'a [u8], record: &mut Record<'a>) -> Result<(), WireError> {
    record.clear();
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        match field {
            1 => record.time = value.number(),
            5 => record.body = any(value.bytes(), 0)?,
            6 => {
                let attribute = key_value(value.bytes(), 0)?;
                record.attributes.push(attribute);
            }
            9 => record.trace_id = value.bytes(),
            10 => record.span_id = value.bytes(),
            _ => {}
        }
    }
    Ok(())
}

/// Bytes of the largest record that is read: a value of two bytes takes 48 in memory. A larger one becomes a reject that says its length.
const LARGEST: usize = 2 << 20;

/// Deepest values that are read; what is below is null.
const DEEPEST: usize = super::structs::DEEPEST;

/// The `KeyValue`s of a message, which are its field of that number.
fn key_values<'a>(
    bytes: &'a [u8],
    number: u64,
    depth: usize,
    all: &mut Vec<(&'a [u8], Any<'a>)>,
) -> Result<(), WireError> {
    let mut fields = Message::new(bytes);
    while let Some((field, value)) = fields.next()? {
        if field == number {
            all.push(key_value(value.bytes(), depth)?);
        }
    }
    Ok(())
}

fn key_value(bytes: &[u8], depth: usize) -> Result<(&[u8], Any<'_>), WireError> {
    let (mut key, mut value) = (&[][..], Any::Null);
    let mut fields = Message::new(bytes);
    while let Some((field, content)) = fields.next()? {
        match field {
            1 => key = content.bytes(),
            2 => value = any(content.bytes(), depth)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// An `AnyValue`.
fn any(bytes: &[u8], depth: usize) -> Result<Any<'_>, WireError> {
    let mut value = Any::Null;
    let mut fields = Message::new(bytes);
    while let Some(field) = fields.next()? {
        value = match field {
            (1, Value::Bytes(text)) => Any::Text(text),
            (2, flag) => Any::Bool(flag.number() != 0),
            (3, number) => Any::Int(number.number().cast_signed()),
            (4, Value::Eight(bits)) => Any::Double(f64::from_bits(bits)),
            (5, Value::Bytes(list)) if depth < DEEPEST => {
                let mut items = Vec::new();
                let mut fields = Message::new(list);
                while let Some((field, item)) = fields.next()? {
                    if field == 1 {
                        items.push(any(item.bytes(), depth + 1)?);
                    }
                }
                Any::List(items)
            }
            (6, Value::Bytes(map)) if depth < DEEPEST => {
                let mut members = Vec::new();
                key_values(map, 1, depth + 1, &mut members)?;
                Any::Map(members)
            }
            (7, Value::Bytes(bytes)) => Any::Bytes(bytes),
            _ => continue,
        };
    }
    Ok(value)
}

#[cfg(test)]
mod tests;

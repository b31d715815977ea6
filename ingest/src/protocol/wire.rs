//! Protocol Buffers on the wire: the fields of a message, one after the other, without a copy.
//!
//! Source of the format: <https://protobuf.dev/programming-guides/encoding/>. Strings are bytes here: whether they are UTF-8 is looked at once, when the
//! line that they become is decoded. Groups (deprecated since 2008, and used by none of the protocols here) are refused.

/// Bytes that are no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// It ends in the middle of a field.
    #[error("the message ends in the middle of a field")]
    Cut,
    /// A number of more than 64 bits.
    #[error("the message holds a number of more than 64 bits")]
    LongNumber,
    /// A field that is none.
    #[error("the message holds a field of wire type {0}, which is none of 0, 1, 2, 5")]
    WireType(u8),
    /// Fields are numbered from 1.
    #[error("the message holds a field without a number")]
    NoNumber,
}

/// The value of a field, as it is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value<'a> {
    /// `int32`, `int64`, `uint32`, `uint64`, `bool`, an enum.
    Number(u64),
    /// `fixed64`, `double`.
    Eight(u64),
    /// A string, bytes, a message.
    Bytes(&'a [u8]),
    /// `fixed32`, `float`.
    Four,
}

impl<'a> Value<'a> {
    /// The bytes; none, where it is a number.
    pub(super) fn bytes(self) -> &'a [u8] {
        if let Value::Bytes(bytes) = self { bytes } else { &[] }
    }

    /// The number; 0, where it is bytes.
    pub(super) fn number(self) -> u64 {
        match self {
            Value::Number(number) | Value::Eight(number) => number,
            Value::Bytes(_) | Value::Four => 0,
        }
    }
}

/// The fields of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Message(bytes)
    }

    /// Number and value of the next field; `None` at the end.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, WireError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => Value::Eight(u64::from_le_bytes(self.take::<8>()?)),
            2 => {
                let length = usize::try_from(self.number()?).map_err(|_| WireError::Cut)?;
                let (bytes, rest) = self.0.split_at_checked(length).ok_or(WireError::Cut)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            5 => {
                self.take::<4>()?;
                Value::Four
            }
            other => return Err(WireError::WireType(other as u8)),
        };
        // a tag has 32 bits
        if !(8..1 << 32).contains(&tag) {
            return Err(WireError::NoNumber);
        }
        Ok(Some((tag >> 3, value)))
    }

    #[inline]
    fn number(&mut self) -> Result<u64, WireError> {
        match self.0 {
            // most numbers, and all tags of fields up to 15
            [byte, rest @ ..] if *byte < 0x80 => {
                self.0 = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_number(),
        }
    }

    fn long_number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(WireError::Cut)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if shift == 9 && bits > 1 {
                return Err(WireError::LongNumber);
            }
            number |= bits << (7 * shift);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::LongNumber)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::Cut)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

/// Key and value of an entry of a `map<string, …>`.
pub(super) fn entry(bytes: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut key, mut value) = (&[][..], &[][..]);
    let mut fields = Message::new(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => key = field.bytes(),
            2 => value = field.bytes(),
            _ => {}
        }
    }
    Ok((key, value))
}

/// The seconds and nanoseconds of a `google.protobuf.Timestamp` or `Duration`.
pub(super) fn seconds(bytes: &[u8]) -> Result<(i64, i64), WireError> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Message::new(bytes);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => seconds = field.number().cast_signed(),
            2 => nanos = field.number().cast_signed(),
            _ => {}
        }
    }
    Ok((seconds, nanos))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u64, Value<'_>)>, WireError> {
        let mut fields = Message::new(bytes);
        let mut all = Vec::new();
        while let Some(field) = fields.next()? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn fields_as_the_documentation_writes_them() {
        // the examples of the page "Encoding"
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Value::Number(150))]));
        assert_eq!(all(b"\x12\x07testing"), Ok(vec![(2, Value::Bytes(b"testing"))]));
        let minus_two = [0x08, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(all(&minus_two), Ok(vec![(1, Value::Number((-2_i64).cast_unsigned()))]));
        assert_eq!(all(&[0x09, 1, 0, 0, 0, 0, 0, 0, 0]), Ok(vec![(1, Value::Eight(1))]));
        assert_eq!(all(&[0x0d, 1, 0, 0, 0]), Ok(vec![(1, Value::Four)]));
        assert_eq!(all(&[]), Ok(vec![]));
        assert_eq!(entry(b"\x0a\x01k\x12\x01v"), Ok((&b"k"[..], &b"v"[..])));
        assert_eq!(seconds(&[0x08, 0x05, 0x10, 0x07]), Ok((5, 7)));
    }

    #[test]
    fn what_is_no_message() {
        for (bytes, error) in [
            (&[0x08][..], WireError::Cut),
            (&[0x08, 0x96], WireError::Cut),
            (b"\x12\x07testin", WireError::Cut),
            (&[0x09, 1, 0], WireError::Cut),
            (&[0x0d, 1], WireError::Cut),
            (&[0x80], WireError::Cut),
            (&[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], WireError::Cut),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02], WireError::LongNumber),
            (&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], WireError::LongNumber),
            (&[0x0b], WireError::WireType(3)),
            (&[0x0f], WireError::WireType(7)),
            (&[0x00, 0x01], WireError::NoNumber),
        ] {
            assert_eq!(all(bytes), Err(error), "{bytes:02x?}");
        }
    }
}

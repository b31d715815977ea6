//! Response flags: a message of truth values here, letters in a log.

use crate::protocol::wire::{Message, WireError};

/// The letters of the field of that number of `ResponseFlags`. Source: `envoy/data/accesslog/v3/accesslog.proto` and Envoy's documentation of
/// `%RESPONSE_FLAGS%`.
fn letters(field: u64) -> Option<&'static str> {
    Some(match field {
        1 => "LH",
        2 => "UH",
        3 => "UT",
        4 => "LR",
        5 => "UR",
        6 => "UF",
        7 => "UC",
        8 => "UO",
        9 => "NR",
        10 => "DI",
        11 => "FI",
        12 => "RL",
        13 => "UAEX",
        14 => "RLSE",
        15 => "DC",
        16 => "URX",
        17 => "SI",
        18 => "IH",
        19 => "DPE",
        20 => "UMSDR",
        21 => "RFCF",
        22 => "NFCF",
        23 => "DT",
        24 => "UPE",
        25 => "NC",
        26 => "OM",
        27 => "DF",
        28 => "DR",
        _ => return None,
    })
}

/// Writes the flags that are set, joined by commas, as a string after its key; `null`, if there is none.
pub(super) fn write(out: &mut Vec<u8>, flags: &[u8]) -> Result<(), WireError> {
    let start = out.len();
    let mut fields = Message::new(flags);
    while let Some((field, value)) = fields.next()? {
        // unauthorized_details is a message: that it is there says it
        let Some(letters) = letters(field).filter(|_| field == 13 || value.number() != 0) else { continue };
        out.push(if out.len() == start { b'"' } else { b',' });
        out.extend_from_slice(letters.as_bytes());
    }
    out.extend_from_slice(if out.len() == start { b"null" } else { b"\"" });
    Ok(())
}

/// Whether `NR` is set.
pub(super) fn has_no_route(flags: &[u8]) -> Result<bool, WireError> {
    let mut fields = Message::new(flags);
    let mut found = false;
    while let Some((field, value)) = fields.next()? {
        found |= field == 9 && value.number() != 0;
    }
    Ok(found)
}

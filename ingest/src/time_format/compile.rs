//! A form's specifiers taken apart, and what they leave open.

use super::{Item, Lacks, TimeFormatError};

/// The items of a form.
pub(super) fn items(form: &str) -> Result<Vec<Item>, TimeFormatError> {
    let mut items = Vec::new();
    let mut rest = form.as_bytes();
    while let [byte, after @ ..] = rest {
        rest = match byte {
            b'%' => after.get(specifier(after, &mut items)?..).unwrap_or_default(),
            _ => {
                items.push(Item::Byte(*byte));
                after
            }
        };
    }
    fixed_runs(&mut items)?;
    Ok(items)
}

/// Appends the items of the specifier whose `%` stands before `after`; how many bytes it has there.
fn specifier(after: &[u8], items: &mut Vec<Item>) -> Result<usize, TimeFormatError> {
    let (length, found): (usize, &[Item]) = match after {
        // Envoy replaces these first, also behind another `%`, which is then no `%%`
        [b's', ..] => (1, &[Item::Epoch { digits_after: 0 }]),
        [b'f', ..] => (1, &[Item::Fraction(9)]),
        [digit @ b'1'..=b'9', b'f', ..] => {
            items.push(Item::Fraction(usize::from(digit - b'0')));
            return Ok(2);
        }
        [b'%', b's' | b'f', ..] | [b'%', b'1'..=b'9', b'f', ..] => (0, &[Item::Byte(b'%')]),
        [b'%', ..] => (1, &[Item::Byte(b'%')]),
        [b't', ..] => (1, &[Item::Byte(b'\t')]),
        [b'Y', ..] => (1, &[Item::Year]),
        // of this century: no access log is older
        [b'y', ..] => (1, &[Item::ShortYear]),
        [b'm', ..] => (1, &[Item::Month]),
        [b'b' | b'h', ..] => (1, &[Item::MonthName]),
        [b'B', ..] => (1, &[Item::MonthFullName]),
        [b'd', ..] => (1, &[Item::Day]),
        [b'e', ..] => (1, &[Item::PaddedDay]),
        [b'j', ..] => (1, &[Item::DayOfYear]),
        [b'a', ..] => (1, &[Item::WeekdayName]),
        [b'A', ..] => (1, &[Item::WeekdayFullName]),
        [b'H', ..] => (1, &[Item::Hour]),
        [b'I', ..] => (1, &[Item::HalfHour]),
        [b'p' | b'P', ..] => (1, &[Item::Half]),
        [b'M', ..] => (1, &[Item::Minute]),
        [b'S', ..] => (1, &[Item::Second]),
        [b'D' | b'x', ..] => (1, &[Item::Month, SLASH, Item::Day, SLASH, Item::ShortYear]),
        [b'r', ..] => {
            items.extend([Item::HalfHour, COLON, Item::Minute, COLON, Item::Second, BLANK]);
            (1, &[Item::Half])
        }
        [b'F', ..] => (1, &[Item::Year, DASH, Item::Month, DASH, Item::Day]),
        [b'T' | b'X', ..] => (1, &[Item::Hour, COLON, Item::Minute, COLON, Item::Second]),
        [b'R', ..] => (1, &[Item::Hour, COLON, Item::Minute]),
        // Tue Nov 24 23:31:53 2026
        [b'c', ..] => {
            let date = [Item::WeekdayName, BLANK, Item::MonthName, BLANK, Item::PaddedDay, BLANK];
            items.extend(date);
            (1, &[Item::Hour, COLON, Item::Minute, COLON, Item::Second, BLANK, Item::Year])
        }
        [b'z', ..] => (1, &[Item::Offset { pairs: 2, colons: false }]),
        [b'Z', ..] => (1, &[Item::Zone]),
        [b'E', b'z', ..] => (2, &[Item::Offset { pairs: 2, colons: true }]),
        [b'E', b'*', b'z', ..] => (3, &[Item::Offset { pairs: 3, colons: true }]),
        [b'E', b'T', ..] => (2, &[Item::Byte(b'T')]),
        [b'E', b'4', b'Y', ..] => (3, &[Item::Year]),
        [b'E', b'0', b'S', ..] => (3, &[Item::Second]),
        [b'E', b'*', b'S', ..] => (3, &[Item::Second, Item::PointFraction]),
        [b'E', b'*', b'f', ..] => (3, &[Item::AllFraction]),
        [b'E', digit @ b'1'..=b'9', kind @ (b'S' | b'f'), ..] => {
            if *kind == b'S' {
                items.extend([Item::Second, Item::Byte(b'.')]);
            }
            items.push(Item::Fraction(usize::from(digit - b'0')));
            return Ok(3);
        }
        _ => {
            let shown: String = String::from_utf8_lossy(after).chars().take(3).collect();
            return Err(TimeFormatError::Unknown { specifier: format!("%{shown}") });
        }
    };
    items.extend(found);
    Ok(length)
}

const DASH: Item = Item::Byte(b'-');
const SLASH: Item = Item::Byte(b'/');
const COLON: Item = Item::Byte(b':');
const BLANK: Item = Item::Byte(b' ');

/// Digits of the items right behind seconds since 1970, whose number varies, must be countable.
fn fixed_runs(items: &mut [Item]) -> Result<(), TimeFormatError> {
    // how many digits follow, walking backwards; `None`: it varies
    let mut after = Some(0);
    for item in items.iter_mut().rev() {
        after = match item {
            Item::Epoch { digits_after } => {
                *digits_after = after.ok_or_else(|| TimeFormatError::Run { specifier: "%s".to_owned() })?;
                None
            }
            Item::PointFraction | Item::AllFraction if after != Some(0) => {
                return Err(TimeFormatError::Run { specifier: "%E*".to_owned() });
            }
            Item::AllFraction => None,
            // starts with a point, but may be nothing
            Item::PointFraction => after,
            Item::Byte(byte) if byte.is_ascii_digit() => after.map(|after| after + 1),
            Item::Year => after.map(|after| after + 4),
            Item::DayOfYear => after.map(|after| after + 3),
            Item::ShortYear | Item::Month | Item::Day | Item::Hour | Item::HalfHour | Item::Minute | Item::Second => {
                after.map(|after| after + 2)
            }
            Item::Fraction(digits) => after.map(|after| after + *digits),
            Item::PaddedDay => None,
            _ => Some(0),
        };
    }
    Ok(())
}

/// What an instant needs, and the form does not say.
pub(super) fn lacks(items: &[Item]) -> Lacks {
    let has = |wanted: &[Item]| items.iter().any(|item| wanted.contains(item));
    if items.iter().any(|item| matches!(item, Item::Epoch { .. })) {
        return Lacks::Nothing;
    }
    let hour = has(&[Item::Hour]) || (has(&[Item::HalfHour]) && has(&[Item::Half]));
    let month = has(&[Item::Month, Item::MonthName, Item::MonthFullName]);
    let day = has(&[Item::DayOfYear]) || (month && has(&[Item::Day, Item::PaddedDay]));
    match (has(&[Item::Year, Item::ShortYear]), day, hour && has(&[Item::Minute]) && has(&[Item::Second])) {
        (_, _, false) => Lacks::Much,
        (true, true, true) => Lacks::Nothing,
        (false, true, true) => Lacks::Year,
        (false, false, true) if !month && !has(&[Item::Day, Item::PaddedDay]) => Lacks::Date,
        (_, false, true) => Lacks::Much,
    }
}

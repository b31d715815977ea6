//! The forms of a start time: what Envoy writes for `%START_TIME(...)%`, read back as microseconds since 1970.
//!
//! ```text
//! %d/%b/%Y:%H:%M:%S.%3f %z   ─▶   24/Nov/2026:23:31:53.541 +0000   ─▶   1795563113541000
//! ```
//!
//! Envoy first replaces `%s` (seconds since 1970), `%f` and `%1f` to `%9f` (digits of the second's fraction; `%f` is
//! `%9f`), wherever they stand; `strftime` with Abseil's additions (`%E3S`, `%E*f`, `%Ez`, `%ET`, `%E4Y`) does the rest,
//! in UTC. Digits beyond microseconds are cut off (Envoy's are zeros). A form that says no instant (`%H:%M:%S`) dates no
//! row by itself; when the line was written, if what it came in says so, fills in the rest:
//!
//! ```text
//! 2026-11-25T00:00:02Z stdout F [23:59:58] "GET / HTTP/1.1"   ─▶   2026-11-24T23:59:58Z
//! ```

mod compile;

use chrono::{DateTime, Datelike, Days, NaiveDate};
use thiserror::Error;

use crate::time;

/// The form of a start time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TimeFormat {
    items: Box<[Item]>,
    lacks: Lacks,
    /// It is the form without an argument, which nearly all formats have.
    usual: bool,
}

/// What Envoy writes for `%START_TIME%`.
const USUAL: &str = "%Y-%m-%dT%H:%M:%S.%3fZ";
/// Bytes of a time in that form.
const USUAL_LENGTH: usize = 24;

/// What a form leaves open of an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lacks {
    Nothing,
    Year,
    /// Day, month and year.
    Date,
    /// So much that it tells next to nothing: seconds, or which half of the day.
    Much,
}

/// A part of a form; the digits of numbers are counted, so that what follows is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Byte(u8),
    Year,
    /// The last two digits of one of this century.
    ShortYear,
    Month,
    MonthName,
    MonthFullName,
    Day,
    /// With a blank for a leading zero.
    PaddedDay,
    DayOfYear,
    Hour,
    /// 01 to 12.
    HalfHour,
    /// `AM` or `PM`.
    Half,
    Minute,
    Second,
    WeekdayName,
    WeekdayFullName,
    /// Seconds since 1970; the digits that follow belong to the next items, which have that many.
    Epoch {
        digits_after: usize,
    },
    /// That many digits of the fraction.
    Fraction(usize),
    /// `.` and the fraction without trailing zeros, or nothing.
    PointFraction,
    /// The fraction without trailing zeros, at least one digit.
    AllFraction,
    /// `+0000`, `+00:00` or `+00:00:00`, as many pairs of digits, with colons.
    Offset {
        pairs: usize,
        colons: bool,
    },
    /// `UTC`.
    Zone,
}

/// Why the form of a start time is not understood.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TimeFormatError {
    /// A specifier that is not among those known here.
    #[error("`{specifier}` is not understood in a start time; use %s.%3f, or %Y-%m-%dT%H:%M:%S.%3fZ")]
    Unknown {
        /// It.
        specifier: String,
    },
    /// Something whose length varies, and digits right behind it.
    #[error("`{specifier}` has no fixed number of digits, and digits follow it; put a separator between")]
    Run {
        /// It.
        specifier: String,
    },
}

impl TimeFormat {
    /// The argument of `%START_TIME%`; empty for the form that Envoy writes without one.
    pub(crate) fn compile(argument: &str) -> Result<TimeFormat, TimeFormatError> {
        let argument = if argument.is_empty() { USUAL } else { argument };
        let items = compile::items(argument)?;
        Ok(TimeFormat { lacks: compile::lacks(&items), items: items.into(), usual: argument == USUAL })
    }

    /// What it leaves open of an instant.
    pub(crate) fn lacks(&self) -> Lacks {
        self.lacks
    }

    /// Microseconds since 1970 in UTC. `None`: the text is not of this form, or not of the years 1970 to 9999, or the form says no instant.
    pub(crate) fn parse(&self, text: &str) -> Option<i64> {
        if self.usual && text.len() == USUAL_LENGTH {
            return time::utc(text.as_bytes());
        }
        if self.lacks != Lacks::Nothing {
            return None;
        }
        self.read(text)?.micros()
    }

    /// The same where the form says no instant: of those that the text may mean the one nearest to `about`.
    pub(crate) fn parse_near(&self, text: &str, about: i64) -> Option<i64> {
        let read = self.read(text)?;
        let date = DateTime::from_timestamp_micros(about)?.date_naive();
        let dates: Vec<NaiveDate> = match self.lacks {
            Lacks::Nothing => return read.micros(),
            Lacks::Much => return Some(about),
            // over a year's and a day's end
            Lacks::Year => (-1..=1).filter_map(|years| read.date(date.year().checked_add(years)?)).collect(),
            Lacks::Date => {
                let day = Days::new(1);
                [date.checked_sub_days(day), Some(date), date.checked_add_days(day)].into_iter().flatten().collect()
            }
        };
        let instants = dates.into_iter().filter_map(|date| read.micros_on(date));
        instants.min_by_key(|instant| instant.abs_diff(about))
    }

    /// Whether Envoy may write that in this form.
    pub(crate) fn accepts(&self, text: &str) -> bool {
        match self.lacks {
            Lacks::Nothing => self.parse(text).is_some(),
            _ => self.read(text).is_some(),
        }
    }

    fn read<'a>(&self, text: &'a str) -> Option<Read<'a>> {
        let mut read = Read { rest: text.as_bytes(), ..Read::default() };
        for item in &self.items {
            read.item(*item)?;
        }
        read.rest.is_empty().then_some(read)
    }

    /// Whether a time in this form can hold that byte.
    pub(crate) fn may_hold(&self, byte: u8) -> bool {
        self.items.iter().any(|item| match item {
            Item::Byte(literal) => *literal == byte,
            Item::MonthName
            | Item::MonthFullName
            | Item::WeekdayName
            | Item::WeekdayFullName
            | Item::Zone
            | Item::Half => byte.is_ascii_alphabetic(),
            Item::PaddedDay => byte == b' ' || byte.is_ascii_digit(),
            Item::PointFraction => byte == b'.' || byte.is_ascii_digit(),
            Item::Offset { .. } => matches!(byte, b'+' | b'-' | b':') || byte.is_ascii_digit(),
            _ => byte.is_ascii_digit(),
        })
    }

    /// Bytes of the longest time in this form.
    pub(crate) fn longest(&self) -> usize {
        // the longest item is a fraction with all digits that Abseil knows
        self.items.iter().map(|item| if matches!(item, Item::Byte(_)) { 1 } else { 20 }).sum()
    }
}

/// A time as far as it was read.
#[derive(Default)]
struct Read<'a> {
    rest: &'a [u8],
    epoch: Option<i64>,
    year: i32,
    month: u32,
    day: u32,
    day_of_year: Option<u32>,
    hour: i64,
    /// Of half a day.
    half_hour: Option<i64>,
    afternoon: bool,
    minute: i64,
    second: i64,
    micros: i64,
    /// Seconds east of Greenwich.
    offset: i64,
}

impl Read<'_> {
    fn item(&mut self, item: Item) -> Option<()> {
        match item {
            Item::Byte(byte) => {
                let (first, rest) = self.rest.split_first()?;
                self.rest = rest;
                return (*first == byte).then_some(());
            }
            Item::Year => self.year = i32::try_from(self.digits(4)?).ok()?,
            Item::ShortYear => self.year = 2000 + i32::try_from(self.digits(2)?).ok()?,
            Item::Month => self.month = u32::try_from(self.digits(2)?).ok()?,
            Item::MonthName => self.month = self.name(MONTHS, 3)?,
            Item::MonthFullName => self.month = self.name(MONTHS, usize::MAX)?,
            Item::Day => self.day = u32::try_from(self.digits(2)?).ok()?,
            Item::PaddedDay => {
                let digits = if self.rest.starts_with(b" ") { self.bytes(1).and(Some(1)) } else { Some(2) }?;
                self.day = u32::try_from(self.digits(digits)?).ok()?;
            }
            Item::DayOfYear => self.day_of_year = Some(u32::try_from(self.digits(3)?).ok()?),
            Item::Hour => self.hour = self.below(24)?,
            Item::HalfHour => self.half_hour = Some(self.digits(2).filter(|hour| (1..=12).contains(hour))? % 12),
            Item::Half => {
                self.afternoon = match self.bytes(2)? {
                    b"AM" | b"am" => false,
                    b"PM" | b"pm" => true,
                    _ => return None,
                }
            }
            Item::Minute => self.minute = self.below(60)?,
            Item::Second => self.second = self.below(60)?,
            Item::WeekdayName => drop(self.name(WEEKDAYS, 3)?),
            Item::WeekdayFullName => drop(self.name(WEEKDAYS, usize::MAX)?),
            Item::Epoch { digits_after } => {
                let run = self.run().checked_sub(digits_after).filter(|run| (1..=12).contains(run))?;
                self.epoch = Some(self.digits(run)?);
            }
            Item::Fraction(digits) => self.micros = self.fraction(digits)?,
            Item::PointFraction if self.rest.starts_with(b".") => {
                self.bytes(1)?;
                self.micros = self.fraction(self.run())?;
            }
            Item::PointFraction => {}
            Item::AllFraction => self.micros = self.fraction(self.run())?,
            Item::Offset { pairs, colons } => {
                let east = match self.bytes(1)? {
                    b"+" => 1,
                    b"-" => -1,
                    _ => return None,
                };
                let mut seconds = 0;
                for (pair, unit) in [3600, 60, 1].into_iter().take(pairs).enumerate() {
                    if colons && pair > 0 && self.bytes(1)? != b":" {
                        return None;
                    }
                    seconds += self.below(60)? * unit;
                }
                self.offset = east * seconds;
            }
            Item::Zone => return (self.bytes(3)? == b"UTC").then_some(()),
        }
        Some(())
    }

    fn micros(&self) -> Option<i64> {
        match self.epoch {
            Some(seconds) => self.micros_of(seconds),
            None => self.micros_on(self.date(self.year)?),
        }
    }

    /// The day in that year.
    fn date(&self, year: i32) -> Option<NaiveDate> {
        match self.day_of_year {
            Some(day) => NaiveDate::from_yo_opt(year, day),
            None => NaiveDate::from_ymd_opt(year, self.month, self.day),
        }
    }

    /// The time of the day on that one.
    fn micros_on(&self, date: NaiveDate) -> Option<i64> {
        let midnight = date.and_hms_opt(0, 0, 0)?.and_utc().timestamp();
        let hour = self.half_hour.map_or(self.hour, |hour| hour + if self.afternoon { 12 } else { 0 });
        self.micros_of(midnight + (hour * 60 + self.minute) * 60 + self.second - self.offset)
    }

    fn micros_of(&self, seconds: i64) -> Option<i64> {
        let micros = seconds.checked_mul(1_000_000)?.checked_add(self.micros)?;
        (0..=time::LAST).contains(&micros).then_some(micros)
    }

    fn bytes(&mut self, count: usize) -> Option<&[u8]> {
        let (bytes, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(bytes)
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self.bytes(count)?;
        let number = |number: i64, digit: &u8| digit.is_ascii_digit().then(|| number * 10 + i64::from(digit - b'0'));
        digits.iter().try_fold(0, number)
    }

    fn below(&mut self, bound: i64) -> Option<i64> {
        self.digits(2).filter(|number| *number < bound)
    }

    /// How many digits follow.
    fn run(&self) -> usize {
        self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    }

    fn fraction(&mut self, digits: usize) -> Option<i64> {
        if !(1..=18).contains(&digits) {
            return None;
        }
        let kept = digits.min(6);
        let micros = self.digits(kept)? * 10_i64.pow(6_u32.saturating_sub(u32::try_from(kept).ok()?));
        self.digits(digits - kept)?;
        Some(micros)
    }

    /// The number, from 1, of the name that follows.
    fn name(&mut self, names: &[&str], letters: usize) -> Option<u32> {
        let shortened = names.iter().map(|name| name.get(..letters.min(name.len())).unwrap_or(name));
        let (number, name) = (1..).zip(shortened).find(|(_, name)| self.rest.starts_with(name.as_bytes()))?;
        self.bytes(name.len())?;
        Some(number)
    }
}

const MONTHS: &[&str] = &[
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const WEEKDAYS: &[&str] = &["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

#[cfg(test)]
mod tests;

//! The text formats that lines are read by: those that a mesh's configuration names, and the defaults that are common today.
//!
//! ```text
//!  line ─▶ the configured formats, in their order ─▶ the defaults, the one that fitted last first ── sure ──▶ Slots
//!              │ not sure, and not another format's     │ none is sure
//!              └────────────────────────────────────────┴─▶ the judges: TextFormat::read_plain of the configured ones (plain),
//!                                                           text.rs of the defaults
//! ```
//! Whatever is read here, the judges read with the same outcome. The first format that fits decides; where another configured one fits, too, and says
//! something else, the line proves nothing: a caller may have written it so.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::LazyLock;

use crate::fields::{Field, Fields, is_null};
use crate::format_string::{Misfit, Read, Target, TextFormat, known};
use crate::key::{Key, KeySet};
use crate::line_format::{LineFormat, Told};
use crate::slots::{Layout, Slots};

/// The formats of one input.
#[derive(Debug, Default)]
pub(crate) struct TextFormats {
    /// The configured ones, then the defaults. Empty until a line may be text: many inputs have none.
    formats: Vec<Compiled>,
}

/// What became of a line.
#[derive(Debug)]
pub(crate) enum Found<'f> {
    /// Its values were read; these are their names. If one of which an endpoint is made is no address, the judges must read it all the same.
    Line(&'f Layout),
    /// It is of no text format, or of one that is read otherwise.
    Other,
    /// The judges must read it, whatever else it looks like.
    Unsure,
}

#[derive(Debug)]
struct Compiled {
    format: TextFormat,
    /// The operator whose value the judge of the defaults (`text.rs`) does not take for a name if it is empty: Envoy writes `-`.
    never_empty: Option<usize>,
    carries: KeySet,
    told: Told,
    layout: Layout,
    /// Per operator where its value goes.
    feeds: Vec<Feed>,
}

/// Where a value goes.
#[derive(Debug, Clone, Copy)]
enum Feed {
    Key(Key),
    /// Into `extra`, under the name of that number in the layout.
    Extra(usize),
}

/// The defaults; of older ones a line is rare, and the judge's.
static DEFAULTS: LazyLock<Vec<TextFormat>> = LazyLock::new(|| {
    let defaults = [known::ISTIO, known::ISTIO_1_8, known::ENVOY];
    defaults.into_iter().filter_map(|format| TextFormat::compile(format).ok()).collect()
});

impl TextFormats {
    /// Reads a line into empty slots, by one of the configured formats, which take it whole, or by a default, which takes it without blanks around it.
    pub(crate) fn read<'a>(
        &mut self,
        lines: (&'a str, &'a str),
        configured: &[TextFormat],
        slots: &mut Slots<'a>,
    ) -> Found<'_> {
        let mut words = std::mem::take(&mut slots.words);
        let found = self.read_words(lines, configured, slots, &mut words);
        slots.words = words;
        found
    }

    fn read_words<'a>(
        &mut self,
        (whole, line): (&'a str, &'a str),
        configured: &[TextFormat],
        slots: &mut Slots<'a>,
        words: &mut Vec<&'a str>,
    ) -> Found<'_> {
        // lines of a configured format may begin with anything
        if configured.is_empty() && !line.starts_with('[') {
            return Found::Other;
        }
        if self.formats.is_empty() {
            let defaults = DEFAULTS.iter().cloned().map(Compiled::of_default);
            let configured = configured.iter().cloned().map(|format| Compiled::new(format, LineFormat::ConfiguredText));
            self.formats = configured.chain(defaults).collect();
        }
        let defaults = configured.len();
        let mut found = None;
        for (place, compiled) in self.formats.iter().enumerate() {
            match compiled.format.read_but_endpoints(if place < defaults { whole } else { line }, words) {
                Read::Sure => {
                    found = Some(place);
                    break;
                }
                Read::Unsure if place < defaults => return Found::Unsure,
                // one judge for all of the defaults
                Read::Unsure | Read::Other => {}
            }
        }
        let Some(mut place) = found else { return Found::Other };
        // a line that fits two of the configured formats is the judges'
        let others = self.formats.get(place + 1..defaults).unwrap_or_default();
        if !others.is_empty() {
            let mut rivals = Vec::new();
            let fits = |other: &Compiled| !matches!(other.format.read_but_endpoints(whole, &mut rivals), Read::Other);
            if others.iter().any(fits) {
                return Found::Unsure;
            }
        }
        if place > defaults {
            self.formats.swap(defaults, place);
            place = defaults;
        }
        let Some(compiled) = self.formats.get(place) else { return Found::Unsure };
        let never_empty = compiled.never_empty.and_then(|operator| words.get(operator));
        // nor for a name what leaves quotes and blanks that could be either of two separators
        let overlapping = place == defaults && words.contains(&" ");
        if never_empty.is_some_and(|word| word.is_empty()) || overlapping {
            return Found::Unsure;
        }
        let mut present = KeySet::EMPTY;
        for (feed, word) in compiled.feeds.iter().zip(words.iter()) {
            match feed {
                Feed::Key(key) => {
                    slots.put(*key, word);
                    present = if is_null(word) { present } else { present.with(*key) };
                }
                Feed::Extra(name) => slots.keep(*name, word, true),
            }
        }
        slots.mark(present, present);
        slots.carry(compiled.carries);
        slots.tell(compiled.told);
        Found::Line(&compiled.layout)
    }
}

impl Compiled {
    fn new(format: TextFormat, line_format: LineFormat) -> Self {
        let mut layout = Layout::new();
        let feeds = format.targets().iter().map(|target| match target {
            Target::Key(key) => Feed::Key(*key),
            Target::Extra(name) => Feed::Extra(layout.add(name)),
        });
        let feeds = feeds.collect();
        Compiled {
            carries: format.carries(),
            never_empty: None,
            told: Told::new(line_format, format.path_source()).timeless(format.is_timeless()),
            layout,
            feeds,
            format,
        }
    }

    fn of_default(format: TextFormat) -> Self {
        let server_name = Target::Key(Key::RequestedServerName);
        let never_empty = format.targets().iter().position(|target| *target == server_name);
        let line_format = LineFormat::of_text(format.carries());
        Compiled { never_empty, ..Compiled::new(format, line_format) }
    }
}

/// Whether a line that no configured format reads is all the same one of a text template that imitates JSON: it begins and ends as the template's lines do.
/// A caller wrote some of it, keys perhaps.
#[inline]
pub(crate) fn is_of_a_template(line: &str, configured: &[TextFormat]) -> bool {
    configured.iter().any(|format| format.is_template_of(line))
}

/// Whether a line is of one of the configured formats: in one way, or in several.
pub(crate) fn is_of_any(line: &str, configured: &[TextFormat]) -> bool {
    let mut values = Vec::new();
    configured.iter().any(|format| match format.read(line, &mut values) {
        Read::Sure => true,
        Read::Other => false,
        Read::Unsure => !matches!(format.read_plain(line), Err(Misfit::NoReading { .. })),
    })
}

/// Reads a line by the configured formats, the plain way. `None`: there are none. A line that one of them can read in several ways is refused, whatever
/// else reads it; the refusal of one that has no reading is for a line that nothing else reads.
pub(crate) fn plain<'a>(
    line: &'a str,
    configured: &[TextFormat],
    fields: &mut Fields<'a>,
) -> Option<Result<(), Misfit>> {
    let mut misfit: Option<Misfit> = None;
    let mut readings: Vec<(&TextFormat, Vec<Range<usize>>)> = Vec::new();
    for format in configured {
        match format.read_plain(line) {
            Ok(spans) => readings.push((format, spans)),
            Err(ambiguous @ Misfit::Ambiguous { .. }) => return Some(Err(ambiguous)),
            Err(other) => misfit = Some(other),
        }
    }
    let Some(((format, spans), others)) = readings.split_first() else { return misfit.map(Err) };
    let text = |span: &Range<usize>| line.get(span.clone()).unwrap_or_default();
    let says = |(format, spans): &(&TextFormat, Vec<Range<usize>>), target: &Target| {
        format.targets().iter().zip(spans).find(|(other, _)| *other == target).map(|(_, span)| text(span))
    };
    let told = Told::new(LineFormat::ConfiguredText, format.path_source());
    fields.tell(told.timeless(format.is_timeless()));
    fields.carry(format.carries());
    for (target, span) in format.targets().iter().zip(spans) {
        let text = text(span);
        if others.iter().any(|other| says(other, target) != Some(text)) {
            fields.doubt();
        }
        if is_null(text) {
            continue;
        }
        match target {
            Target::Key(key) => fields.set(*key, Field { text: Cow::Borrowed(text), json: None, logged_as: None }),
            Target::Extra(name) => fields.keep(Cow::Owned(name.clone()), crate::fields::json_string(text)),
        }
    }
    Some(Ok(()))
}

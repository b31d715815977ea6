//! Objects and lists that a key had before: the same few (policies, services) come again and again. One that was found to be JSON
//! is recognised by its bytes; where it ends needs no search, for an object's or a list's text ends where it ends.

/// Texts that one key remembers; the one that fitted last is the first.
const TEXTS: usize = 8;
/// Longest text that is remembered, bytes.
const LENGTH: usize = 4096;
/// Bytes that all keys of all shapes remember together.
const TOTAL: usize = 1 << 20;

/// What one key remembers.
#[derive(Debug, Default)]
pub(super) struct Known {
    texts: Vec<Box<str>>,
}

/// Bytes that may still be remembered.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Budget(TOTAL)
    }
}

impl Known {
    /// The object or list that starts at `at`, if it is one that is remembered.
    #[inline]
    pub(super) fn find<'a>(&mut self, line: &'a str, at: usize) -> Option<&'a str> {
        if self.texts.is_empty() || !matches!(line.as_bytes().get(at), Some(b'{' | b'[')) {
            return None;
        }
        let rest = line.get(at..)?;
        let place = self.texts.iter().position(|text| rest.as_bytes().starts_with(text.as_bytes()))?;
        let length = self.texts.get(place)?.len();
        if place > 0 {
            self.texts.swap(place - 1, place);
        }
        rest.get(..length)
    }

    /// Whether a text whose brackets balance is JSON within the bound; it is remembered then.
    pub(super) fn admit(&mut self, text: &str, max_nesting: usize, budget: &mut Budget) -> bool {
        if !is_json(text, max_nesting) {
            return false;
        }
        if text.len() <= LENGTH {
            if self.texts.len() >= TEXTS
                && let Some(forgotten) = self.texts.pop()
            {
                budget.0 += forgotten.len();
            }
            if budget.0 >= text.len() {
                budget.0 -= text.len();
                self.texts.push(text.into());
            }
        }
        true
    }

    /// Gives back what it holds.
    pub(super) fn forget(self, budget: &mut Budget) {
        budget.0 += self.texts.iter().map(|text| text.len()).sum::<usize>();
    }
}

/// Whether a text whose brackets balance is JSON, within a line of at most so many levels.
pub(super) fn is_json(text: &str, max_nesting: usize) -> bool {
    // the line itself is level 1; the text holds no escapes, so there are no halves of surrogate pairs
    let mut depth = 1_usize;
    let mut in_string = false;
    for byte in text.bytes() {
        match byte {
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => depth += 1,
            b'}' | b']' if !in_string => depth -= 1,
            _ => {}
        }
        if depth > max_nesting {
            return false;
        }
    }
    serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok()
}

//! YAML documents as JSON values, within bounds: the text may come from anybody.
//!
//! A text is cut at its `---` lines first, so that one broken document costs only itself.

use serde_json::Value;
use serde_saphyr::{Budget, DuplicateKeyPolicy, Options};

use super::MeshProblem;

/// Longest text, bytes.
const LONGEST: usize = 16 << 20;

/// Most documents of a text; the rest is a problem.
const MOST_DOCUMENTS: usize = 4096;

/// Deepest nesting of lists and objects.
const DEEPEST: usize = 64;

/// Most scalars, lists and objects of a document, aliases followed.
const MOST_NODES: usize = 500_000;

/// One document.
pub(super) struct Document {
    pub(super) place: String,
    pub(super) value: Value,
}

/// The documents of a text, as far as they are YAML.
pub(super) fn documents(text: &str, problems: &mut Vec<MeshProblem>) -> Vec<Document> {
    if text.len() > LONGEST {
        problems.push(MeshProblem::TooLarge { found: text.len(), most: LONGEST });
        return Vec::new();
    }
    let parts = cut(text);
    let single = parts.len() == 1;
    let mut documents = Vec::new();
    for (number, part) in (1..).zip(parts) {
        let place = if single { "the document".to_owned() } else { format!("document {number}") };
        if number > MOST_DOCUMENTS {
            let reason = format!("there are more than {MOST_DOCUMENTS} documents; the rest is not read");
            problems.push(MeshProblem::Yaml { place, reason });
            break;
        }
        documents.extend(document(place, part, problems));
    }
    documents
}

/// The documents of a text that stands inside another one.
pub(super) fn documents_at(place: &str, text: &str, problems: &mut Vec<MeshProblem>) -> Vec<Document> {
    let parts = cut(text).into_iter().take(MOST_DOCUMENTS);
    parts.filter_map(|part| document(place.to_owned(), part, problems)).collect()
}

fn document(place: String, text: &str, problems: &mut Vec<MeshProblem>) -> Option<Document> {
    match serde_saphyr::from_str_with_options::<Value>(text, options()) {
        Ok(value) => Some(Document { place, value }),
        Err(error) => {
            // with a drawing of the place, of several lines
            let reason = error.without_snippet().to_string();
            problems.push(MeshProblem::Yaml { place, reason });
            None
        }
    }
}

/// The text between lines that start with `---`, which at a line's start always begins a document. Parts that say nothing are
/// left out.
fn cut(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let marker =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if marker && at > 0 {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    let parts = starts.iter().zip(ends).filter_map(|(from, to)| text.get(*from..to));
    let says_nothing = |line: &str| line.is_empty() || line.starts_with(['#', '%']) || matches!(line, "---" | "...");
    parts.filter(|part| !part.lines().all(|line| says_nothing(line.trim()))).collect()
}

fn options() -> Options {
    let mut budget = Budget::default();
    budget.max_depth = DEEPEST;
    budget.max_nodes = MOST_NODES;
    budget.max_events = 2 * MOST_NODES;
    budget.max_total_scalar_bytes = 2 * LONGEST;
    let mut options = Options::default();
    options.budget = Some(budget);
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    // as Kubernetes reads it: `y` and `no` are strings where strings are expected
    options.strict_booleans = true;
    options
}

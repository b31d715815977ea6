//! Lines for a terminal: words and lists, broken at a width.

/// Columns of a terminal that is not wide.
pub(super) const WIDTH: usize = 110;

/// Appends `label` and the words of `text` behind it, further lines indented to the text.
pub(super) fn labelled(out: &mut String, indent: usize, label: &str, text: &str) {
    let width = label.chars().count().max(11) + 1;
    items(out, &format!("{:indent$}{label:<width$}", ""), indent + width, text.split_whitespace(), " ");
}

/// Appends items with a separator between them, behind `first`; further lines are indented by `indent`.
pub(super) fn items<'i>(
    out: &mut String,
    first: &str,
    indent: usize,
    items: impl IntoIterator<Item = &'i str>,
    separator: &str,
) {
    let mut line = first.to_owned();
    let mut empty = true;
    let mut items = items.into_iter().peekable();
    while let Some(item) = items.next() {
        let comma = if items.peek().is_some() { separator.trim_end() } else { "" };
        let length = line.chars().count() + item.chars().count() + comma.len();
        if !empty && length + 1 > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            empty = true;
        }
        if !empty {
            line.push_str(if separator.trim().is_empty() { separator } else { " " });
        }
        line.push_str(item);
        line.push_str(comma);
        empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_items_only() {
        let mut out = String::new();
        labelled(&mut out, 2, "fills", "a b");
        let names = vec!["abcdefghij"; 20];
        items(&mut out, "    ", 4, names, ", ");
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.first(), Some(&"  fills       a b"));
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        assert_eq!(out.matches("abcdefghij,").count(), 19);
        let long = "x".repeat(300);
        let mut out = String::new();
        labelled(&mut out, 0, "note", &long);
        assert_eq!(out, format!("note        {long}\n"));
    }
}

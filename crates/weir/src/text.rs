//! Text for terminals: tables, numbers, bars.

/// Rows of aligned columns.
pub(crate) struct Table {
    /// Which columns are set to the right.
    right: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these headings; a heading that starts with `>` sets its column to the right.
    pub(crate) fn new(headings: &[&str]) -> Self {
        let right = headings.iter().map(|heading| heading.starts_with('>')).collect();
        let heading = headings.iter().map(|heading| heading.trim_start_matches('>').to_owned()).collect();
        Self { right, rows: vec![heading] }
    }

    /// Adds a row, one cell per heading.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    /// The text, each line after `indent`.
    pub(crate) fn render(&self, indent: &str) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.right.len()).map(width).collect();
        let mut out = String::new();
        // A heading of empty cells only says how columns are set.
        for row in self.rows.iter().filter(|row| row.iter().any(|cell| !cell.is_empty())) {
            let mut line = indent.to_owned();
            for ((cell, width), right) in row.iter().zip(&widths).zip(&self.right) {
                if *right {
                    line.push_str(&format!("{cell:>width$}  "));
                } else {
                    line.push_str(&format!("{cell:<width$}  "));
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A whole number with its thousands apart: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 source`, `2 sources`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A bar of ten cells, filled to `share` (0.0 to 1.0).
pub(crate) fn bar(share: f64) -> String {
    const CELLS: usize = 10;
    // From one percent on something is to be seen; a full bar is full.
    let filled = if share < 0.01 { 0 } else { ((share * CELLS as f64) as usize).clamp(1, CELLS) };
    format!("[{}{}]", "#".repeat(filled), ".".repeat(CELLS - filled))
}

/// Values as a line of blocks, the largest at full height.
pub(crate) fn sparkline(values: impl Iterator<Item = f64> + Clone) -> String {
    const BLOCKS: [char; 8] =
        ['\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}'];
    let most = values.clone().fold(0.0, f64::max);
    let block = |value: f64| {
        let share = if most > 0.0 { value / most } else { 0.0 };
        BLOCKS[((share * 7.0).round() as usize).min(7)]
    };
    values.map(block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scenario: numbers around the thousands, shares around the ends of the bar.
    /// Guarantees: what people read is exact.
    #[test]
    fn numbers_and_bars() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [0.001, 0.01, 0.5, 0.99, 7.0].map(bar),
            ["[..........]", "[#.........]", "[#####.....]", "[#########.]", "[##########]"]
        );
        assert_eq!(sparkline([0.0, 7.0, 3.5].into_iter()), "\u{2581}\u{2588}\u{2585}");
    }

    /// Scenario: a table with a column set to the right and a short row.
    /// Guarantees: columns line up, and no line ends in spaces.
    #[test]
    fn tables_line_up() {
        let mut table = Table::new(&["NAME", ">EVENTS", ""]);
        table.row(["in", "1,000", ""]);
        table.row(["out-2", "7", "x"]);
        assert_eq!(table.render("  "), "  NAME   EVENTS\n  in      1,000\n  out-2       7  x\n");
    }
}

//! Aligned columns.

/// Rows of cells under headings. Cells that hold only digits stand to the right.
pub(super) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new<const N: usize>(headings: [&'static str; N]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(N, self.headings.len());
        self.rows.push(cells.map(|cell| one_line(&cell)).to_vec());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Lines, each with its end.
    pub(super) fn text(&self) -> String {
        let widths: Vec<usize> = (0..self.headings.len())
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
                cells.chain([self.headings[column].chars().count()]).max().unwrap_or_default()
            })
            .collect();
        let mut text = line(self.headings.iter().copied(), &widths, &self.right());
        for row in &self.rows {
            text.push_str(&line(row.iter().map(String::as_str), &widths, &self.right()));
        }
        text
    }

    fn right(&self) -> Vec<bool> {
        let number = |cell: &String| cell == "-" || cell.bytes().all(|byte| byte.is_ascii_digit());
        (0..self.headings.len())
            .map(|column| {
                let mut cells = self.rows.iter().filter_map(|row| row.get(column)).peekable();
                cells.peek().is_some() && cells.clone().any(|cell| cell != "-") && cells.all(number)
            })
            .collect()
    }
}

fn line<'a>(cells: impl Iterator<Item = &'a str>, widths: &[usize], right: &[bool]) -> String {
    let padded: Vec<String> = cells
        .zip(widths.iter().zip(right))
        .map(|(cell, (width, right))| if *right { format!("{cell:>width$}") } else { format!("{cell:<width$}") })
        .collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// What comes from elsewhere may not move the cursor or begin lines.
pub(super) fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let mut table = Table::new(["NAME", "COUNT", "WHEN"]);
        table.row(["a".into(), "7".into(), "-".into()]);
        table.row(["län\u{1b}ger".into(), "1200".into(), "1s".into()]);
        assert_eq!(table.text(), "NAME     COUNT  WHEN\na            7  -\nlän ger   1200  1s\n");
    }
}

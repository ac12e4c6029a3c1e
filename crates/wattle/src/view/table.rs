//! Tables that stay readable on narrow terminals and in pipes.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

/// Width where standard output is no terminal, in columns: lines are not broken.
const PIPE_WIDTH: u16 = u16::MAX;

/// A column: its title, and whether its cells are numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    alignment: CellAlignment,
}

/// A column of words.
pub(crate) const fn words(title: &'static str) -> Column {
    Column {
        title,
        alignment: CellAlignment::Left,
    }
}

/// A column of numbers.
pub(crate) const fn numbers(title: &'static str) -> Column {
    Column {
        title,
        alignment: CellAlignment::Right,
    }
}

/// Renders rows below their titles; nothing at all without rows.
pub(crate) fn render(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let cell = |(column, text): (&Column, String)| Cell::new(text).set_alignment(column.alignment);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(
        columns
            .iter()
            .map(|column| cell((column, column.title.to_owned()))),
    );
    if !table.is_tty() {
        table.set_width(PIPE_WIDTH);
    }
    for row in rows {
        table.add_row(columns.iter().zip(row).map(cell));
    }
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stand_left_and_numbers_right() {
        let rows = [
            vec!["web".to_owned(), "7".to_owned()],
            vec!["reviews".to_owned(), "1024".to_owned()],
        ];
        let expected = "NAME     COUNT\nweb          7\nreviews   1024\n";
        assert_eq!(render(&[words("NAME"), numbers("COUNT")], rows), expected);
    }

    #[test]
    fn without_rows_there_is_nothing() {
        assert_eq!(render(&[words("NAME")], []), "");
    }
}

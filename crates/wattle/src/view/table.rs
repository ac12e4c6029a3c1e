//! Tables that stay readable on narrow terminals and in pipes.

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

/// Width where standard output is no terminal, in columns: lines are not broken.
const PIPE_WIDTH: u16 = u16::MAX;

/// Blanks between two columns.
const GAP: usize = 2;

/// A column: its title, whether its cells are numbers, and whether it may be left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    title: &'static str,
    alignment: CellAlignment,
    /// 0 for one that always stays; of the others the highest goes first where there is no room.
    dispensable: u8,
}

impl Column {
    /// The same, left out on a terminal that is too narrow; of several the highest rank goes first.
    pub(crate) const fn dispensable(self, rank: u8) -> Self {
        Self {
            dispensable: rank,
            ..self
        }
    }
}

/// A column of words.
pub(crate) const fn words(title: &'static str) -> Column {
    Column {
        title,
        alignment: CellAlignment::Left,
        dispensable: 0,
    }
}

/// A column of numbers.
pub(crate) const fn numbers(title: &'static str) -> Column {
    Column {
        title,
        alignment: CellAlignment::Right,
        dispensable: 0,
    }
}

/// Renders rows below their titles, as wide as the terminal is; nothing at all without rows.
pub(crate) fn render(columns: &[Column], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let probe = Table::new();
    let width = if probe.is_tty() { probe.width() } else { None };
    render_within(width.unwrap_or(PIPE_WIDTH), columns, rows.into_iter().collect())
}

fn render_within(width: u16, columns: &[Column], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let shown = fitting(width, columns, &rows);
    let cell = |(at, text): (&usize, &str)| Cell::new(text).set_alignment(columns[*at].alignment);
    let mut table = Table::new();
    table
        .load_style(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(width);
    table.set_header(shown.iter().map(|at| cell((at, columns[*at].title))));
    for row in &rows {
        table.add_row(
            shown
                .iter()
                .map(|at| cell((at, row.get(*at).map_or("", String::as_str)))),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, GAP as u16));
    }
    let lines = table.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// The columns that have room, those that may be left out only as far as they fit.
fn fitting(width: u16, columns: &[Column], rows: &[Vec<String>]) -> Vec<usize> {
    let needs = |at: &usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(*at))
            .map(|cell| cell.chars().count());
        cells.chain([columns[*at].title.len()]).max().unwrap_or(0) + GAP
    };
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    while shown.iter().map(needs).sum::<usize>() > usize::from(width) {
        let next = shown.iter().copied().filter(|at| columns[*at].dispensable > 0);
        let Some(next) = next.max_by_key(|at| columns[*at].dispensable) else {
            break;
        };
        shown.retain(|at| *at != next);
    }
    shown
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
    fn a_narrow_terminal_leaves_out_what_matters_least() {
        let columns = [
            words("NAME"),
            numbers("P95").dispensable(2),
            numbers("P50"),
            numbers("COUNT").dispensable(1),
        ];
        let row = || vec![["reviews", "20ms", "5ms", "1024"].map(str::to_owned).to_vec()];
        assert_eq!(
            render_within(40, &columns, row()),
            "NAME      P95  P50  COUNT\nreviews  20ms  5ms   1024\n"
        );
        assert_eq!(
            render_within(22, &columns, row()),
            "NAME     P50  COUNT\nreviews  5ms   1024\n"
        );
        assert_eq!(render_within(15, &columns, row()), "NAME     P50\nreviews  5ms\n");
    }

    #[test]
    fn without_rows_there_is_nothing() {
        assert_eq!(render(&[words("NAME")], []), "");
    }
}

//! Tables as Kafka's tools print them (`ToolsUtils.prettyPrintTable`): columns as wide as their widest cell, each with a
//! tab behind it.

use std::io::{self, Write};

/// Prints a head and rows below it.
pub fn print<const N: usize>(
    head: [&str; N],
    rows: impl IntoIterator<Item = [String; N]>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let width = |at: usize| all.iter().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    for row in &all {
        for (text, width) in row.iter().zip(&widths) {
            write!(out, "{text:<width$}\t")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut out = Vec::new();
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        print(["Id", "Name"], [row("100", "é"), row("2", "somebody")], &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "Id \tName    \t\n100\té       \t\n2  \tsomebody\t\n");
    }
}

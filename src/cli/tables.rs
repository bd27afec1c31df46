//! Tables on the terminal.

use comfy_table::{ContentArrangement, Table, presets};
use unmixel::rooms::score::Score;

use unmixel::rooms::score::Scores;

/// An empty table with a header.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// Scores of one fit: a row an endmember, and one for all.
pub fn scores(names: &[String], scores: &Scores) -> Table {
    let conventions =
        [("RMSE, reflectance", scores.reflectance.as_ref()), ("RMSE, peak", Some(&scores.peak))];
    let known = conventions.iter().filter_map(|(name, score)| Some((*name, (*score)?)));
    let (titles, known): (Vec<&str>, Vec<&Score>) = known.unzip();
    let mut table = table(&[&["endmember", "SAD (rad)"], &*titles].concat());
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
    for (k, name) in names.iter().enumerate() {
        let mut row = vec![name.clone(), cell(scores.own().sad.as_ref().map(|all| all[k]))];
        let each = |score: &Score| score.abundance_rmse_each.as_ref().map(|all| all[k]);
        row.extend(known.iter().map(|score| cell(each(score))));
        table.add_row(row);
    }
    let mut row = vec!["all".to_owned(), cell(scores.own().mean_sad)];
    row.extend(known.iter().map(|score| cell(score.abundance_rmse)));
    table.add_row(row);
    table
}

//! Tables on the terminal.

use comfy_table::{ContentArrangement, Table, presets};
use unmixel::score::Score;

/// An empty table with a header.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_HORIZONTAL_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}

/// Scores of one fit in both conventions: a row an endmember, and one for all.
pub fn scores(names: &[String], reflectance: &Score, peak: &Score) -> Table {
    let mut table = table(&["endmember", "SAD (rad)", "RMSE, reflectance", "RMSE, peak"]);
    let cell = |value: Option<f64>| value.map_or("-".to_owned(), |v| format!("{v:.4}"));
    for (k, name) in names.iter().enumerate() {
        let each = |score: &Score| score.abundance_rmse_each.as_ref().map(|all| all[k]);
        table.add_row([
            name,
            &cell(reflectance.sad.as_ref().map(|all| all[k])),
            &cell(each(reflectance)),
            &cell(each(peak)),
        ]);
    }
    table.add_row([
        "all",
        &cell(reflectance.mean_sad),
        &cell(reflectance.abundance_rmse),
        &cell(peak.abundance_rmse),
    ]);
    table
}

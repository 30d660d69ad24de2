//! Numbers and how they are shown.

use std::time::Duration;

/// The middle of some numbers.
pub fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    quantile(values, 0.5)
}

/// The number below which a share of them lies.
pub fn quantile(values: impl IntoIterator<Item = f64>, share: f64) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
}

/// A duration in microseconds.
pub fn us(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// Measures by rows, subjects by columns. A missing number is NaN.
pub struct Table {
    title: String,
    columns: Vec<String>,
    rows: Vec<Row>,
    /// Other columns are shown as multiples of the first, too.
    ratios: bool,
}

struct Row {
    measure: String,
    unit: &'static str,
    values: Vec<f64>,
}

impl Table {
    /// An empty table.
    pub fn new(title: &str, columns: impl IntoIterator<Item = String>) -> Self {
        Self { title: title.into(), columns: columns.into_iter().collect(), rows: Vec::new(), ratios: false }
    }

    /// The same, which shows behind each number how many times the first column's it is.
    pub fn with_ratios(title: &str, columns: impl IntoIterator<Item = String>) -> Self {
        Self { ratios: true, ..Self::new(title, columns) }
    }

    /// Sets a number; rows stand in the order of their first number.
    pub fn set(&mut self, column: usize, measure: &str, unit: &'static str, value: f64) {
        let index = self.rows.iter().position(|row| row.measure == measure && row.unit == unit).unwrap_or_else(|| {
            let values = vec![f64::NAN; self.columns.len()];
            self.rows.push(Row { measure: measure.into(), unit, values });
            self.rows.len() - 1
        });
        self.rows[index].values[column] = value;
    }

    /// Prints it, aligned or as one JSON object.
    pub fn print(&self, json: bool) {
        if json {
            let rows: Vec<_> = self.rows.iter().map(|row| row.json(self.ratios)).collect();
            println!("{}", serde_json::json!({ "title": self.title, "columns": self.columns, "rows": rows }));
            return;
        }
        let first = self.rows.iter().map(|row| row.measure.chars().count()).max().unwrap_or(0);
        let width = self.columns.iter().map(|name| name.chars().count()).max().unwrap_or(0).max(10);
        println!("{}\n", self.title);
        print!("{:first$}  {:10}", "measure", "unit");
        for (column, name) in self.columns.iter().enumerate() {
            print!("  {name:>width$}{:9}", if self.ratios && column > 0 { "     ×" } else { "" });
        }
        println!();
        for row in &self.rows {
            print!("{:first$}  {:10}", row.measure, row.unit);
            for (column, value) in row.values.iter().enumerate() {
                let ratio = row.ratio(column).filter(|_| self.ratios).map(shown).unwrap_or_default();
                print!("  {:>width$} {ratio:>8}", shown(*value));
            }
            println!();
        }
        println!();
    }
}

impl Row {
    fn json(&self, ratios: bool) -> serde_json::Value {
        let mut row = serde_json::json!({ "measure": self.measure, "unit": self.unit, "values": self.values });
        if ratios {
            row["ratios"] = (0..self.values.len()).map(|column| self.ratio(column)).collect();
        }
        row
    }

    /// How many times the first column's value it is, where that says something.
    fn ratio(&self, column: usize) -> Option<f64> {
        let (known, value) = (self.values.first()?, self.values.get(column)?);
        let is_amount = self.unit != "ratio" && !self.unit.starts_with('%') && *known > 0.0;
        (column > 0 && is_amount && value.is_finite()).then(|| value / known)
    }
}

fn shown(value: f64) -> String {
    match value.abs() {
        _ if value.is_nan() => "–".into(),
        size if size >= 100.0 || value.fract() == 0.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 0.01 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}

//! The measurements as one HTML page without scripts: a table, and plots drawn as SVG.

use std::fmt::Write as _;

use super::measure::Measured;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 260.0;
const MARGIN: f64 = 60.0;
const COLOURS: [&str; 3] = ["#1f77b4", "#d95f02", "#6b6b6b"];

/// A line of a plot: its name and its points.
type Series = (String, Vec<(f64, f64)>);

pub(super) fn page(measured: &[Measured]) -> String {
    let mut page = String::from(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>daysum bench</title>\
         <style>body{font:16px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}\
         td,th{text-align:right;padding:.2rem .8rem}svg{max-width:100%}text{font-size:12px}</style>\
         <h1>Time and memory against rows</h1>",
    );
    let mut modes: Vec<&str> = Vec::new();
    for of in measured {
        if !modes.contains(&of.mode) {
            modes.push(of.mode);
        }
    }
    let series = |value: fn(&Measured) -> f64| -> Vec<Series> {
        let points = |mode: &str| {
            let of_mode = measured.iter().filter(|of| of.mode == mode);
            of_mode.map(|of| (of.input_rows_hourly as f64, value(of))).collect()
        };
        modes.iter().map(|mode| ((*mode).to_owned(), points(mode))).collect()
    };
    let mut time = series(|of| of.total_duration_seconds);
    let decode = measured.iter().filter(|of| Some(&of.mode) == modes.first());
    time.push((
        "decode only".into(),
        decode.map(|of| (of.input_rows_hourly as f64, of.decode_only_seconds)).collect(),
    ));
    page += &plot("seconds", &time);
    page += &plot("peak MiB", &series(|of| of.peak_memory_bytes as f64 / f64::from(1 << 20)));
    page += "<table><tr><th>rows in<th>mode<th>seconds<th>rows/s<th>× decode only<th>peak MiB";
    for of in measured {
        let _ = write!(
            page,
            "<tr><td>{}<td>{}<td>{:.3}<td>{:.0}<td>{:.2}<td>{:.0}",
            of.input_rows_hourly,
            of.mode,
            of.total_duration_seconds,
            of.rows_per_second,
            of.ratio_to_decode_only,
            of.peak_memory_bytes as f64 / f64::from(1 << 20)
        );
    }
    page + "</table></html>"
}

/// Both axes start at zero, so that a straight line means what it looks like.
fn plot(unit: &str, series: &[Series]) -> String {
    let points = || series.iter().flat_map(|(_, points)| points);
    let right = points().map(|point| point.0).fold(1.0, f64::max);
    let top = points().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| MARGIN + value / right * (WIDTH - 2.0 * MARGIN);
    let y = |value: f64| HEIGHT - MARGIN / 2.0 - value / top * (HEIGHT - MARGIN);
    let (left, bottom) = (x(0.0), y(0.0));
    let mut svg = format!(
        "<h2>{unit}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" role=\"img\" aria-label=\"{unit} \
         against rows\"><path d=\"M{left} {} V{bottom} H{}\" fill=\"none\" stroke=\"#333\"/>\
         <text x=\"{left}\" y=\"{}\" text-anchor=\"end\" dx=\"-6\">{top:.3}</text>\
         <text x=\"{}\" y=\"{bottom}\" dy=\"16\" text-anchor=\"end\">{right:.0} rows</text>",
        y(top),
        x(right),
        y(top) + 4.0,
        x(right)
    );
    for (position, (name, points)) in series.iter().enumerate() {
        let colour = COLOURS[position % COLOURS.len()];
        let line: Vec<String> =
            points.iter().map(|point| format!("{:.1},{:.1}", x(point.0), y(point.1))).collect();
        let _ = write!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            line.join(" ")
        );
        let label = 20.0 + 16.0 * position as f64;
        let _ = write!(svg, "<text x=\"{}\" y=\"{label}\" fill=\"{colour}\">{name}</text>", left + 12.0);
    }
    svg + "</svg>"
}

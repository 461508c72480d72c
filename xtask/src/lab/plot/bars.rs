//! Bars: a figure for each of a few.

use plotters::coord::Shift;
use plotters::prelude::*;

use super::{COLOURS, FONT, Failure, LABEL_AREA, MARGIN, SIZE, TITLE_FONT, number};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Two panels of bars: milliseconds, and answers in a second.
pub fn bars(greetings: &[(&str, f64, f64)]) -> Result<String, Failure> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let title = "Hello: latency of one at a time, and most answers in a second";
        let (left, right) = area.titled(title, TITLE_FONT)?.split_horizontally(SIZE.0 / 2);
        let latency = greetings.iter().map(|(name, ns, _)| (*name, ns / 1e6));
        let rate = greetings.iter().map(|(name, _, rate)| (*name, *rate));
        panel(&left, "milliseconds (less is better)", &latency.collect::<Vec<_>>())?;
        panel(&right, "per second (more is better)", &rate.collect::<Vec<_>>())?;
        area.present()?;
    }
    Ok(svg)
}

/// Horizontal bars from the least power of ten below all values.
fn panel(area: &Area<'_>, title: &str, bars: &[(&str, f64)]) -> Result<(), Failure> {
    let values = || bars.iter().map(|bar| bar.1);
    let least = values().fold(f64::MAX, f64::min).max(f64::MIN_POSITIVE);
    let most = values().fold(least, f64::max);
    let from = 10_f64.powf(least.log10().floor());
    // Room for the figure behind the longest bar.
    let to = most * (most / from).powf(0.35);
    let mut chart = ChartBuilder::on(area)
        .caption(title, FONT)
        .margin(MARGIN)
        .x_label_area_size(LABEL_AREA / 2)
        .y_label_area_size(LABEL_AREA)
        .build_cartesian_2d((from..to).log_scale(), 0.0..bars.len() as f64)?;
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&|value| number(*value))
        .label_style(FONT)
        .light_line_style(WHITE)
        .draw()?;
    for (index, (name, value)) in bars.iter().enumerate() {
        let top = (bars.len() - index) as f64;
        let colour = if *name == "hostkernel" { COLOURS[0] } else { COLOURS[1] };
        let corners = [(from, top - 0.8), (*value, top - 0.2)];
        chart.draw_series([Rectangle::new(corners, colour.filled())])?;
        chart.draw_series([Text::new(number(*value), (value * 1.08, top - 0.4), FONT)])?;
        let (_, y) = chart.backend_coord(&(from, top - 0.4));
        let name = Text::new((*name).to_owned(), (MARGIN, y - area.get_base_pixel().1), FONT);
        area.draw(&name)?;
    }
    Ok(())
}

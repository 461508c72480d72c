//! Lines over a logarithmic axis.

use plotters::coord::ranged1d::ValueFormatter;
use plotters::prelude::*;

use super::{COLOURS, FONT, Failure, LABEL_AREA, MARGIN, SIZE, TITLE_FONT, number};

/// Half the size of a point that was measured.
const DOT: i32 = 4;
/// A line with more points than this is drawn without them.
const DOTS_MAX: usize = 20;

/// A line in a chart.
pub struct Line<'a> {
    pub name: &'a str,
    pub points: Vec<(f64, f64)>,
}

/// The words of a chart.
pub struct Words {
    pub title: String,
    pub x: String,
    pub y: String,
}

/// How the upright axis grows.
#[derive(Clone, Copy, PartialEq)]
pub enum Scale {
    Linear,
    Logarithmic,
}

/// Lines over a logarithmic axis.
pub fn chart(words: &Words, lines: &[Line<'_>], scale: Scale) -> Result<String, Failure> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        let (least, most) = values
            .fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
        (least.max(f64::MIN_POSITIVE), most.max(least))
    };
    let (left, right) = bounds(&mut points().map(|point| point.0));
    let (low, high) = bounds(&mut points().map(|point| point.1));
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut builder = ChartBuilder::on(&area);
        builder
            .caption(&words.title, TITLE_FONT)
            .margin(MARGIN)
            .x_label_area_size(LABEL_AREA / 2)
            .y_label_area_size(LABEL_AREA);
        let x = (left * 0.9..right * 1.1).log_scale();
        match scale {
            Scale::Linear => plot(builder.build_cartesian_2d(x, 0.0..high)?, words, lines)?,
            Scale::Logarithmic => {
                let y = (low * 0.5..high * 2.0).log_scale();
                plot(builder.build_cartesian_2d(x, y)?, words, lines)?;
            }
        }
        area.present()?;
    }
    Ok(svg)
}

/// Fills a chart whose axes are there.
fn plot<'a, X, Y>(
    mut chart: ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, Y>>,
    words: &Words,
    lines: &[Line<'_>],
) -> Result<(), Failure>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart
        .configure_mesh()
        .x_desc(&words.x)
        .y_desc(&words.y)
        .x_label_formatter(&|value| number(*value))
        .y_label_formatter(&|value| number(*value))
        .label_style(FONT)
        .max_light_lines(0)
        .draw()?;
    for (index, line) in lines.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let style = colour.stroke_width(2);
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), style))?
            .label(line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], style));
        let dots = line.points.iter().filter(|_| line.points.len() <= DOTS_MAX);
        chart.draw_series(dots.map(|point| Circle::new(*point, DOT, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(RGBColor(200, 200, 200))
        .label_font(FONT)
        .draw()?;
    Ok(())
}

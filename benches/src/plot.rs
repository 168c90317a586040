//! Pictures of the results, in `docs/`.

use std::error::Error;
use std::io;

use plotters::prelude::*;

use crate::report;

const OURS: RGBColor = RGBColor(0x1f, 0x6f, 0xb5);
const FLOOR: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
const OTHERS: RGBColor = RGBColor(0xd8, 0x8c, 0x3a);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);

const WIDTH: u32 = 860;
/// Of one bar with its space.
const ROW: i32 = 26;
const TOP: i32 = 44;
/// Where bars begin, and the longest ends.
const LEFT: i32 = 250;
const RIGHT: i32 = 760;

/// Whose bar it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    Ours,
    Floor,
    Others,
}

/// One bar.
pub struct Bar {
    pub name: String,
    pub whose: Whose,
    pub value: f64,
    /// The value, to be read.
    pub label: String,
}

/// Writes `docs/NAME.svg`: a bar for each, shortest first: less is better.
pub fn bars(name: &str, title: &str, mut bars: Vec<Bar>) -> io::Result<()> {
    bars.sort_by(|a, b| a.value.total_cmp(&b.value));
    let path = report::file(&format!("docs/{name}.svg"));
    let height = (TOP + ROW * bars.len() as i32 + 12) as u32;
    let mut picture = String::new();
    let drawn = draw(&mut picture, height, title, &bars);
    drawn.map_err(|error| io::Error::other(error.to_string()))?;
    std::fs::write(path, picture)
}

fn draw(
    picture: &mut String,
    height: u32,
    title: &str,
    bars: &[Bar],
) -> Result<(), Box<dyn Error>> {
    let area = SVGBackend::with_string(picture, (WIDTH, height)).into_drawing_area();
    area.fill(&WHITE)?;
    let text = |size: i32| ("sans-serif", size).into_font().color(&INK);
    area.draw(&Text::new(title.to_owned(), (12, 12), text(18)))?;
    let longest = bars
        .iter()
        .map(|bar| bar.value)
        .fold(f64::MIN_POSITIVE, f64::max);
    for (at, bar) in (0..).zip(bars) {
        let top = TOP + ROW * at;
        let end = LEFT + ((RIGHT - LEFT) as f64 * bar.value / longest).max(1.0) as i32;
        let color = match bar.whose {
            Whose::Ours => OURS,
            Whose::Floor => FLOOR,
            Whose::Others => OTHERS,
        };
        area.draw(&Text::new(bar.name.clone(), (12, top + 3), text(14)))?;
        let corners = [(LEFT, top), (end, top + ROW - 7)];
        area.draw(&Rectangle::new(corners, color.filled()))?;
        area.draw(&Text::new(bar.label.clone(), (end + 6, top + 3), text(14)))?;
    }
    area.present()?;
    Ok(())
}

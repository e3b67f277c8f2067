//! Stacked bars by day, drawn here as SVG.
//!
//! Invariant: a chart says nothing that its table below does not say in words; whole numbers all the way, and
//! a part that is there is seen. Not here: what is counted.

use super::shown;
use rynjer_core::time::DAY_MS;
use std::collections::{BTreeMap, HashMap};

/// The height of the drawing in its own units; the page stretches it.
const HEIGHT: i64 = 1000;
/// The width of a day, and what of it the bar takes.
const DAY_WIDTH: i64 = 10;
const BAR_WIDTH: i64 = 8;
/// The least height of a part that is not nothing.
const LEAST: i64 = 6;
/// Parts with a colour of their own; the rest are one.
const PARTS_MAX: usize = 4;
/// The most days that are drawn.
pub(super) const DAYS_MAX: i64 = 400;

/// A part of a bar.
pub(super) struct Part {
    pub(super) y: i64,
    pub(super) height: i64,
    pub(super) colour: usize,
}

/// A day.
pub(super) struct Bar {
    pub(super) x: i64,
    /// What it says to those who point at it.
    pub(super) title: String,
    pub(super) parts: Vec<Part>,
}

/// A name with its colour.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: usize,
}

/// A row of the table.
pub(super) struct Line {
    pub(super) day: String,
    pub(super) cells: Vec<String>,
    pub(super) total: String,
}

pub(super) struct Chart {
    pub(super) label: String,
    pub(super) width: i64,
    pub(super) height: i64,
    pub(super) bar_width: i64,
    pub(super) bars: Vec<Bar>,
    pub(super) series: Vec<Series>,
    pub(super) top: String,
    pub(super) half: String,
    pub(super) first_day: String,
    pub(super) last_day: String,
    /// Days on which something was spent, newest first.
    pub(super) lines: Vec<Line>,
}

/// An amount of a day and a name.
pub(super) struct Point {
    pub(super) day_ms: i64,
    pub(super) name: String,
    pub(super) amount: i64,
}

impl Chart {
    /// Draws the days from `first_ms` to `last_ms`, both within.
    pub(super) fn draw(title: &str, points: &[Point], (first_ms, last_ms): (i64, i64)) -> Self {
        let within = |point: &&Point| point.amount > 0 && (first_ms..=last_ms).contains(&point.day_ms);
        let points: Vec<&Point> = points.iter().filter(within).collect();
        let names = ranked(&points);
        let colour_of: HashMap<&str, usize> =
            names.iter().enumerate().map(|(at, name)| (*name, at.min(PARTS_MAX))).collect();
        let mut days = BTreeMap::<i64, [i64; PARTS_MAX + 1]>::new();
        for point in &points {
            let colour = colour_of.get(point.name.as_str()).copied().unwrap_or(PARTS_MAX);
            if let Some(sum) = days.entry(point.day_ms).or_default().get_mut(colour) {
                *sum = sum.saturating_add(point.amount);
            }
        }
        let total = |sums: &[i64]| sums.iter().fold(0_i64, |all, sum| all.saturating_add(*sum));
        let top = round_up(days.values().map(|sums| total(sums)).max().unwrap_or(0));
        let count = ((last_ms - first_ms) / DAY_MS + 1).clamp(1, DAYS_MAX);
        let bars = (0..count).filter_map(|at| {
            let day_ms = first_ms + at * DAY_MS;
            let sums = days.get(&day_ms)?;
            let title = format!("{}: {} credits", shown::day(day_ms), shown::credits(total(sums)));
            Some(Bar { x: at * DAY_WIDTH + (DAY_WIDTH - BAR_WIDTH) / 2, title, parts: parts(sums, top) })
        });
        let series = series(&names);
        let line = |(day_ms, sums): (&i64, &[i64; PARTS_MAX + 1])| Line {
            day: shown::day(*day_ms),
            cells: sums.iter().take(series.len()).map(|sum| shown::credits(*sum)).collect(),
            total: shown::credits(total(sums)),
        };
        let spent = days.values().fold(0_i64, |all, sums| all.saturating_add(total(sums)));
        Self {
            label: format!(
                "{title}: {} credits from {} to {}. The table below has the figures.",
                shown::credits(spent),
                shown::day(first_ms),
                shown::day(last_ms)
            ),
            width: count * DAY_WIDTH,
            height: HEIGHT,
            bar_width: BAR_WIDTH,
            bars: bars.collect(),
            lines: days.iter().rev().map(line).collect(),
            series,
            top: shown::credits(top),
            half: shown::credits(top / 2),
            first_day: shown::day(first_ms),
            last_day: shown::day(last_ms),
        }
    }

    /// Whether there is nothing to draw.
    pub(super) fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }
}

/// Names by what they spent, most first.
fn ranked<'a>(points: &[&'a Point]) -> Vec<&'a str> {
    let mut sums = BTreeMap::<&str, i64>::new();
    for point in points {
        let sum = sums.entry(&point.name).or_default();
        *sum = sum.saturating_add(point.amount);
    }
    let mut names: Vec<_> = sums.into_iter().collect();
    names.sort_by_key(|(_, sum)| std::cmp::Reverse(*sum));
    names.into_iter().map(|(name, _)| name).collect()
}

fn series(names: &[&str]) -> Vec<Series> {
    let own = if names.len() == PARTS_MAX + 1 { PARTS_MAX + 1 } else { PARTS_MAX };
    let named = names.iter().take(own).enumerate();
    let mut series: Vec<_> =
        named.map(|(at, name)| Series { name: (*name).to_owned(), colour: at + 1 }).collect();
    if names.len() > own {
        series.push(Series { name: format!("{} others", names.len() - own), colour: PARTS_MAX + 1 });
    }
    series
}

/// The parts of a bar, from the bottom up.
fn parts(sums: &[i64], top: i64) -> Vec<Part> {
    let mut y = HEIGHT;
    let mut parts = Vec::new();
    for (at, sum) in sums.iter().enumerate().filter(|(_, sum)| **sum > 0) {
        let height = i64::try_from(i128::from(*sum) * i128::from(HEIGHT) / i128::from(top.max(1)));
        let height = height.unwrap_or(HEIGHT).max(LEAST).min(y);
        y -= height;
        parts.push(Part { y, height, colour: at + 1 });
    }
    parts
}

/// The next even round number: 2, 4, 6, 8, 10, 20, 40 …
fn round_up(amount: i64) -> i64 {
    let mut unit = 1_i64;
    while unit.saturating_mul(10) < amount {
        unit = unit.saturating_mul(10);
    }
    let steps = [2, 4, 6, 8, 10].into_iter().map(|step| unit.saturating_mul(step));
    steps.into_iter().find(|step| *step >= amount).unwrap_or(amount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_are_round() {
        let rows = [(0, 2), (1, 2), (3, 4), (9, 10), (10, 10), (11, 20), (99, 100), (101, 200), (950, 1000)];
        for (amount, top) in rows {
            assert_eq!(round_up(amount), top, "{amount}");
        }
        assert_eq!(round_up(i64::MAX), i64::MAX);
    }

    #[test]
    fn bars_stack_and_the_rest_is_one() {
        let point = |day: i64, name: &str, amount| Point { day_ms: day * DAY_MS, name: name.into(), amount };
        let points =
            [point(1, "a", 60), point(1, "b", 40), point(2, "c", 30), point(2, "d", 20), point(2, "e", 10)];
        let chart = Chart::draw("Spending", &points, (0, 2 * DAY_MS));
        assert_eq!(chart.width, 30);
        assert_eq!(chart.top, "100");
        let parts: Vec<_> = chart.bars[0].parts.iter().map(|part| (part.y, part.height)).collect();
        assert_eq!(parts, [(400, 600), (0, 400)]);
        assert_eq!(chart.series.last().unwrap().name, "e");
        let more: Vec<Point> = (0..7).map(|at| point(1, &format!("{at}"), 10 - at)).collect();
        let chart = Chart::draw("Spending", &more, (DAY_MS, DAY_MS));
        let names: Vec<_> = chart.series.iter().map(|series| series.name.as_str()).collect();
        assert_eq!(names, ["0", "1", "2", "3", "3 others"]);
        assert_eq!(chart.lines[0].cells, ["10", "9", "8", "7", "15"]);
        assert!(Chart::draw("Spending", &[], (0, DAY_MS)).is_empty());
    }
}

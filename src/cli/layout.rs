//! How a file holds its scene, and which part of it to use: options that all commands share.

use std::ops::Range;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use unmixel::rooms::io::{Axis, OpenOptions, PixelOrder, parse_axes};
use unmixel::scene::{LoadOptions, NoData};

/// How a file holds its scene, and which part of it to use.
#[derive(Debug, Clone, Args)]
pub struct LayoutArgs {
    /// Height of the image in pixels, where the file does not say
    #[arg(long, allow_negative_numbers = true)]
    pub rows: Option<usize>,
    /// Width of the image in pixels, where the file does not say
    #[arg(long, allow_negative_numbers = true)]
    pub cols: Option<usize>,
    /// The array that is the scene, in a file of several
    #[arg(long, value_name = "NAME")]
    pub variable: Option<String>,
    /// Order of the array's axes, as rows,columns,bands or bands,pixels; without it what names,
    /// sizes, wavelengths and values say, which is told
    #[arg(long, value_name = "AXES")]
    pub axes: Option<Axes>,
    /// Order of pixels that lie in one line: row by row or column by column
    #[arg(long, value_enum)]
    pub pixel_order: Option<OrderArg>,
    /// Stored value of reflectance 1; without it the file's own statement or a guess, which is told
    #[arg(long, value_name = "FACTOR", allow_negative_numbers = true)]
    pub scale: Option<f64>,
    /// Values that stand for no data, instead of what the file and the values say; or none
    #[arg(long, value_name = "A,B,...|none", allow_hyphen_values = true)]
    pub no_data: Option<NoDataArg>,
    /// Bands to leave out, numbered in the file from 1: 1-7,100
    #[arg(long, value_name = "A-B,C,...")]
    pub drop_bands: Option<Bands>,
    /// Wavelengths to leave out, nanometres: 1340-1460,1790-1960; or none, to keep bands that look
    /// like noise in the windows of water vapour
    #[arg(long, value_name = "A-B,...|none")]
    pub drop_wavelengths: Option<Wavelengths>,
    /// Raster of one band, or an array of rows x columns, that is 0 where pixels are to be left out
    #[arg(long, value_name = "FILE")]
    pub mask: Option<PathBuf>,
    /// Part of the image to use, counted from 0, each end left out: 100:300,50:250; a missing
    /// number is the first or the last
    #[arg(long, value_name = "ROW:ROW,COL:COL", allow_hyphen_values = true)]
    pub window: Option<WindowArg>,
}

/// A list of values, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct NoDataArg(pub Vec<f64>);

/// Numbers of bands, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Bands(pub Vec<usize>);

/// Ranges of nanometres; no range keeps all.
#[derive(Debug, Clone, PartialEq)]
pub struct Wavelengths(pub Vec<(f64, f64)>);

/// An order of axes.
#[derive(Debug, Clone, PartialEq)]
pub struct Axes(pub Vec<Axis>);

/// Ends of the rows and of the columns.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WindowArg {
    rows: (Option<usize>, Option<usize>),
    cols: (Option<usize>, Option<usize>),
}

/// The order of pixels in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrderArg {
    Row,
    Column,
}

/// More numbers than any file has bands.
const MOST_BANDS: usize = 1 << 16;

impl FromStr for NoDataArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(NoDataArg(Vec::new()));
        }
        let number = |item: &str| {
            item.trim().parse().map_err(|_| format!("`{item}` is no number; give numbers, or none"))
        };
        text.split(',').map(number).collect::<Result<_, _>>().map(NoDataArg)
    }
}

impl FromStr for Axes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_axes(text).map(Axes)
    }
}

impl FromStr for Bands {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut bands = Vec::new();
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let number = |text: &str| {
                let number = text.trim().parse().ok().filter(|n| (1..=MOST_BANDS).contains(n));
                number.ok_or_else(|| {
                    format!(
                        "`{item}` is no band or range of bands; bands are numbered from 1, as \
                        1-7,100"
                    )
                })
            };
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return Err(format!("`{item}` runs backwards; say {last}-{first}"));
            }
            bands.extend(first..=last);
        }
        Ok(Bands(bands))
    }
}

impl FromStr for Wavelengths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Wavelengths(Vec::new()));
        }
        let range = |item: &str| {
            let ends: Option<(f64, f64)> = item
                .split_once('-')
                .and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
            match ends {
                Some((a, b)) if 0.0 < a && a < b && b.is_finite() => {
                    // Nobody drops a range below 25 nm: those are micrometres.
                    let factor = if b < 25.0 { 1e3 } else { 1.0 };
                    Ok((a * factor, b * factor))
                }
                _ => Err(format!("`{item}` is no range of wavelengths, as 1340-1460; or say none")),
            }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Wavelengths)
    }
}

impl FromStr for WindowArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no window; say the first row and the row after the last, and the \
                 columns likewise, as 100:300,50:250"
            )
        };
        let number = |text: &str| match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| wrong()),
        };
        let range = |text: &str| {
            let (first, end) = text.split_once(':').ok_or_else(wrong)?;
            Ok::<_, String>((number(first)?, number(end)?))
        };
        let (rows, cols) = text.split_once(',').ok_or_else(wrong)?;
        Ok(WindowArg { rows: range(rows)?, cols: range(cols)? })
    }
}

impl WindowArg {
    /// Rows and columns of an image of this size.
    pub fn ranges(self, rows: usize, cols: usize) -> (Range<usize>, Range<usize>) {
        let range = |(first, end): (Option<usize>, Option<usize>), size: usize| {
            first.unwrap_or(0)..end.unwrap_or(size)
        };
        (range(self.rows, rows), range(self.cols, cols))
    }
}

impl LayoutArgs {
    /// What helps to open the file.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions {
            rows: self.rows,
            cols: self.cols,
            variable: self.variable.clone(),
            axes: self.axes.clone().map(|axes| axes.0),
            pixel_order: self.pixel_order.map(|order| match order {
                OrderArg::Row => PixelOrder::Row,
                OrderArg::Column => PixelOrder::Column,
            }),
        }
    }

    /// What is used of the file; the mask is read elsewhere.
    pub fn load_options(&self) -> LoadOptions {
        let dropped = self.drop_wavelengths.clone().map(|ranges| ranges.0);
        LoadOptions {
            scale: self.scale,
            no_data: self.no_data.clone().map_or(NoData::Found, |values| NoData::Values(values.0)),
            drop_bands: self.drop_bands.clone().map_or_else(Vec::new, |bands| bands.0),
            keep_water_bands: dropped.as_ref().is_some_and(Vec::is_empty),
            drop_wavelengths: dropped.unwrap_or_default(),
            mask: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_windows() {
        assert_eq!("1-3,7".parse(), Ok(Bands(vec![1, 2, 3, 7])));
        assert_eq!("1340-1460,1.79-1.96".parse::<Wavelengths>().map(|w| w.0.len()), Ok(2));
        assert_eq!("1.79-1.96".parse(), Ok(Wavelengths(vec![(1790.0, 1960.0)])));
        assert_eq!("none".parse(), Ok(Wavelengths(vec![])));
        assert_eq!("-9999,0".parse(), Ok(NoDataArg(vec![-9999.0, 0.0])));
        let window: WindowArg = "2:,:5".parse().unwrap();
        assert_eq!(window.ranges(10, 20), (2..10, 0..5));
        for text in ["0", "3-1", "a", "", "1-99999999"] {
            assert!(text.parse::<Bands>().is_err(), "{text}");
        }
        for text in ["1460-1340", "1340", "a-b", "-5-7"] {
            assert!(text.parse::<Wavelengths>().is_err(), "{text}");
        }
        for text in ["1:2", "1,2", "a:b,c:d", "-1:2,3:4"] {
            assert!(text.parse::<WindowArg>().is_err(), "{text}");
        }
    }
}

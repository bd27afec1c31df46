//! Values of options that are a number or a word.

/// How many endmembers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Endmembers {
    Count(usize),
    Auto,
}

impl std::str::FromStr for Endmembers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Endmembers::Auto),
            _ => text
                .parse()
                .map(Endmembers::Count)
                .map_err(|error| format!("{error}; give a whole number of at least 1, or auto")),
        }
    }
}

/// A number of bytes, as `8GiB`, `500MB` or `1e9`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl std::str::FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "give a number of bytes above 0 with its unit, as 8GiB or 500MB".to_owned();
        let text = text.trim();
        // An exponent belongs to the number.
        let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || "+.".contains(c));
        let (number, unit) = match unit.strip_prefix(['e', 'E']) {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_digit()) => {
                let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit());
                (&text[..text.len() - unit.len()], unit)
            }
            _ => (&text[..text.len() - unit.len()], unit),
        };
        let factor = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1.0,
            "k" | "kib" => 1024.0,
            "m" | "mib" => 1024.0 * 1024.0,
            "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
            "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            "kb" => 1e3,
            "mb" => 1e6,
            "gb" => 1e9,
            "tb" => 1e12,
            _ => return Err(wrong()),
        };
        let bytes = number.parse::<f64>().map_err(|_| wrong())? * factor;
        // Beyond what a number of bytes holds there is no memory.
        if (1.0..1.8e19).contains(&bytes) { Ok(Bytes(bytes as u64)) } else { Err(wrong()) }
    }
}

/// Total concentration of the abundances' Dirichlet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Concentration {
    Given(f64),
    Learned,
}

impl std::str::FromStr for Concentration {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "learn" => Ok(Concentration::Learned),
            _ => text
                .parse()
                .map(Concentration::Given)
                .map_err(|_| "give a number above 0, or learn".to_owned()),
        }
    }
}

/// How many bands count as independent evidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum EffectiveBands {
    Count(f64),
    Auto,
    All,
}

impl std::str::FromStr for EffectiveBands {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(EffectiveBands::Auto),
            "all" => Ok(EffectiveBands::All),
            _ => text
                .parse()
                .ok()
                .filter(|n: &f64| n.is_finite() && *n >= 1.0)
                .map(EffectiveBands::Count)
                .ok_or_else(|| "give a number of at least 1, auto or all".to_owned()),
        }
    }
}

/// How long the search goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SearchArg {
    Moves(usize),
    Seconds(f64),
}

impl std::str::FromStr for SearchArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds = |text: &str| text.parse().ok().filter(|s: &f64| s.is_finite() && *s > 0.0);
        match text.strip_suffix('s') {
            Some(number) => seconds(number).map(SearchArg::Seconds),
            None => text.parse().ok().map(SearchArg::Moves),
        }
        .ok_or_else(|| "give a number of moves a round, or a time above 0 as 20s".to_owned())
    }
}

impl std::fmt::Display for SearchArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SearchArg::Moves(moves) => write!(f, "{moves}"),
            SearchArg::Seconds(seconds) => write!(f, "{seconds}s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn bytes_have_units() {
        let bytes = |text: &str| text.parse::<Bytes>().ok().map(|bytes| bytes.0);
        assert_eq!(bytes("8GiB"), Some(8 << 30));
        assert_eq!(bytes("1.5g"), Some(3 << 29));
        assert_eq!(bytes("500 MB"), Some(500_000_000));
        assert_eq!(bytes("1e9"), Some(1_000_000_000));
        assert_eq!(bytes("64k"), Some(65536));
        for text in ["", "0", "-1", "8 horses", "GiB", "1e", "inf", "1e30", "é"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }
}

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

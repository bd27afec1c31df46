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

//! What the library's settings are called on the command line.

use unmixel::Error;

/// The flag of a setting: its name with dashes, as in `--batch-size`.
pub fn flag(setting: &str) -> String {
    if setting.starts_with('-') {
        setting.to_owned()
    } else {
        format!("--{}", setting.replace(' ', "-"))
    }
}

/// An error as a user of the command line reads it.
pub fn sentence(error: &Error) -> String {
    match error {
        Error::Setting { setting, value, reason } => {
            let value = value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
            format!("{}{value}: {reason}", flag(setting))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use unmixel::engine::ground::setting;

    /// Settings that are several flags together.
    const OF_SEVERAL: [&str; 1] = [setting::SIZE];

    #[test]
    fn every_setting_of_the_library_is_a_flag() {
        let program = crate::cli::args::Arguments::command();
        let flags: Vec<String> = program
            .get_subcommands()
            .flat_map(|command| command.get_arguments())
            .filter_map(|argument| Some(format!("--{}", argument.get_long()?)))
            .collect();
        for name in setting::ALL.iter().filter(|name| !OF_SEVERAL.contains(name)) {
            assert!(flags.contains(&flag(name)), "{name}: {} is no flag", flag(name));
        }
        assert_eq!(flag("batch size"), "--batch-size");
        let error = Error::setting(setting::STEPS, 0, "must be at least 1");
        assert_eq!(sentence(&error), "--steps 0: must be at least 1");
    }
}

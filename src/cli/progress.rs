//! Progress of a fit: a bar on a terminal, plain lines in a log.

use std::io::IsTerminal;

use indicatif::{HumanDuration, ProgressBar, ProgressStyle};
use unmixel::rooms::search;
use unmixel::{Event, Progress};

/// Shows how far a fit is.
pub struct Display {
    bar: Option<ProgressBar>,
    next_line: u32,
}

/// Plain lines come at a tenth of the ceiling each.
const LINES: u32 = 10;

impl Display {
    /// A bar if stderr is a terminal, else lines.
    pub fn new() -> Self {
        let style = ProgressStyle::with_template("{bar:30} step {pos}/{len}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = std::io::stderr().is_terminal().then(|| ProgressBar::new(0).with_style(style));
        Display { bar, next_line: 0 }
    }

    /// Takes what a fit says: progress as a bar or now and then, all else as a line.
    pub fn show(&mut self, event: &Event) {
        match event {
            Event::Progress(progress) => self.update(progress),
            Event::Search(search::Event::Steps(done, total)) => self.searched(*done, *total),
            Event::Fitted { .. } => {
                self.finish();
                tell!("{event}");
                *self = Display::new();
            }
            Event::Start(_) | Event::SearchedPart { .. } => {
                self.finish();
                tell!("{event}");
            }
            _ => self.line(&event.to_string()),
        }
    }

    /// Takes the state after a block of steps.
    fn update(&mut self, progress: &Progress) {
        let text = progress.summary();
        match &self.bar {
            Some(bar) => {
                bar.set_length(progress.ceiling.into());
                bar.set_position(progress.step.into());
                bar.set_message(format!("{text}  {} left", HumanDuration(progress.left)));
            }
            None if progress.step >= self.next_line => {
                tell!("{}", Event::Progress(progress.clone()));
                self.next_line = progress.step + progress.ceiling.div_ceil(LINES);
            }
            None => {}
        }
    }

    /// Takes how many rows have their abundances.
    pub fn rows(&mut self, done: usize, of: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(of as u64);
                bar.set_position(done as u64);
                bar.set_message("rows of abundances");
            }
            None if done as u32 >= self.next_line || done == of => {
                tell!("abundances: row {done} of {of}");
                self.next_line = (done + of.div_ceil(LINES as usize)) as u32;
            }
            None => {}
        }
        if done == of {
            self.finish();
        }
    }

    /// Takes the steps of a search, all its fits together.
    fn searched(&mut self, done: u64, total: u64) {
        if let Some(bar) = &self.bar {
            bar.set_length(total);
            bar.set_position(done);
            bar.set_message("search");
        }
    }

    /// A line above the bar, or in the log.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => tell!("{text}"),
        }
    }

    /// Clears the bar; what it said last is in the summary.
    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

//! The progress display: one line on standard error if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use shm_core::text::escape_line;

use crate::judge::run::{Event, describe};

/// A line that says what is going on.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Starts the line with what comes before the first step.
    #[must_use]
    pub fn start(message: &'static str) -> Self {
        let bar = ProgressBar::new_spinner().with_message(message);
        bar.enable_steady_tick(Duration::from_millis(100));
        Self { bar }
    }

    /// Counts the steps from here on.
    pub fn count(&self, steps: usize) {
        self.bar.set_length(steps as u64);
        // The template is a constant; with a broken one the plain spinner stays.
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg}") {
            self.bar.set_style(style);
        }
    }

    /// Counts scripts from here on, and shows the time that is left.
    pub fn count_groups(&self, groups: usize) {
        self.bar.set_length(groups as u64);
        let template = "{spinner} [{pos}/{len}] {bar:30} {eta} left  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }

    /// Shows that a script is through.
    pub fn group_done(&self, name: &str) {
        self.show(name);
        self.bar.inc(1);
    }

    /// Shows what the run tells.
    pub fn tell(&self, event: &Event<'_>) {
        match event {
            Event::Started(planned) => self.show(&describe(planned)),
            Event::Finished(_) => self.bar.inc(1),
            Event::CleaningUp => self.say("cleaning up"),
        }
    }

    /// Shows what comes after the last step.
    pub fn say(&self, message: &'static str) {
        self.bar.set_message(message);
    }

    /// Takes the line away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    /// Shows a text, whoever it is from, in the one line.
    pub fn show(&self, text: &str) {
        self.bar.set_message(escape_line(text.as_bytes()));
    }
}
